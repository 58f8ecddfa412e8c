"""Find the source that classes and functions of one's own rest on.

A slice of source is the statements at the top level of modules that bind some names, and those that bind what these
mention, and so on. Installed packages are not followed: their versions stand for them.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import linecache
import os
import symtable
import sys
import types
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import PurePath
from typing import Any, TypeAlias, final

from adagrid._content import bare_code, hash_of_parts, held_by

Name: TypeAlias = tuple[str, str]
"""A module, and a name at its top level."""

_OURS = __name__.partition(".")[0]
# Never one's own, wherever they are installed.
_LIBRARIES = frozenset({_OURS, "jax", "jaxlib", "numpy", "pandas", "scipy", *sys.builtin_module_names})
_STANDARD = os.path.dirname(os.__file__)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)
# What a name may stand for that is no data, or differs between folders.
_NO_DATA = (types.FunctionType, types.ModuleType, str, PurePath)


@final
@dataclass(frozen=True)
class Source:
    """A slice of source.

    Args:
        names: the names whose statements it has, but for those of functions around classes.
        text: the statements, module by module; None if some cannot be found, or are not what this process runs.
        data: a hash of the data that the names stand for in this process.
        packages: installed packages that the classes are made from, with their versions.
    """

    names: tuple[Name, ...]
    text: str | None
    data: str
    packages: tuple[str, ...]


def source_of(things: Iterable[Any]) -> Source:
    """Return the source of functions, classes, and the classes of objects."""
    code = list(_code_in(things, set()))
    own = [each for each in code if _is_own(each)]
    roots = [name for each in own for name in _names(each)]
    names, text = _slice(roots)
    found = all(name in _bound(_text(module)) for module, name in roots)
    found = found and all(map(_is_current, [*own, *(_value(*name) for name in names if name not in roots)]))
    packages = {_top(each) for each in code} - {_top(each) for each in own} - sys.stdlib_module_names
    versions = tuple(f"{package} {_version(package)}" for package in sorted(packages))
    around = {name for each in own if "<locals>" in each.__qualname__ for name in _names(each)}
    names = tuple(name for name in names if name not in around)
    return Source(names, text if found else None, hash_of_parts(map(_data, _values(names))), versions)


def code_hash(things: Iterable[Any], names: Iterable[Name]) -> str:
    """Return a hash of what classes and functions in things, and names, are in this process: compiled code and data."""
    values = [each for each in _code_in(things, set()) if _is_own(each)] + _values(names)
    functions = [(bare_code(each.__code__), held_by(each)) for value in values for each in _functions(value)]
    return hash_of_parts([*map(_data, values), *functions])


def same_source(one: str | None, other: str | None) -> bool:
    """Return whether two slices are the same but for comments, format and docstrings; not if one was not found."""
    return one is not None and other is not None and (one == other or bare_text(one) == bare_text(other))


def bare_text(text: str) -> str:
    """Return what remains of source without comments, format and docstrings."""
    try:
        module = ast.parse(text)
        for node in ast.walk(module):
            if isinstance(node, _DEFINITIONS) and ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
        return ast.dump(module)
    except (SyntaxError, ValueError, RecursionError):
        return text


def _slice(names: list[Name]) -> tuple[tuple[Name, ...], str]:
    """Return what names rest on, the names themselves included, and the statements that bind it."""
    todo, own = deque(names), {module.partition(".")[0] for module, _ in names}
    reached: dict[Name, None] = {}
    texts: dict[str, dict[tuple[int, int], str]] = defaultdict(dict)
    while todo:
        module, name = todo.popleft()
        if (module, name) in reached:
            continue
        reached[module, name] = None
        statements = _bound(_text(module)).get(name, [])
        for place, node, text in statements:
            if text not in texts[module].values():  # a cell of a notebook that was run again
                texts[module][place] = text
            todo.extend(each for each in _mentioned(node, text, module, own) if _defines(*each))
        value = None if statements else _value(module, name)  # it came with a star, or when it was used
        todo.extend(_names(value) if _is_own(value, own) else [])
    modules = (
        f"# {module}\n" + "\n".join(text for _, text in sorted(own.items())) for module, own in sorted(texts.items())
    )
    return tuple(sorted(reached)), "\n\n".join(modules)


def _code_in(things: Iterable[Any], seen: set[int]) -> Iterator[Any]:
    """Yield the functions and classes in things; of classes, only those of one's own or of this package."""
    for thing in things:
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        cls = thing if isinstance(thing, type) else type(thing)
        if isinstance(thing, types.FunctionType):
            yield thing
        elif isinstance(thing, (list, tuple, set, frozenset)):
            yield from _code_in(thing, seen)
        elif isinstance(thing, Mapping):
            yield from _code_in(thing.values(), seen)
        elif isinstance(thing, functools.partial):
            yield from _code_in((thing.func, thing.args, thing.keywords), seen)
        elif _top(cls) == _OURS or _is_own(cls):
            yield from cls.__mro__[:-1]
            yield from _code_in([] if cls is thing else getattr(thing, "__dict__", {}).values(), seen)


