"""What is measured, and the tiles and designs it is measured on."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, final

if TYPE_CHECKING:
    from adagrid.grid import Tiles
    from adagrid.models import Model

Design: TypeAlias = Literal["z-test", "Fisher"]
Job: TypeAlias = Literal["validate", "calibrate"]

SEED = 1
ALPHA = 0.025
N_BOOTSTRAP = 50
PATIENTS = 50
# In the design's own direction: the z-test rejects above, Fisher's test below.
THRESHOLDS: dict[Design, float] = {"z-test": 1.96, "Fisher": ALPHA}


@final
@dataclass(frozen=True)
class Case:
    """One packet to simulate.

    Args:
        design: which test.
        job: which algorithm.
        n_sims: simulations per tile.
        n_tiles: tiles.
    """

    design: Design
    job: Job
    n_sims: int
    n_tiles: int

    def to_json(self) -> str:
        """Return the case as text for another process."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Case:
        """Return the case that a text holds."""
        return Case(**json.loads(text))

    def model(self) -> Model:
        """Return the design."""
        from adagrid.models import FisherExact, ZTest

        return ZTest() if self.design == "z-test" else FisherExact(PATIENTS)

    def tiles(self) -> Tiles:
        """Return the tiles: means from -1 to 0, or logits from -1 to 0.5 with the treatment's at most the control's."""
        from adagrid.grid import cartesian_grid

        if self.design == "z-test":
            grid = cartesian_grid([-1.0], [0.0], n=self.n_tiles)
        else:
            side = math.ceil((math.sqrt(8 * self.n_tiles + 1) - 1) / 2)  # a triangle of at least n_tiles
            grid = cartesian_grid([-1.0, -1.0], [0.5, 0.5], n=side, null_hypos=["theta1 <= theta0"])
        return grid.tiles.take(slice(self.n_tiles)).with_n_sims(self.n_sims)
