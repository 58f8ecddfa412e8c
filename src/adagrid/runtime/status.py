"""How a step, a zone or a run ends: a value with a sentence for the user."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """The outcome of a step or of a run.

    Examples:
        >>> ada.Status.CONVERGED.sentence
        'All targets are met.'
    """

    NEW_STEP = "The job runs, or was stopped: run the same again to go on."
    CONVERGED = "All targets are met."
    EMPTY_STEP = (
        "Nothing is left that a step could improve, but the targets are not met. What was found is valid; start a new "
        "job with larger max_sims (classic) or looser targets."
    )
    NO_NEW_TILES = "The step left all its tiles as they are; the next one looks at others."
    REACHED_N_STEPS = (
        "The number of steps is used up. What was found is valid; to get further, continue with "
        "overrides={'n_steps': ...}."
    )
    TIMED_OUT = (
        "The time is used up. What was found is valid; to get further, continue, with overrides={'timeout': ...} "
        "if need be."
    )
    REFUTED = (
        "Simulations contradict the declared family or the computed errors, so nothing is certified. Correct the "
        "design and start a new job."
    )
    ALREADY_EXISTS = "The step had been finished before; nothing was done again."

    @property
    def sentence(self) -> str:
        """The meaning of the outcome, and what to do."""
        return self.value

    def __str__(self) -> str:
        return self.name
