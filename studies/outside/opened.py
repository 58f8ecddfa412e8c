"""Opens what somebody else may have sent, as a reviewer would, and tells what came of it.

`python -m studies.outside.opened FOLDER FIRST LAST [hostile]` does so for some numbers, one line of JSON each, in a
process of its own, for the engine may crash or hang on bytes that nobody wrote by accident.
"""

from __future__ import annotations

import io
import json
import resource
import shutil
import sys
import traceback
import unicodedata
import warnings
from pathlib import Path

from rich.console import Console

import adagrid as ada
from adagrid.errors import AdagridError
from adagrid.screens import snapshot_screen, worst_table
from adagrid.testing import PandasStore
from studies.outside.mutations import HOSTILE_BYTES, mutate
from studies.outside.originals import KINDS, SECRET, copied

# Memory that any of it may take (bytes), above what the libraries reserve.
_MEMORY = 8 * 2**30


def opened(place: Path) -> str:
    """Read everything that a job shows, and return what came of it: "sound", or the name of an error of ours."""
    texts: list[str] = []
    try:
        _read(place, texts)
        outcome = "sound"
    except AdagridError as error:
        outcome = type(error).__name__
        texts.append(str(error))
    for text in texts:
        strange = {each for each in text if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n", "\t"}
        if strange:
            return f"FAILED: displays {strange}"
        if SECRET in text:
            return "FAILED: displays the secret"
    return outcome


def _read(place: Path, texts: list[str]) -> None:
    run = ada.open_job(place) if place.suffix == ".duckdb" else ada.import_job(place)
    with run:
        texts += [repr(run), run.summary(), str(run.counts())]
        for frame in (
            run.results(),
            run.table("tiles"),
            run.table("config"),
            run.table("reports"),
            run.table("logs"),
            run.table("null_hypos"),
            run.table("lines"),
        ):
            if SECRET in repr(frame.astype(str).to_numpy().tolist()):
                texts.append(SECRET)
        texts += [_shown(worst_table(run.record, run.worst_tiles(3), 7)), str(run.bound), str(run.threshold)]
        with ada.open_view(run._store) as view:
            texts.append(_shown(snapshot_screen(view.look())))
        texts.append(str(run.slack()))
        run.verify()
        ada.copy_job(run._store, PandasStore())
        run.export(place.parent / "again")


def _shown(screen: object) -> str:
    output = io.StringIO()
    Console(file=output, width=100).print(screen)
    return output.getvalue()


def main() -> None:
    """Try some numbers."""
    folder, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    changes = [(1, HOSTILE_BYTES)] if "hostile" in sys.argv else None
    kinds = KINDS[:2] if changes else KINDS
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    warnings.simplefilter("ignore")
    for number in range(first, last):
        target = folder / str(number)
        place = copied(folder / "originals", kinds[number % len(kinds)], target)
        what = mutate(place, number, changes)
        print(json.dumps({"number": number, "kind": place.name, "what": what}), flush=True)
        try:
            outcome = opened(place)
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            outcome = f"FAILED: {type(error).__name__}: {str(error)[:200]} at {where.filename}:{where.lineno}"
        print(json.dumps({"number": number, "outcome": outcome}), flush=True)
        shutil.rmtree(target, ignore_errors=True)


if __name__ == "__main__":
    main()
