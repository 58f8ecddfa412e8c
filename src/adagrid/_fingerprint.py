"""What users and this package define, as a hash: what tells whether it has changed since it was written down.

Classes and functions are hashed together with everything that they refer to, so that no constant, helper or default
changes unseen. The hash is the same in every process that runs the same code: no address, no order of sets, no line
number and no path is part of it.

What the standard library and installed packages define stands for itself by its name. What a name of one's own stands
for may be changed while the process runs (a dict that a function fills to remember results, say) and is then something
else: `functools.cache` remembers unseen.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
import pkgutil
import sys
import types
from abc import ABC
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from adagrid._code import compiled_code, leaf_text, names_in, references_in, source_code

_OURS = __name__.partition(".")[0]
# Never one's own, wherever they are installed.
_LIBRARIES = frozenset({"jax", "jaxlib", "numpy", "pandas", "scipy"})
_STANDARD = os.path.dirname(os.__file__)
# Of these only the type matters: what they hold is the process's, not the design's.
_OF_PROCESS = frozenset({"_thread", "_weakref", "_weakrefset", "threading", "weakref"})
_LEAVES = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), type(NotImplemented))
# Where a module lies, and what it is called.
_OF_MODULE = frozenset({"__builtins__", "__cached__", "__file__", "__loader__", "__name__", "__package__", "__spec__"})
_OF_ENUM = (enum.__name__, "builtins", None)
_SIMPLE = (*_LEAVES, tuple, types.FunctionType)
_MEMBERS = (types.MemberDescriptorType, types.GetSetDescriptorType)

DEFAULT: Any = object()
"""What `state_of` returns of objects that have no other state than what pickle would keep."""


class UnknownStateError(TypeError):
    """What a value holds cannot be told."""


def fingerprint(
    *things: Any,
    compiled: bool = False,
    refuse: bool = False,
    state_of: Callable[[Any], Any] | None = None,
) -> str:
    """Return a hash of classes, functions and values, and of everything that they refer to.

    Functions are hashed by what they do, with the values of the globals, closures and defaults that they refer to;
    classes by their members and bases; containers by their content (dicts in their order, which a loop over them
    obeys); arrays by type, shape and bytes; other objects by their type and what pickle would keep of them. Abstract
    bases of this package, standard library and installed packages are hashed by name. Of absolute paths that code
    refers to only the name of the file counts, since folders are other ones on other machines.

    Args:
        things: what to hash.
        compiled: whether functions are hashed by what they were compiled to, which is what this process runs but
            differs between versions of Python. Otherwise by their source without comments, format and docstrings,
            provided that it is at hand and is still what is run.
        refuse: whether to refuse data whose state cannot be told. What functions and classes refer to is never refused
            (locks, open files): of that, the type is hashed.
        state_of: returns what is hashed of an object, or `DEFAULT`.

    Raises:
        UnknownStateError: if the state of a value cannot be told.
    """
    walk = _Walk(compiled, state_of or _default_state, {_OURS, "__main__"})
    walk.add(things, is_data=refuse)
    return walk.finished()


class _Walk:
    """Hashes values one after the other. What others may refer to is hashed once, and has a number afterwards.

    What is found is put at the end of a queue, so that long chains of references need no deep recursion.
    """

    def __init__(self, compiled: bool, state_of: Callable[[Any], Any], own: set[str]) -> None:
        self._compiled, self._state_of, self._own = compiled, state_of, own
        self._hash = hashlib.sha256()
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []  # an id holds as long as its object does
        self._queue: deque[tuple[Any, bool]] = deque()

    def finished(self) -> str:
        """Return the hash of all that was added."""
        while self._queue:
            value, is_data = self._queue.popleft()
            is_code = isinstance(value, (types.FunctionType, type))
            self.add(self._parts(value, is_data), is_data=is_data and not is_code)
        return self._hash.hexdigest()[:32]

    def add(self, value: Any, *, is_data: bool) -> None:
        """Hash a value, or put it into the queue."""
        cls = type(value)
        if cls in _LEAVES:
            self._write(f"{cls.__name__} {leaf_text(value)}")
        elif cls is tuple:  # never by number: whether equal ones are the same object is Python's choice
            self._write(f"tuple {len(value)}")
            for item in value:
                self.add(item, is_data=is_data)
        elif isinstance(value, (set, frozenset)):
            self._write(f"set {_name(cls)} {len(value)}")
            for text in sorted(self._apart(item, is_data) for item in value):
                self._write(text)
        elif (array := _array(value)) is not None:
            self._add_array(value, array, is_data)
        elif id(value) in self._numbers:
            self._write(f"number {self._numbers[id(value)]}")
        else:
            self._numbers[id(value)] = len(self._kept)
            self._kept.append(value)
            self._write("next")
            self._queue.append((value, is_data))

    def _apart(self, item: Any, is_data: bool) -> str:
        """Return a text, or else the hash, of an item that has no place in an order."""
        if type(item) in _LEAVES:
            return f"{type(item).__name__} {leaf_text(item)}"
        walk = _Walk(self._compiled, self._state_of, set(self._own))
        walk._numbers, walk._kept = dict(self._numbers), list(self._kept)
        walk.add(item, is_data=is_data)
        return walk.finished()

    def _add_array(self, value: Any, array: np.ndarray, is_data: bool) -> None:
        weak = getattr(value, "weak_type", False)  # JAX's, which decides the type of results
        library = type(value).__module__.partition(".")[0].removesuffix("lib")  # the rest of JAX's name changes
        self._write(f"array {library} {type(value).__name__} {value.dtype} {array.dtype.str} {array.shape} {weak}")
        if array.dtype.names is not None:
            for name in array.dtype.names:
                self.add((name, array[name]), is_data=is_data)
        elif array.dtype.hasobject:  # whose bytes are addresses
            self.add(tuple(array.ravel().tolist()), is_data=is_data)
        else:
            self._write(array.tobytes())
        if isinstance(value, np.ndarray) and type(value) is not np.ndarray:  # masks
            self.add(tuple(sorted(getattr(value, "__dict__", {}).items())), is_data=is_data)

    def _write(self, text: str | bytes) -> None:
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        self._hash.update(b"%d:" % len(data))
        self._hash.update(data)

    def _parts(self, value: Any, is_data: bool) -> tuple[Any, ...]:
        """Return what a value consists of."""
        if self._is_named(value):
            return ("named", f"{value.__module__}:{value.__qualname__}")
        if isinstance(value, types.ModuleType):
            return ("module", value.__name__)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.MethodType):
            return ("method", value.__func__, value.__self__)
        if isinstance(value, property):
            return ("property", value.fget, value.fset, value.fdel)
        if isinstance(value, (classmethod, staticmethod)):
            return (type(value), value.__func__)
        if isinstance(value, functools.cached_property):
            return ("cached", value.func)
        if type(value) is list:
            return ("list", *value)
        if type(value) in (dict, types.MappingProxyType):
            return ("dict", *value.items())
        if isinstance(value, PurePath):
            return ("path", str(value) if is_data or not value.is_absolute() else value.name if value.suffix else "")
        if isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
            return ("table", type(value), *_columns(value))
        return self._object(value, is_data)

    def _is_named(self, value: Any) -> bool:
        """Return whether a name stands for a class or function: those that others have written."""
        module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(name, str) or self._is_own(module):
            return False
        if isinstance(value, type):
            if all(_top(base) != _OURS for base in value.__mro__):
                return True
            self._own.add(_top(value))  # a design, say, whose package is installed
            return False
        found = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        return found is value

    def _is_own(self, module: str) -> bool:
        """Return whether a module is of this package, the user's or the design's, not an installed one."""
        return module.partition(".")[0] in self._own or not _is_installed(module.partition(".")[0])

    def _function(self, function: types.FunctionType) -> tuple[Any, ...]:
        code = function.__code__
        module = str(function.__globals__.get("__name__"))
        closure = tuple(_content(cell) for cell in function.__closure__ or ())
        if self._is_own(module):
            does = (compiled_code(code) if self._compiled else source_code(function), *self._referred(function))
            closure = tuple((item, *self._of_module(item, set(names_in(code)))) for item in closure)
        else:  # a wrapper that others have written
            does = (f"{module}:{code.co_qualname}",)
        defaults = (function.__defaults__, tuple(sorted((function.__kwdefaults__ or {}).items())))
        return ("function", *does, "closure", *closure, *defaults, *sorted(vars(function).items()))

    def _referred(self, function: types.FunctionType) -> Iterator[Any]:
        """Yield the globals that a function refers to, and what it imports when it is called."""
        names = set(names_in(function.__code__))
        loaded, imported = references_in(function.__code__)
        for name, *attributes in loaded:
            if name not in function.__globals__ or name in _OF_MODULE:
                continue  # a builtin, or nothing yet
            value = _placed(function.__globals__[name], function)
            while attributes and isinstance(value, types.ModuleType) and self._is_own(value.__name__):
                value = self._member(value, attributes.pop(0))
            yield name, tuple(attributes), value
            yield from self._of_module(value, names)
        package = str(function.__globals__.get("__package__") or "")
        for level, name, members in imported:
            module = self._imported("." * level + name, package)
            if not members:
                yield from self._of_module(module, names)
            elif module is not None:
                for member in members:
                    if hasattr(module, member):
                        value = getattr(module, member)
                    else:
                        value = self._imported(f"{module.__name__}.{member}", "")
                    yield member, value
                    yield from self._of_module(value, names)

    def _member(self, module: types.ModuleType, name: str) -> Any:
        """Return a member of a module of one's own, or a module inside it, that may not be loaded yet."""
        try:
            return getattr(module, name)
        except Exception:  # of a module whose members are loaded when they are used
            return self._imported(f"{module.__name__}.{name}", "")

    def _imported(self, name: str, package: str) -> types.ModuleType | None:
        """Return a module of one's own, as the function does that imports it."""
        try:
            full = importlib.util.resolve_name(name, package)
            return importlib.import_module(full) if self._is_own(full) else None
        except Exception:  # which the function may provide for
            return None

    def _of_module(self, module: Any, names: set[str]) -> Iterator[Any]:
        """Yield the members of a module of one's own that are among names, also of modules in it."""
        if not isinstance(module, types.ModuleType) or not self._is_own(module.__name__):
            return
        for name in sorted(names & _members(module)):
            value = self._member(module, name)
            yield name, value
            if isinstance(value, types.ModuleType) and value.__name__.startswith(module.__name__ + "."):
                yield from self._of_module(value, names)

    def _class(self, cls: type) -> tuple[Any, ...]:
        if ABC in cls.__bases__ and _top(cls) == _OURS:  # an extension point, which is no part of what extends it
            return ("base", cls.__qualname__)
        members = tuple((name, value) for name, value in sorted(vars(cls).items()) if _is_member(cls, name, value))
        own = fields(cls) if "__dataclass_fields__" in vars(cls) else ()
        declared = tuple((each.name, each.default, each.default_factory, each.init, each.compare) for each in own)
        return ("class", cls.__name__, type(cls), cls.__bases__, members, declared)

    def _object(self, value: Any, is_data: bool) -> tuple[Any, ...]:
        """Return type and state."""
        cls = type(value)
        state = self._state_of(value)
        if state is not DEFAULT:
            return ("object", cls, state)
        if cls.__module__ in _OF_PROCESS:
            return ("object", cls)
        if not self._is_own(str(cls.__module__)):
            holder = vars(sys.modules.get(cls.__module__, types)).items()
            held = sorted(name for name, other in holder if other is value)
            if held:  # such as the distributions of SciPy
                return ("named", f"{cls.__module__}:{held[0]}")
            if (wrapped := getattr(value, "__wrapped__", None)) is not None:  # by jax.jit, functools.cache
                public = ((name, item) for name, item in _attributes(value) if not name.startswith("_"))
                return ("wrapped", cls, wrapped, *((name, item) for name, item in public if isinstance(item, _SIMPLE)))
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:  # code of users, and Python's own refusals
            if is_data:
                raise UnknownStateError(f"{_name(cls)} does not tell what it holds ({error})") from error
            return ("object", cls, *_attributes(value))
        if isinstance(reduced, str):
            return ("named", cls, reduced)
        make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        if isinstance(state, dict):
            names = sorted((name for name in state if not _is_cached(cls, name)), key=str)
            state = tuple((name, state[name]) for name in names) or None  # as if nothing were there
        return ("object", make, arguments, state, tuple(items or ()), tuple(pairs or ()))


