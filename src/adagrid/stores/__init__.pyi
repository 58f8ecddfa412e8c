from ._clickhouse_url import is_url as is_url
from .base import StepKey as StepKey
from .base import Store as Store
from .base import ZoneView as ZoneView
from .open import is_new_file as is_new_file
from .open import open_store as open_store
from .schema import Schema as Schema
