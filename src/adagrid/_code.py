"""What functions do, as text that is alike in every process: their source as a tree, or what it was compiled to."""

from __future__ import annotations

import ast
import dis
import functools
import linecache
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

_WITH_TEXT = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_Import = tuple[int, str, tuple[str, ...]]  # how many packages up, what, and which of its members


def leaf_text(value: Any) -> str:
    """Return a number or text as text, such that others are different."""
    return hex(value) if type(value) is int else repr(value)  # ints of any length


@functools.lru_cache(maxsize=4096)
def names_in(code: types.CodeType) -> tuple[str, ...]:
    """Return all names of a function and those inside it."""
    return (*code.co_names, *(name for inner in _inside(code) for name in names_in(inner)))


@functools.lru_cache(maxsize=4096)
def references_in(code: types.CodeType) -> tuple[tuple[tuple[str, ...], ...], tuple[_Import, ...]]:
    """Return the globals that a function and those inside it load, with their attributes, and what they import."""
    loaded: set[tuple[str, ...]] = set()
    imported: set[_Import] = set()
    chain: tuple[str, ...] = ()
    last: list[Any] = [None, None]
    for instruction in dis.get_instructions(code):
        operation = instruction.opname
        if operation == "EXTENDED_ARG":
            continue
        if operation in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            loaded.add(chain := (str(instruction.argval),))
        elif chain and operation in ("LOAD_ATTR", "LOAD_METHOD"):
            loaded.discard(chain)
            loaded.add(chain := (*chain, str(instruction.argval)))
        else:
            chain = ()
        if operation == "IMPORT_NAME":
            imported.add((last[0], str(instruction.argval), last[1] or ()))
        last = [last[1], instruction.argval]
    for inner in _inside(code):
        inner_loaded, inner_imported = references_in(inner)
        loaded.update(inner_loaded)
        imported.update(inner_imported)
    return tuple(sorted(loaded)), tuple(sorted(imported))


def _inside(code: types.CodeType) -> Iterator[types.CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, types.CodeType))


@functools.lru_cache(maxsize=4096)
def compiled_code(code: types.CodeType) -> tuple[Any, ...]:
    """Return what a function does, without line numbers."""
    kinds = (code.co_flags, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return (code.co_name, *kinds, *names, code.co_code, code.co_exceptiontable, *map(_constant, code.co_consts))


def _constant(value: Any) -> Any:
    """Return a constant of compiled code such that others are unequal: 1 and 1.0 are."""
    if isinstance(value, types.CodeType):
        return compiled_code(value)
    if isinstance(value, tuple):
        return tuple(map(_constant, value))
    if isinstance(value, frozenset):
        return ("set", *sorted(repr(_constant(item)) for item in value))
    return f"{type(value).__name__} {leaf_text(value)}"


def source_code(function: types.FunctionType) -> tuple[Any, ...]:
    """Return the source of a function as a tree, or what it was compiled to where that is no longer its source.

    A file may have been edited since it was imported: its text counts if it would be compiled to the same.
    """
    code = function.__code__
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    codes, trees = _parsed(text)
    does = compiled_code(code)
    same = [other for other in codes.get(code.co_name, ()) if compiled_code(other) == does]
    if not same:
        return does
    there = next((other for other in same if other.co_firstlineno == code.co_firstlineno), same[0])
    found = trees.get((there.co_name, there.co_firstlineno), [])
    if len(found) > 1:
        found = _lambda(there, found)
    return (_tree(found[0]),) if found else does


def _lambda(code: types.CodeType, nodes: list[Any]) -> list[Any]:
    """Return which one of several in one line was compiled to a code: the innermost that has all of it."""
    parts = [((a, b), (c, d)) for a, c, b, d in code.co_positions() if None not in (a, b, c, d) and (b, d) != (0, 0)]
    spans = [((n.body.lineno, n.body.col_offset), (n.body.end_lineno, n.body.end_col_offset), n) for n in nodes]
    around = [n for first, last, n in spans if parts and all(first <= begin and end <= last for begin, end in parts)]
    return sorted(around, key=lambda n: len(list(ast.walk(n))))


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> tuple[dict[str, list[types.CodeType]], dict[tuple[str, int], list[ast.AST]]]:
    """Return the functions of a module, compiled by name, and as trees by name and line."""
    codes: dict[str, list[types.CodeType]] = {}
    trees: dict[tuple[str, int], list[ast.AST]] = {}
    try:
        module = ast.parse(text)
        found = deque([compile(module, "<source>", "exec", dont_inherit=True)])
    except (SyntaxError, ValueError, RecursionError):
        return codes, trees
    while found:
        code = found.popleft()
        codes.setdefault(code.co_name, []).append(code)
        found.extend(_inside(code))
    for node in ast.walk(module):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            trees.setdefault((node.name, first), []).append(node)
        elif isinstance(node, ast.Lambda):
            trees.setdefault(("<lambda>", node.lineno), []).append(node)
    return codes, trees


def _tree(node: ast.AST) -> str:
    """Return a tree of source as text, in every version of Python alike."""
    texts: list[str] = []
    todo: list[Any] = [node]  # no recursion: a sum of a thousand terms is a deep tree
    while todo:
        item = todo.pop()
        if isinstance(item, ast.Constant):
            texts.append(f"Constant {_constant(item.value)!r}")
        elif isinstance(item, ast.AST):
            # new versions have new fields, which are empty in the source of old ones
            own = [(name, value) for name, value in ast.iter_fields(item) if value not in (None, [])]
            if isinstance(item, ast.JoinedStr):  # Python 3.12 finds empty texts between values
                own = [(name, [part for part in parts if getattr(part, "value", "") != ""]) for name, parts in own]
            texts.append(" ".join([type(item).__name__, *(name for name, _ in own)]))
            has_text = isinstance(item, _WITH_TEXT) and ast.get_docstring(item, clean=False) is not None
            todo.extend(value[1:] if has_text and name == "body" else value for name, value in reversed(own))
        elif isinstance(item, list):
            texts.append(f"list {len(item)}")
            todo.extend(reversed(item))
        else:
            texts.append(repr(item))
    return "\n".join(texts)