def _default_state(value: Any) -> Any:
    del value
    return DEFAULT


def _top(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def _name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _array(value: Any) -> np.ndarray | None:
    """Return NumPy's or JAX's arrays and numbers as NumPy's arrays, None for everything else."""
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value)
    if not type(value).__module__.startswith("jax") or not hasattr(type(value), "__array__"):
        return None
    try:
        is_key = str(value.dtype).startswith("key<")
        return np.asarray(sys.modules["jax"].random.key_data(value) if is_key else value)
    except Exception:  # an array that has been deleted, or has no values yet
        return None


def _columns(table: Any) -> Iterator[Any]:
    """Yield names, types and values, whatever blocks they are kept in."""
    frame = table if isinstance(table, pd.DataFrame) else table.to_frame()
    yield tuple(frame.columns)
    yield frame.index.to_numpy()
    for i in range(frame.shape[1]):
        column = frame.iloc[:, i]
        yield str(column.dtype), column.to_numpy()


def _attributes(value: Any) -> list[tuple[str, Any]]:
    own = getattr(value, "__dict__", {})
    return sorted((name, item) for name, item in own.items() if not name.startswith("__"))


def _placed(value: Any, function: types.FunctionType) -> Any:
    """Return a text without the folder of the module, which is another one on another machine."""
    folder = os.path.dirname(str(function.__globals__.get("__file__", "")))
    return value.removeprefix(folder) if folder and type(value) is str else value