def _names(code: Any) -> list[Name]:
    """Return where a class or function is defined; of a lambda, what it mentions."""
    inside = code.__qualname__.partition(".")[0]
    names = code.__code__.co_names if inside == "<lambda>" else [inside]
    return [(code.__module__, name) for name in names if inside == name or _defines(code.__module__, name)]


def _mentioned(statement: ast.AST, text: str, module: str, own: set[str]) -> Iterator[Name]:
    """Yield what a statement refers to, in its own module and in those of one's own that it knows."""
    attributes = sorted({node.attr for node in ast.walk(statement) if isinstance(node, ast.Attribute)})
    imports: list[ast.AST] = [node for node in ast.walk(statement) if _is_import(node)]
    tables = [symtable.symtable(text, "<source>", "exec")]
    for table in tables:
        tables.extend(table.get_children())
        names = [each.get_name() for each in table.get_symbols() if table is tables[0] or each.is_global()]
        yield from ((module, name) for name in sorted(names))
        imports += [node for name in names for node in _nodes(module, name) if _is_import(node)]
    for target, member in (each for node in imports for each in _imported(node, module)):
        if target.partition(".")[0] in own or not _is_installed(target.partition(".")[0]):
            inside = f"{target}.{member}" if member else target
            yield from _members(inside, attributes) if _is_module(inside) else [(target, member)]


def _imported(node: Any, module: str) -> Iterator[Name]:
    """Yield the modules that a statement imports, with the members; "" for the module itself."""
    if isinstance(node, ast.Import):
        yield from ((alias.name if alias.asname else alias.name.partition(".")[0], "") for alias in node.names)
    else:
        package = module if hasattr(sys.modules.get(module), "__path__") else module.rpartition(".")[0]
        target = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        yield from ((target, alias.name) for alias in node.names)


def _members(module: str, attributes: list[str]) -> Iterator[Name]:
    """Yield the members of a module, and of modules in it, that are among attributes."""
    for attribute in attributes:
        inside = f"{module}.{attribute}"
        yield from _members(inside, attributes) if _is_module(inside) else [(module, attribute)]


@functools.lru_cache(maxsize=256)
def _bound(text: str) -> Mapping[str, list[tuple[tuple[int, int], ast.AST, str]]]:
    """Return the statements of a module that bind a name or change its object: where they are, what, and as text."""
    bound: dict[str, list[tuple[tuple[int, int], ast.AST, str]]] = defaultdict(list)
    lines = text.encode().split(b"\n")
    for node in _parsed(text).body:
        if isinstance(node, _IMPORTS):
            for i, alias in enumerate(node.names):
                one = type(node)(**{**vars(node), "names": [alias]})
                bound[_alias(alias)].append(((node.lineno, i), one, ast.unparse(one)))
            continue
        decorators = getattr(node, "decorator_list", [])
        called = {
            _root(each) for each in decorators or [getattr(node, "value", node)] if not isinstance(each, ast.Name)
        }
        changed = {name for name in called if name in bound and not _is_import(bound[name][0][1])}
        for name in {*_bindings(node), *changed}:
            bound[name].append(((node.lineno, node.col_offset), node, _segment(lines, node, decorators)))
    return dict(bound)


def _segment(lines: list[bytes], node: ast.stmt, decorators: list[Any]) -> str:
    """Return the text of a statement, with its decorators."""
    part = lines[min(each.lineno for each in [node, *decorators]) - 1 : node.end_lineno]
    part[-1] = part[-1][: node.end_col_offset]
    part[0] = part[0][0 if decorators else node.col_offset :]
    return b"\n".join(part).decode()


def _nodes(module: str, name: str) -> list[ast.AST]:
    return [node for _, node, _ in _bound(_text(module)).get(name, [])]


