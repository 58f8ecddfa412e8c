"""Where the project lies, and what processes need that tests start."""

from __future__ import annotations

import os
from pathlib import Path

import adagrid as ada

ROOT = Path(__file__).parents[2]
# The environment variable with which a process of its own finds adagrid and these helpers.
IMPORTS = {"PYTHONPATH": os.pathsep.join([str(Path(ada.__file__).parents[1]), str(ROOT)])}
