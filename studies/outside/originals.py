"""Sound jobs, as files and as exports, from which what somebody else sends is made."""

from __future__ import annotations

import shutil
from pathlib import Path

import adagrid as ada
from tests.support import flat

SECRET = "SECRET-4711"
KINDS = ("classic.duckdb", "staged.duckdb", "classic-parquet", "classic-csv", "staged-parquet")


def make(folder: Path) -> None:
    """Make all originals in a new folder, and a file next to them that nobody may read."""
    folder.mkdir(parents=True)
    grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["theta0 <= 0"])
    how = {"threshold": 1.96, "grid": grid, "family_sims": 128, "progress": False}
    jobs = {
        "classic": flat.ada_validate(
            ada.ZTest(), **how, init_sims=64, max_sims=256, n_steps=3, db=folder / "classic.duckdb"
        ),
        "staged": flat.ada_validate(
            ada.ZTest(), **how, method="interpolated", max_target=0.05, global_target=0.05, db=folder / "staged.duckdb"
        ),
    }
    for name, run in jobs.items():
        run.export(folder / f"{name}-parquet")
        if name == "classic":
            run.export(folder / f"{name}-csv", "csv")
        run.close()


def copied(folder: Path, kind: str, target: Path) -> Path:
    """Copy an original to a new folder, with the secret outside of it, and return where the copy is."""
    target.mkdir(parents=True)
    (target / "secret.txt").write_text(SECRET)
    (target / "secret.csv").write_text(f"position,description,definition\n0,{SECRET},{{}}\n")
    place = target / "sent" / kind
    place.parent.mkdir()
    if kind.endswith(".duckdb"):
        shutil.copyfile(folder / kind, place)
    else:
        shutil.copytree(folder / kind, place)
    return place