def _bindings(statement: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds, or whose members it binds."""
    for node in [statement] if isinstance(statement, _DEFINITIONS) else ast.walk(statement):
        if isinstance(node, _DEFINITIONS):
            yield node.name
        elif isinstance(node, _IMPORTS):
            yield from map(_alias, node.names)
        elif isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
            yield _root(node)


def _root(node: Any) -> str:
    """Return the name that an expression such as a.b[0].c() begins with; "" if it begins otherwise."""
    while not isinstance(node, ast.Name):
        node = getattr(node, "func", None) or getattr(node, "value", None)
        if not isinstance(node, ast.AST):
            return ""
    return node.id


def _alias(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _is_import(node: Any) -> bool:
    return isinstance(node, _IMPORTS)


def _defines(module: str, name: str) -> bool:
    return name in _bound(_text(module)) or hasattr(sys.modules.get(module), name)


def _space(module: str) -> Mapping[str, Any]:
    return vars(sys.modules[module]) if module in sys.modules else {}


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])


@functools.lru_cache(maxsize=256)
def _compiled(text: str) -> set[Any]:
    """Return what the functions of a module are compiled to."""
    codes = [compile(_parsed(text), "<source>", "exec", dont_inherit=True)]
    for code in codes:
        codes.extend(each for each in code.co_consts if isinstance(each, types.CodeType))
    return set(map(bare_code, codes))


def _text(module: str) -> str:
    """Return the source of a module, of a notebook that of its cells; "" if it is not found."""
    space = _space(module)
    if "get_ipython" in space and "In" in space:
        return "\n".join(cell for cell in space["In"] if _parsed(cell).body)
    linecache.checkcache(file := _file(module))
    return "".join(linecache.getlines(file, dict(space)))


def _file(module: str) -> str:
    """Return the file of a module, or the folder of a package without one; "" if there is none."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        return str(getattr(loaded, "__file__", None) or next(iter(getattr(loaded, "__path__", [])), ""))
    return str(importlib.util.find_spec(module).origin or "") if _is_module(module) else ""  # type: ignore[union-attr]


def _is_module(name: str) -> bool:
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _values(names: Iterable[Name]) -> list[Any]:
    """Return what names stand for, but for imports: what comes from one's own modules has names there."""
    return [_value(*name) for name in names if not any(map(_is_import, _nodes(*name)))]


def _value(module: str, name: str) -> Any:
    """Return what a name stands for in this process, which imports its module, as the code does that mentions it."""
    try:
        return getattr(importlib.import_module(module), name, None)
    except Exception:  # which that code may provide for
        return None


def _functions(code: Any) -> Iterator[types.FunctionType]:
    """Yield a function, or the methods of a class."""
    for _, member in sorted(vars(code).items()) if isinstance(code, type) else [("", code)]:
        inside = (getattr(member, name, None) for name in ("fget", "__func__", "func"))
        function = inspect.unwrap(next(filter(callable, inside), member))
        if isinstance(function, types.FunctionType):
            yield function


def _is_current(code: Any) -> bool:
    """Return whether a function or the methods of a class are what their source says now."""
    written = [each for each in _functions(code) if _is_own(each) and not each.__code__.co_filename.startswith("<")]
    return all(bare_code(each.__code__) in _compiled(_text(each.__module__)) for each in written)


def _data(value: Any) -> Any:
    """Return what of a value is data: of a class, that of its attributes."""
    if not isinstance(value, type):
        return None if isinstance(value, _NO_DATA) else value
    own = [(name, each) for name, each in sorted(vars(value).items()) if not name.startswith(("__", "_abc_"))]
    return [(name, _data(each)) for name, each in own if not hasattr(each, "__get__")]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "without a version"


def _top(code: Any) -> str:
    return str(getattr(code, "__module__", "")).partition(".")[0]


def _is_own(code: Any, own: Iterable[str] = ()) -> bool:
    """Return whether a class or function is of one's own: not installed, or a design of a package that is."""
    if not isinstance(code, (type, types.FunctionType)) or _top(code) in _LIBRARIES:
        return False
    is_design = isinstance(code, type) and any(_top(base) == _OURS for base in code.__mro__)
    return is_design or _top(code) in own or not _is_installed(_top(code))


def _is_installed(top: str) -> bool:
    """Return whether a module or package is of the standard library or was installed."""
    file = _file(top)
    folders = {"site-packages", "dist-packages"}.intersection(PurePath(file).parts)
    return top in _LIBRARIES or bool(folders) or file.startswith((_STANDARD, "frozen", "built-in"))
