"""The mutants of studies/mutants can all be made of today's source."""

from __future__ import annotations

import pytest

from studies.mutants.mutant import KINDS, MutantError, catalogue


def test_every_mutant_applies():
    problems = []
    for mutant in catalogue():
        try:
            mutant.check()
        except MutantError as error:
            problems.append(str(error))
    assert not problems, "\n".join(problems)


def test_every_kind_has_mutants():
    assert {mutant.kind for mutant in catalogue()} == set(KINDS)


@pytest.mark.parametrize(("change", "said"), [
    ({"before": "no such fragment"}, "occurs 0 times"),
    ({"before": "import"}, "must occur once"),
    ({"after": "("}, "is no Python"),
    ({"kind": "strange"}, "is no kind"),
    ({"tests": ()}, "must name files of tests"),
    ({"tests": ("unit/test_nothing.py",)}, "must name files of tests"),
    ({"tests": ("unit/test_mutants.py::test_nothing",)}, "must name files of tests"),
])  # fmt: skip
def test_a_mutant_that_does_not_apply_is_named(change, said):
    from dataclasses import replace

    mutant = catalogue()[0]
    with pytest.raises(MutantError, match=f"{mutant.name}: .*{said}"):
        replace(mutant, **change).check()
