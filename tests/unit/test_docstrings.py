"""Every public docstring begins with one short sentence, and has examples that run."""

from __future__ import annotations

import doctest
import inspect

import pytest

import adagrid as ada

PUBLIC = {name: getattr(ada, name) for name in ada.__all__ if not inspect.ismodule(getattr(ada, name))}
ERRORS = {
    name: each for name, each in vars(ada.errors).items() if inspect.isclass(each) and issubclass(each, Exception)
}
METHODS = {
    f"{cls.__name__}.{name}": getattr(cls, name)
    for cls in (ada.Grid, ada.Method, ada.Run, ada.View)
    for name, member in vars(cls).items()
    if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # examples write files
    assert "\nExamples:\n" in inspect.getdoc(PUBLIC[name])
    tests = doctest.DocTestFinder().find(PUBLIC[name], name, globs={"ada": ada})
    assert any(test.name == name and test.examples for test in tests)
    runner, report = doctest.DocTestRunner(optionflags=FLAGS), []
    for test in tests:
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("name", PUBLIC | ERRORS | METHODS)
def test_first_line_is_one_short_sentence(name):
    first = inspect.getdoc((PUBLIC | ERRORS | METHODS)[name]).splitlines()[0]
    assert first.endswith(".")
    assert len(first.split()) <= 10, first
