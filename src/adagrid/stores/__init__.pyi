from ._clickhouse_url import is_url as is_url
from .open import is_new_file as is_new_file
from .open import open_store as open_store
from .schema import Schema as Schema
from .store import StepKey as StepKey
from .store import Store as Store
from .store import ZoneView as ZoneView