def _members(module: types.ModuleType) -> set[str]:
    """Return the names in a module; where they are loaded when first used, also those that nobody has used yet."""
    inside = pkgutil.iter_modules(getattr(module, "__path__", ())) if "__getattr__" in vars(module) else ()
    return {*vars(module), *dir(module), *(each.name for each in inside if not each.name.startswith("__"))}


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "empty"


def _is_cached(cls: type, name: Any) -> bool:
    """Return whether an attribute has been computed from others, sooner or later."""
    return isinstance(inspect.getattr_static(cls, str(name), None), functools.cached_property)


def _is_member(cls: type, name: str, value: Any) -> bool:
    """Return whether an entry of a class is what its author wrote, not what Python keeps there."""
    if name.startswith(("_abc_", "__annotate_")) or isinstance(value, _MEMBERS):
        return False
    function = inspect.unwrap(value) if isinstance(value, types.FunctionType) else value
    if isinstance(function, types.FunctionType) and (
        function.__code__.co_qualname.startswith("__create_fn__") or function.__module__ == "dataclasses"
    ):
        return False  # a data class's: its fields tell more, in every version of Python alike
    is_code = callable(value) or isinstance(value, (classmethod, staticmethod, property))
    if issubclass(cls, enum.Enum):
        is_code = is_code and not isinstance(value, type) and getattr(value, "__module__", None) not in _OF_ENUM
        return is_code or name in cls.__members__
    return is_code or not (name.startswith("__") and name.endswith("__"))


@functools.lru_cache(maxsize=1024)
def _is_installed_at(top: str, file: str) -> bool:
    if top in sys.stdlib_module_names and not (file.endswith(".py") and not file.startswith(_STANDARD)):
        return True
    return not {"site-packages", "dist-packages"}.isdisjoint(PurePath(file).parts)


def _is_installed(top: str) -> bool:
    """Return whether a module or package is of the standard library or was installed."""
    if top in _LIBRARIES:
        return True
    module = sys.modules.get(top)
    if module is None:  # imported by nobody yet
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            spec = None
        return _is_installed_at(top, str(spec.origin) if spec else "")
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
    return _is_installed_at(top, str(file))
