"""What type checkers know of the package. Never run: mypy reads it in `make lint`, and refuses a needless ignore."""

from __future__ import annotations

from typing import assert_type

import adagrid as ada

assert_type(ada.ZTest(n=3), ada.ZTest)
assert_type(ada.models.FisherExact(12), ada.FisherExact)
assert_type(ada.ada_validate(ada.ZTest(), threshold=1.96).bound, float)
ada.ZTest(patients=3)  # type: ignore[call-arg]
ada.Nonexistent(3)  # type: ignore[attr-defined]
ada.models.Nonexistent(3)  # type: ignore[attr-defined]
