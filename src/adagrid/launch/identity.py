"""Records and fingerprints of designs and grids, so that a job is not continued with different ones."""

from __future__ import annotations

import hashlib

import numpy as np

from adagrid._source import source_of
from adagrid.families import family_record
from adagrid.grid import Grid
from adagrid.grid.definition import values
from adagrid.grid.hypotheses import split_half_spaces
from adagrid.models import Model
from adagrid.models._identity import model_arguments, model_content, model_name
from adagrid.records import ModelRecord
from adagrid.runtime.environment import blotted


def model_record(model: Model, program: str | None) -> ModelRecord:
    """Return the record of a design.

    Args:
        model: the design.
        program: the fingerprint of what it simulates.
    """
    source = source_of([model])
    packages = [f'"{package}"' for package in source.packages]  # which stand for their source
    return ModelRecord(
        name=model_name(model),
        arguments=blotted(model_arguments(model)),
        content=f"{model_content(model)} {source.data}",
        reject_when=model.reject_when,
        precision=model.precision,
        family=repr(model.family),
        family_fields=family_record(model.family),
        coordinates=model.family.coordinates,
        program=program,
        source=None if source.text is None else blotted("\n".join([source.text, *packages])),
        family_source=blotted(source_of([model.family]).text),
    )


def grid_fingerprint(grid: Grid) -> str:
    """Return a hash of a grid's tiles and hypotheses."""
    digest = hashlib.sha256()
    for tiles in (grid.tiles, grid.retired):
        for column in (tiles.id, tiles.theta, tiles.radius, tiles.null_truth):
            digest.update(np.ascontiguousarray(column).tobytes())
    digest.update(repr([hypothesis.describe() for hypothesis in grid.hypotheses]).encode())
    digest.update(b"alternatives" if grid.of_alternatives else b"")
    for hypothesis in split_half_spaces(grid.hypotheses)[1].values():  # whose words may leave something out
        digest.update(repr(values(hypothesis)).encode())
    return digest.hexdigest()[:32]
