"""Hypotheses as text: right inputs give the right half-space, all others are refused with a reason."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adagrid._typing import FloatArray
from adagrid.errors import HypothesisSyntaxError, InvalidInputError
from adagrid.grid import HalfSpace, hypo

DIM = 4


def random_points() -> FloatArray:
    generator = np.random.default_rng(4)
    return np.concatenate([generator.normal(0, scale, (400, DIM)) for scale in (0.3, 3.0, 50.0)])


def assert_same_half_space(text: str, inequality: Callable[[list[float]], bool]) -> None:
    points = random_points()
    distance = hypo(text).in_dimension(DIM).dist(points)
    clear = np.abs(distance) > 1e-9
    assert clear.sum() > 1000
    expected = [inequality(point) for point in points[clear].tolist()]
    assert (distance[clear] > 0).tolist() == expected


@pytest.mark.parametrize(
    ("text", "inequality"),
    [
        ("x <= 0.3", lambda t: t[0] <= 0.3),
        ("x >= 0.3", lambda t: t[0] >= 0.3),
        ("x < 0.3", lambda t: t[0] < 0.3),
        ("0.3 > x", lambda t: t[0] < 0.3),
        ("0.3 < x", lambda t: t[0] > 0.3),
        ("theta0 <= theta1", lambda t: t[0] <= t[1]),
        ("theta1 <= theta0 - 0.1", lambda t: t[1] <= t[0] - 0.1),
        ("x1 - x0 > .25", lambda t: t[1] - t[0] > 0.25),
        ("x3 <= 1", lambda t: t[3] <= 1),
        ("theta3 < theta2 + x1 - x", lambda t: t[3] < t[2] + t[1] - t[0]),
        ("z >= -1", lambda t: t[2] >= -1),
        ("-x <= 2", lambda t: -t[0] <= 2),
        ("+x <= -2", lambda t: +t[0] <= -2),
        ("--x < 1", lambda t: t[0] < 1),
        ("2*x + 3*y < 1", lambda t: 2 * t[0] + 3 * t[1] < 1),
        ("x*2 + y*3 < 1", lambda t: 2 * t[0] + 3 * t[1] < 1),
        ("2*(x - y)/3 >= (1 + 1)*(2 - 3)", lambda t: 2 * (t[0] - t[1]) / 3 >= -2),
        ("(x + y)/2 <= z", lambda t: (t[0] + t[1]) / 2 <= t[2]),
        ("-(x - 2*(y - 3*(z + 1))) <= 4", lambda t: -(t[0] - 2 * (t[1] - 3 * (t[2] + 1))) <= 4),
        ("x + x + x <= 1 - y - y", lambda t: 3 * t[0] <= 1 - 2 * t[1]),
        ("x - x + y <= 0", lambda t: t[1] <= 0),
        ("0*x + y <= 1", lambda t: t[1] <= 1),
        ("y <= z + 0*theta50", lambda t: t[1] <= t[2]),
        ("x <= 1 + x - y", lambda t: t[1] <= 1),
        ("x <= log(2)", lambda t: t[0] <= math.log(2)),
        ("x <= -log(2) * y", lambda t: t[0] <= -math.log(2) * t[1]),
        ("x < logit(0.3)", lambda t: t[0] < math.log(0.3 / 0.7)),
        ("x <= logit(3/10) + sqrt(2*2)", lambda t: t[0] <= math.log(0.3 / 0.7) + 2),
        ("x*exp(-1) <= exp(1)", lambda t: t[0] <= math.exp(2)),
        ("x <= logit(exp(log(1/4)))", lambda t: t[0] <= -math.log(3)),
        ("x <= 1e-3", lambda t: t[0] <= 0.001),
        ("1e3*x <= 1", lambda t: t[0] <= 0.001),
        ("x <= 1_0", lambda t: t[0] <= 10),
        ("   x<=1\n", lambda t: t[0] <= 1),
        ("x\t<=\t(1\n+ 2)", lambda t: t[0] <= 3),
        ("x <= 1  # the control arm", lambda t: t[0] <= 1),
    ],
)
def test_text_gives_the_half_space_that_it_says(text, inequality):
    assert_same_half_space(text, inequality)


# Random linear expressions, with Python itself as the oracle.

names = st.sampled_from(["x", "y", "z", "theta0", "theta1", "theta2", "theta3", "x0", "x1", "x2", "x3"])
numbers = st.sampled_from(["0", "1", "2", "10", "0.5", ".125", "3.", "1e-2", "2.5e1", "log(3)", "exp(-1)", "sqrt(2)"])
divisors = st.sampled_from(["2", "0.5", "-4", "(1 + 2)", "exp(0.5)"])
VALUES = {"log": math.log, "exp": math.exp, "sqrt": math.sqrt, "__builtins__": {}}


def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from([" + ", "-", " - ", "+"]), inner).map("".join),
        st.tuples(numbers, inner).map(lambda parts: f"{parts[0]}*({parts[1]})"),
        st.tuples(inner, numbers).map(lambda parts: f"({parts[0]}) * {parts[1]}"),
        st.tuples(inner, divisors).map(lambda parts: f"({parts[0]})/{parts[1]}"),
        inner.map(lambda text: f"-({text})"),
        inner.map(lambda text: f"( {text})"),
    )


linear = st.recursive(st.one_of(names, numbers), deeper, max_leaves=8)


@settings(max_examples=150, deadline=None)
@given(left=linear, comparison=st.sampled_from(["<=", "<", ">=", ">"]), right=linear)
def test_random_text_means_what_python_means(left, comparison, right):
    def difference(point: list[float]) -> float:
        values = {f"{name}{i}": value for name in ("theta", "x") for i, value in enumerate(point)}
        values |= dict(zip("xyz", point, strict=False))
        return float(eval(f"({left}) - ({right})", VALUES, values))

    points = random_points()[::40].tolist()
    differences = np.array([difference(point) for point in points])
    scale = max(1.0, np.abs(differences).max())
    try:
        half_space = hypo(f"{left} {comparison} {right}").in_dimension(DIM)
    except HypothesisSyntaxError as refusal:
        if "no parameter is left" not in str(refusal) or np.ptp(differences) > 1e-9 * scale:
            raise
        return
    distance = half_space.dist(np.array(points))
    clear = np.abs(differences) > 1e-9 * scale
    expected = differences < 0 if "<" in comparison else differences > 0
    if np.ptp(differences) > 1e-9 * scale:  # else rounding alone kept a parameter
        assert ((distance > 0) == expected)[clear].all()


@pytest.mark.parametrize(("weak", "strict"), [("x <= y", "x < y"), ("2*x >= 1", "2*x > 1")])
def test_strict_and_weak_mean_the_same(weak, strict):
    assert hypo(weak) == hypo(strict)
    assert hypo(strict).in_dimension(2).dist(np.array([0.5, 0.5])) == 0.0


def test_distance_is_to_the_nearest_point_of_the_boundary():
    """Walking the distance along the steepest direction ends on the boundary."""
    half_space = hypo("3*x - 4*y <= 2")
    points = random_points()[:, :2]
    distance = half_space.dist(points)
    outward = np.array([3.0, -4.0]) / 5
    np.testing.assert_allclose((points + distance[:, None] * outward) @ [3.0, -4.0], 2.0, atol=1e-10)


@pytest.mark.parametrize("factor", ["1e-250", "1e-200", "1e-160", "1e-30", "1e30", "1e160", "1e200"])
def test_a_positive_factor_changes_nothing(factor):
    points = random_points()[:, :2]
    scaled = hypo(f"{factor}*x - {factor}*2*y <= {factor}*3")
    np.testing.assert_allclose(scaled.dist(points), hypo("x - 2*y <= 3").dist(points), rtol=1e-9, atol=1e-12)


def test_text_describes_itself():
    for text in ("x <= 0.25", "theta1 <= theta0 - 0.125", "2*x - 3*theta2 >= 0.5"):
        assert hypo(hypo(text).describe()) == hypo(text)


# Refusals.


def assert_refused(text: object, reason: str = "") -> None:
    with pytest.raises(HypothesisSyntaxError) as refusal:
        hypo(text)  # type: ignore[arg-type]
    message = str(refusal.value)
    assert reason in message
    assert 'hypo("theta1 <= theta0 - 0.1")' in message
    shown = text[:100] if isinstance(text, str) else text
    assert repr(shown)[:-1] in message
    assert isinstance(refusal.value, InvalidInputError)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x * y <= 1", "product of parameters"),
        ("x * x <= 1", "product of parameters"),
        ("(x + 1) * (y + 2) <= 1", "product of parameters"),
        ("1/x <= 1", "may divide"),
        ("y/(x + 1) <= 1", "may divide"),
        ("x/0 <= 1", "zero"),
        ("x/(1 - 1) <= 1", "zero"),
        ("1/0 <= x", "zero"),
        ("x ** 2 <= 1", "x ** 2"),
        ("x ^ 2 <= 1", "x ^ 2"),
        ("x % 2 <= 1", "x % 2"),
        ("x // 2 <= 1", "x // 2"),
        ("x @ y <= 1", "x @ y"),
        ("~x <= 1", "~x"),
        ("x | y <= 1", "x | y"),
        ("0 <= x <= 1", "one inequality"),
        ("x < y < z", "one inequality"),
        ("x <= 1 and y <= 2", "one inequality"),
        ("not x <= 1", "one inequality"),
        ("x", "one inequality"),
        ("1", "one inequality"),
        ("x <= 1, y <= 2", "one inequality"),
        ("x <= y if z else 1", "one inequality"),
        ("(y := 1) <= x", "not part of a linear inequality"),
        ("x == 1", "only <=, <, >= and >"),
        ("x != 1", "only <=, <, >= and >"),
        ("x in y", "only <=, <, >= and >"),
        ("x is y", "only <=, <, >= and >"),
        ("x = 1", "cannot be read"),
        ("x =< 1", "cannot be read"),
        ("x <= ", "cannot be read"),
        ("2x <= 1", "cannot be read"),
        ("x <= 1\ny <= 2", "cannot be read"),
        ("x <= 1;", "cannot be read"),
        ("import os", "cannot be read"),
        ("(x <= 1", "cannot be read"),
        ("x ≤ 1", "cannot be read"),
        ("x <= \0", "cannot be read"),
        ("", "cannot be read"),
        ("   ", "cannot be read"),
        ("p0 <= 1", "'p0' is no parameter"),
        ("theta <= 1", "'theta' is no parameter"),
        ("theta01 <= 1", "'theta01' is no parameter"),
        ("theta100 <= 1", "'theta100' is no parameter"),
        ("w <= 1", "'w' is no parameter"),
        ("inf >= x", "'inf' is no parameter"),
        ("__import__('os') <= x", "not part of a linear inequality"),
        ("print(x) <= 1", "not part of a linear inequality"),
        ("exp(x) <= 1", "exp() of a parameter"),
        ("logit(x) <= 1", "logit() of a parameter"),
        ("exp() <= x", "not part of a linear inequality"),
        ("exp(1, 2) <= x", "not part of a linear inequality"),
        ("exp(x=1) <= x", "not part of a linear inequality"),
        ("exp(*x) <= x", "not part of a linear inequality"),
        ("log <= x", "'log' is no parameter"),
        ("log(0) <= x", "log(0) does not exist"),
        ("log(-1) <= x", "log(-1) does not exist"),
        ("sqrt(-1) <= x", "sqrt(-1) does not exist"),
        ("logit(0) <= x", "logit(0) does not exist"),
        ("logit(1) <= x", "logit(1) does not exist"),
        ("logit(1.5) <= x", "logit(1.5) does not exist"),
        ("exp(1000) <= x", "exp(1000) does not exist"),
        ("x.real <= 1", "x.real"),
        ("x.__class__ <= 1", "x.__class__"),
        ("x[0] <= 1", "x[0]"),
        ("(lambda: 1) <= x", "lambda"),
        ("[x] <= 1", "[x]"),
        ("{} <= x", "{}"),
        ("(x, y) <= 1", "(x, y)"),
        ("[y for y in x] <= 1", "not part of a linear inequality"),
        ("x <= 'a'", "'a'"),
        ("x <= b'a'", "b'a'"),
        ("f'{x}' <= 1", "not part of a linear inequality"),
        ("x <= True", "True"),
        ("False <= x", "False"),
        ("x <= None", "None"),
        ("x <= ...", "..."),
        ("x <= 1j", "1j"),
        ("x <= 1e400", "too large"),
        ("x <= -1e400", "too large"),
        ("1e400*x <= 1", "too large"),
        ("x <= 1e200*1e200", "too large"),
        ("x <= 1e400 - 1e400", "too large"),
        ("x <= 0*1e400", "too large"),
        ("x <= " + "9" * 900, "too large"),
        ("0*x <= 1", "no parameter is left"),
        ("x - x <= 1", "no parameter is left"),
        ("x <= x", "no parameter is left"),
        ("1 <= 2", "no parameter is left"),
    ],
)
def test_everything_else_is_refused_with_a_reason(text, reason):
    assert_refused(text, reason)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("theta0 =< 0", "write <= for =<"),
        ("theta0 => 0", "write >= for =>"),
        ("theta0 \u2264 0", "write <= for \u2264"),
        ("theta0 = 0", "write <= or >= for ="),
        ("theta0 <= 0,5", "write decimals with a point"),
        ("theta1 <= theta0 and theta2 <= theta0", 'such as ["theta1 <= theta0", "theta2 <= theta0"]'),
        ("p1 - p0 <= -0.1", "ada.RiskDifference(treatment=1, control=0, margin=-0.1) for p1 - p0 <= -0.1"),
        ("p1 - p0 <= -0.1", 'scale="probability" the parameters are rates: write theta1 - theta0 <= -0.1'),
        ("p1 <= p0", "write theta1 <= theta0 for p1 <= p0"),
        ("p <= 0.3", "theta0 <= logit(0.3) for p0 <= 0.3"),
    ],
)
def test_the_refusal_names_what_to_write(text, remedy):
    assert_refused(text, remedy)


@pytest.mark.parametrize("text", [None, 1, 0.5, True, b"x <= 1", ["x <= 1"], ("x", 1), object])
def test_only_text_is_read(text):
    assert_refused(text, "not a string")


def test_very_long_text_is_refused_and_not_shown_in_full():
    text = "x <= 1" + " + 1" * 100_000
    assert_refused(text, "at most 1000 characters")
    with pytest.raises(HypothesisSyntaxError) as refusal:
        hypo(text)
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize(
    "text",
    [
        "(" * 490 + "x" + ")" * 490 + " <= 1",
        "exp(" * 150 + "x" + ")" * 150 + " <= 1",
        "-" * 900 + "x.y <= 1",
        "[" * 900 + " <= 1",
        "x <= " + "(" * 900,
        "x <= " + "1+" * 490 + "q",
    ],
)
def test_deep_nesting_is_refused(text):
    assert_refused(text)


def test_many_signs_are_read_or_refused_but_never_wrong():
    """Depth may exhaust the stack; what is accepted has the right sign."""
    for signs in (1, 2, 51, 300, 900):
        text = "-" * signs + "x <= 1"
        try:
            half_space = hypo(text)
        except HypothesisSyntaxError:
            if signs < 300:
                raise
        else:
            assert half_space == hypo("-x <= 1" if signs % 2 else "x <= 1")


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=40),
        st.text(alphabet="xyz01.e+-*/()<>= ,'[]", max_size=30),
        st.lists(
            st.sampled_from(
                ["x", "y", "<=", ">", "+", "-", "*", "/", "(", ")", "1", "0", "1e308", "exp", "log", "theta7"]
            ),
            max_size=12,
        ).map(" ".join),
    )
)
def test_any_text_is_read_or_refused(text):
    try:
        half_space = hypo(text)
    except HypothesisSyntaxError:
        return
    assert isinstance(half_space, HalfSpace)
    assert np.isfinite([*half_space.normal, half_space.offset]).all()
    assert any(half_space.normal)
