"""Ctrl-C and SIGTERM end a run cleanly, wherever it is, with a word about what is saved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import closing

import pytest

from adagrid.testing import PandasStore
from tests.support.jobcases import assert_same, run_case, tables
from tests.support.paths import IMPORTS

_SCRIPT = textwrap.dedent(
    """
    import os, signal, sys
    import adagrid as ada
    from adagrid.stores.duckdb import DuckDBStore
    from tests.support.jobcases import run_case

    path, name, moment = sys.argv[1], sys.argv[2], int(sys.argv[3])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what starts the tests may ignore it
    append, count = DuckDBStore._append, [0]

    def stopping(store, frames):
        append(store, frames)
        count[0] += 1
        if count[0] == moment:
            os.kill(os.getpid(), getattr(signal, name))

    DuckDBStore._append = stopping
    {action}
    """
)
_RUN = 'run_case("validate_z", db=None if path == "-" else path, packet_size=1)'
_COMMAND = "from adagrid.cli import app; sys.argv[1:] = ['demo', '--folder', path]; app()"


def _stop(action: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(action=action), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | IMPORTS | {"COLUMNS": "200"},
    )


@pytest.mark.parametrize(("name", "moment"), [("SIGINT", 9), ("SIGTERM", 12)])
def test_interrupted_script_goes_on(name, moment, tmp_path):
    path = tmp_path / "job.duckdb"
    answer = _stop(_RUN, str(path), name, str(moment))
    assert answer.returncode == -signal.SIGINT  # what shells know as 130
    assert answer.stderr.splitlines()[-1] == (
        f"Interrupted. Every finished packet is saved in {path}: run the same again to go on."
    )
    assert "Traceback" not in answer.stderr
    with closing(run_case("validate_z", db=path, packet_size=1)) as run:
        assert (run.table("logs")["message"].str.startswith("stopped by KeyboardInterrupt")).sum() == 1
        assert_same(run, tables(run_case("validate_z")))


def test_jobs_in_memory_are_not_said_to_be_saved():
    answer = _stop(_RUN, "-", "SIGTERM", "9")
    assert "Interrupted. The job was in memory and goes with this process: give db=" in answer.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_interrupted_command(name, tmp_path):
    answer = _stop(_COMMAND, str(tmp_path), name, "5")
    assert answer.returncode == 130
    saved = f"Every finished packet is saved in {tmp_path / 'validation.duckdb'}"
    assert answer.stderr.splitlines()[-1] == f"Interrupted. {saved}: run the same again to go on."
    assert "Traceback" not in answer.stderr


def _interrupted() -> KeyboardInterrupt:
    def interrupt(report):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        run_case("validate_z", db=PandasStore(), n_steps=1, callback=interrupt)
    return caught.value


def test_callers_get_the_interrupt_with_the_sentence(monkeypatch, capsys):
    """Python's hook reports every other error, IPython asks the error itself, and a program's own hook stays."""
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    interrupt = _interrupted()
    assert type(interrupt) is KeyboardInterrupt  # or Python would end with another exit code
    (sentence,) = interrupt.__notes__
    assert sentence.startswith("Interrupted. ")
    assert interrupt._render_traceback_() == [sentence]
    capsys.readouterr()
    sys.excepthook(KeyboardInterrupt, interrupt, None)
    assert capsys.readouterr().err == ""
    for other in (KeyboardInterrupt(), ValueError("mine")):
        sys.excepthook(type(other), other, None)
        assert type(other).__name__ in capsys.readouterr().err
    monkeypatch.setattr(sys, "excepthook", own := lambda *_: None)
    _interrupted()
    assert sys.excepthook is own


def test_a_program_keeps_its_own_way_with_sigterm():
    def own(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, own)
    try:
        seen = []
        run_case("validate_z", n_steps=1, callback=lambda report: seen.append(signal.getsignal(signal.SIGTERM)))
        assert seen == [own]
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        run_case("validate_z", n_steps=1, callback=lambda report: seen.append(signal.getsignal(signal.SIGTERM)))
        assert callable(seen[1])
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
