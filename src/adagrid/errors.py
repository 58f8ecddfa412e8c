"""The exceptions of adagrid, in one tree.

AdagridError
├── InvalidInputError (ValueError)    an argument, a design or a grid breaks a rule; nothing was written
│   ├── HypothesisSyntaxError         a null hypothesis given as text cannot be read
│   └── DomainError                   parameters outside the natural parameter space of the family
├── ModelError                        the design raised, or returned NaN or a wrong shape, in a simulation
├── StoreError                        the database cannot be used
│   ├── NotAJobError                  the file is no adagrid database, or one of another schema version
│   ├── StoreBusyError                another process has the database open
│   └── CorruptStoreError             rows contradict each other, or something is there that no job has
├── BackendError                      the machines that a run works on cannot be reached, or die
├── ResumeError (ValueError)          a job cannot be continued as asked
└── MissingExtraError (ImportError)   an optional library is needed

Every message states the rule that was broken, the value received, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adagrid._plain import plain


def at_most_ten(problems: Iterable[str]) -> list[str]:
    """Return the first ten problems of a kind, and how many more there are."""
    found = list(problems)
    return found[:10] + ([f"... and {len(found) - 10:,} more of this kind."] if len(found) > 10 else [])


class AdagridError(Exception):
    """Root of every exception that adagrid raises on purpose.

    Messages may repeat text from files, so control characters in them are escaped.

    Examples:
        >>> try:
        ...     ada.FisherExact(n=0)
        ... except ada.AdagridError as error:
        ...     print(error)
        n must be a positive whole number, or several; got n=0.
    """

    def __str__(self) -> str:
        return plain(super().__str__(), lines=True)


class InvalidInputError(AdagridError, ValueError):
    """An argument, a design or a grid breaks a rule.

    Nothing was written.

    Args:
        problems: one sentence per broken rule. All of them are reported at once.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class HypothesisSyntaxError(InvalidInputError):
    """A null hypothesis given as text cannot be read."""


class DomainError(InvalidInputError):
    """Parameters lie outside the natural parameter space of the family."""


class ModelError(AdagridError):
    """The design raised, or returned NaN or a wrong shape.

    Committed rows stay, and the job can be resumed.
    """


class StoreError(AdagridError):
    """The database cannot be used."""


class NotAJobError(StoreError):
    """The database holds no job of this version.

    The file is no adagrid database, holds no job, or was written with another schema version.
    """


class StoreBusyError(StoreError):
    """Another process has the database open."""


class CorruptStoreError(StoreError):
    """The database contradicts itself.

    Rows contradict each other, or a file or database holds data that no job wrote.
    """


class BackendError(AdagridError):
    """The machines of a run cannot be reached, or die.

    Committed rows stay, and the job can be resumed.
    """


class ResumeError(AdagridError, ValueError):
    """A job cannot be continued as asked; nothing was changed."""


class MissingExtraError(AdagridError, ImportError):
    """An optional library is needed that is not installed."""
