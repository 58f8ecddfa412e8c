"""What is checked of a grid before a job is started."""

from __future__ import annotations

import numpy as np

from adagrid.bounds import tilt_bound
from adagrid.errors import InvalidInputError
from adagrid.families import Family
from adagrid.grid import Grid, Tiles
from adagrid.grid.hypotheses import split_half_spaces
from adagrid.models import Model
from adagrid.settings.goals import Goal, Validation


def check_grid(grid: Grid, model: Model) -> None:
    """Check that the design's family covers the grid."""
    if not isinstance(grid, Grid):
        raise InvalidInputError(f"grid must be made by cartesian_grid or create_grid; got {type(grid).__name__}.")
    family = model.family
    if grid.dim != family.dim:
        raise InvalidInputError(
            f"The grid must have the parameters of the design's family {family} ({family.dim}: {family.coordinates}); "
            f"got {grid.dim}."
        )
    _check_coordinates(grid, family)
    _check_scales(grid, family)
    tilt_bound(family, grid.tiles.theta, grid.tiles.displacements(grid.tiles.theta), 0.5)  # raises DomainError


def _check_coordinates(grid: Grid, family: Family) -> None:
    """Check that hypotheses about probabilities are about parameters that are their logits."""
    for hypothesis in grid.hypotheses:
        wrong = [i for i in hypothesis.probabilities if family.scales[i] != "probability"]
        if wrong:
            raise InvalidInputError(
                f"The hypothesis {hypothesis.describe()} takes theta{wrong[0]} for the logit of a probability, but the "
                f"parameters of {family} are {family.coordinates}. State a hypothesis about these, such as "
                f"'theta1 <= theta0 - 0.1', or a class of your own."
            )


def _check_scales(grid: Grid, family: Family) -> None:
    """Check that parameters were stated in scales that the family has, and that rates are not taken for logits."""
    if grid.scales is not None:
        wrong = [i for i, scale in enumerate(grid.scales) if scale not in ("natural", family.scales[i])]
        if wrong:
            raise InvalidInputError(
                f"scale={grid.scales[wrong[0]]!r} of theta{wrong[0]} does not fit {family}, whose parameters are "
                f"{family.coordinates}. Use {family.scales[wrong[0]]!r} or 'natural'."
            )
        return
    rates = np.array([scale == "probability" for scale in family.scales])
    if not rates.any():
        return
    tiles = Tiles.concatenate([grid.tiles, grid.retired])
    lower, upper = (tiles.theta - tiles.radius).min(axis=0), (tiles.theta + tiles.radius).max(axis=0)
    if (lower[rates] > 0).all() and (upper[rates] < 1).all():
        raise InvalidInputError(
            f"The parameters of {family} are logits, and all limits of the region are between 0 and 1, as response "
            f"rates are: from {lower[rates].tolist()} to {upper[rates].tolist()}. Say scale='probability' in "
            "cartesian_grid if they are rates, or scale='natural' if they are logits."
        )


def check_role(grid: Grid, goal: Goal) -> None:
    """Check that a grid's hypotheses are what the quantity is bounded for."""
    wanted = goal.quantity if isinstance(goal, Validation) else "error"
    if wanted == "power" and grid.hypotheses and not grid.of_alternatives:
        raise InvalidInputError(
            "Power is bounded where alternatives hold, which are more than the null hypotheses' being false (at their "
            "boundary power is the Type I Error): make the grid with alternatives=, such as 'theta1 >= theta0 + 0.5', "
            f"in place of null_hypos={[hypothesis.describe() for hypothesis in grid.hypotheses]}."
        )
    if wanted == "error" and grid.of_alternatives:
        raise InvalidInputError(
            "The grid has alternatives, under which there is no Type I Error. Ask for quantity='power' in ada_validate "
            "or validate, or make the grid with null_hypos=."
        )
    curved = split_half_spaces(grid.hypotheses)[1]
    if wanted == "mean" and curved and len(grid.hypotheses) > 1:
        raise InvalidInputError(
            "The mean of a statistic is bounded over hypotheses, at most one of them not a half-space, because next to "
            "a curved boundary it would be that of another choice of true hypotheses; got "
            f"{[hypothesis.describe() for hypothesis in grid.hypotheses]}."
        )
