"""Reads a null hypothesis from text such as "theta1 <= theta0 - 0.1". Nothing is evaluated as code."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping

from adagrid.errors import HypothesisSyntaxError
from adagrid.grid.hypotheses import HalfSpace

_EXAMPLE = 'Write a linear inequality, for example hypo("theta1 <= theta0 - 0.1") or hypo("x < logit(0.3)").'
_RATES = (
    "The parameters of binomial arms are logits: write theta1 <= theta0 for p1 <= p0, theta0 <= logit(0.3) for "
    "p0 <= 0.3, and ada.RiskDifference(treatment=1, control=0, margin=-0.1) for p1 - p0 <= -0.1. In a grid with "
    'scale="probability" the parameters are rates: write theta1 - theta0 <= -0.1'
)
_SHORT_NAMES = {"x": 0, "y": 1, "z": 2}
_FUNCTIONS: Mapping[str, Callable[[float], float]] = {
    "exp": math.exp,
    "log": math.log,
    "logit": lambda p: math.log(p / (1 - p)),
    "sqrt": math.sqrt,
}
# What people write for the signs that compare.
_SIGNS = {"=<": "<=", "=>": ">=", "\u2264": "<=", "\u2a7d": "<=", "\u2265": ">=", "\u2a7e": ">="}
_MAX_LENGTH, _MAX_PARAMETER = 1000, 99


def hypo(text: str) -> HalfSpace:
    """Return the half-space that a linear inequality describes.

    Args:
        text: one of <=, <, >=, > between two linear expressions. The parameters are named theta0, theta1, ...
            or x0, x1, ..., the first three also x, y, z. Numbers may use + - * / and the functions exp, log,
            logit and sqrt. Strict and weak inequalities mean the same: the boundary belongs to the null.

    Raises:
        HypothesisSyntaxError: if the text is anything else.

    Examples:
        >>> ada.hypo("theta1 <= theta0 - 0.1").describe()
        'theta1 - theta0 <= -0.1'
    """
    if not isinstance(text, str) or len(text) > _MAX_LENGTH:
        raise _refused(text, f"it is not a string of at most {_MAX_LENGTH} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise _refused(text, f"it cannot be read{_hint(text)}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise _refused(text, f"it cannot be read ({error})") from None
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1:
        several = ', and several are a list of texts, such as ["theta1 <= theta0", "theta2 <= theta0"]'
        raise _refused(text, f"it is not one inequality{_hint(text) or several}")
    if isinstance(tree.ops[0], (ast.LtE, ast.Lt)):
        sign = 1.0
    elif isinstance(tree.ops[0], (ast.GtE, ast.Gt)):
        sign = -1.0
    else:
        raise _refused(text, "only <=, <, >= and > may compare the two sides")
    try:
        difference = _linear(text, tree.left) + _linear(text, tree.comparators[0]).times(-1.0)
    except RecursionError:
        raise _refused(text, "it is nested too deeply") from None
    difference = difference.times(sign)
    if not any(difference.weights.values()):
        raise _refused(text, "no parameter is left in it")
    if not all(map(math.isfinite, (difference.constant, *difference.weights.values()))):
        raise _refused(text, "a number in it is too large")
    dim = max(i for i, weight in difference.weights.items() if weight) + 1
    return HalfSpace([difference.weights.get(i, 0.0) for i in range(dim)], -difference.constant + 0.0)


def _hint(text: str) -> str:
    """Return what to write instead of a text that is no inequality, where that can be told."""
    for wrong, right in _SIGNS.items():
        if wrong in text:
            return f": write {right} for {wrong}"
    if re.search(r"\d,\d", text):
        return ": write decimals with a point"
    return ": write <= or >= for =" if re.search(r"[^<>=]=[^=]", text) else ""


class _Linear:
    """constant + sum of weights times parameters."""

    def __init__(self, constant: float = 0.0, weights: Mapping[int, float] | None = None) -> None:
        self.constant = constant
        self.weights = dict(weights or {})

    def __add__(self, other: _Linear) -> _Linear:
        weights = {i: self.weights.get(i, 0.0) + other.weights.get(i, 0.0) for i in {*self.weights, *other.weights}}
        return _Linear(self.constant + other.constant, weights)

    def times(self, factor: float) -> _Linear:
        return _Linear(self.constant * factor, {i: weight * factor for i, weight in self.weights.items()})


def _linear(text: str, node: ast.expr) -> _Linear:
    """Read one side of the inequality."""
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as value):
            return _Linear(float(value)) if abs(value) < 1e300 else _Linear(math.inf)
        case ast.Name(id=name):
            return _Linear(weights={_parameter(text, name): 1.0})
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _linear(text, operand).times(-1.0)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _linear(text, operand)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _linear(text, left) + _linear(text, right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _linear(text, left) + _linear(text, right).times(-1.0)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _product(text, _linear(text, left), _linear(text, right))
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            divisor = _linear(text, right)
            if divisor.weights or divisor.constant == 0:
                raise _refused(text, "only a number other than zero may divide")
            return _linear(text, left).times(1 / divisor.constant)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            inner = _linear(text, argument)
            if inner.weights:
                raise _refused(text, f"{name}() of a parameter is not linear")
            try:
                return _Linear(_FUNCTIONS[name](inner.constant))
            except (ValueError, ZeroDivisionError, OverflowError):
                raise _refused(text, f"{name}({inner.constant:g}) does not exist") from None
    raise _refused(text, f"{ast.unparse(node)!r} is not part of a linear inequality")


def _product(text: str, left: _Linear, right: _Linear) -> _Linear:
    if left.weights and right.weights:
        raise _refused(text, "a product of parameters is not linear")
    return right.times(left.constant) if right.weights else left.times(right.constant)


def _parameter(text: str, name: str) -> int:
    if name in _SHORT_NAMES:
        return _SHORT_NAMES[name]
    numbered = re.fullmatch(r"(?:theta|x)(0|[1-9]\d?)", name)
    if numbered is None and re.fullmatch(r"p_?\d*", name):
        raise _refused(text, f"{name!r} is no parameter. {_RATES}")
    if numbered is None:
        raise _refused(text, f"{name!r} is no parameter: use theta0 to theta{_MAX_PARAMETER}, x0, x1, ..., or x, y, z")
    return int(numbered[1])


def _refused(text: object, reason: str) -> HypothesisSyntaxError:
    shown = text if not isinstance(text, str) or len(text) <= 100 else text[:100] + "..."
    return HypothesisSyntaxError(f"The null hypothesis {shown!r} is refused: {reason}. {_EXAMPLE}")
