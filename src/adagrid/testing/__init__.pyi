from .backends import BackendContract as BackendContract
from .families import FamilyContract as FamilyContract
from .models import ArrayModelContract as ArrayModelContract
from .models import ModelContract as ModelContract
from .pandas_store import PandasStore as PandasStore
from .policies import PolicyContract as PolicyContract
from .stores import StoreContract as StoreContract
