"""Showing progress never fails or ends a job, and leaves the standard output alone."""

from __future__ import annotations

import errno
import io
import os
import select
import subprocess
import sys
import textwrap
import warnings

import pytest

from adagrid._compilation_cache import persistent
from adagrid.runtime.progress import ProgressDisplay
from adagrid.testing import PandasStore
from tests.support.jobcases import run_case
from tests.support.paths import IMPORTS


class Failing(io.StringIO):
    """A terminal to which nothing can be written, from some moment on."""

    def __init__(self, error: BaseException, after: int = 0) -> None:
        super().__init__()
        self.error, self.left = error, after

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().write(text)

    def isatty(self) -> bool:
        return True


class Bare:
    """Has `write`, and nothing else of a file."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def write(self, text: str) -> None:
        self.texts.append(text)


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS = {
    "none": lambda: None,
    "closed": closed,
    "broken pipe": lambda: Failing(BrokenPipeError()),
    "terminal that goes away": lambda: Failing(OSError(errno.EIO, "gone"), after=5),
    "somebody's own": lambda: Failing(RuntimeError("main thread is not in main loop"), after=3),
    "bare": Bare,
}


@pytest.fixture(scope="module")
def bound():
    return run_case("validate_z", db=PandasStore(), n_steps=2, progress=False).bound


@pytest.mark.parametrize("progress", [None, True])
@pytest.mark.parametrize("name", STREAMS)
def test_no_standard_error_ends_a_job(name, progress, bound, monkeypatch):
    monkeypatch.setattr(sys, "stderr", STREAMS[name]())
    assert run_case("validate_z", db=PandasStore(), n_steps=2, progress=progress).bound == bound


@pytest.mark.parametrize("name", STREAMS)
def test_no_warning_ends_a_job(name, monkeypatch):
    stream = STREAMS[name]()
    monkeypatch.setattr(sys, "stderr", stream)
    display = ProgressDisplay(show=False, direction=1.0)
    for _ in range(9):
        display.warn("[careful]")
    if isinstance(stream, Bare):
        assert "".join(stream.texts) == "[careful]\n" * 9


def test_a_failing_display_is_off_for_good(monkeypatch):
    stream = Failing(OSError(errno.EIO, "gone"), after=1)
    monkeypatch.setattr(sys, "stderr", stream)
    run_case("validate_z", db=PandasStore(), n_steps=2, progress=True)
    assert stream.left == -1


def test_standard_output_is_neither_redirected_nor_written_to(monkeypatch, capsys):
    """What a callback prints starts a line, also where progress is shown live."""
    terminal, seen = Failing(OSError(), after=10**6), []
    monkeypatch.setattr(sys, "stderr", terminal)
    before = sys.stdout

    def callback(report):
        seen.append((sys.stdout is before, terminal.getvalue()[-4:]))

    run_case("validate_z", db=PandasStore(), n_steps=2, progress=True, callback=callback)
    assert capsys.readouterr().out == ""
    assert seen == [(True, "\x1b[2K")] * 2  # the live line is erased
    assert "step   1" in terminal.getvalue()


def test_warnings_of_jax_end_no_job(monkeypatch, tmp_path):
    """Python's own way to show a warning fails where the standard error is closed."""

    def show(*_):
        raise ValueError("I/O operation on closed file")

    monkeypatch.setenv("ADAGRID_COMPILATION_CACHE", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        with persistent():
            warnings.warn("something", UserWarning, stacklevel=1)


_WINDOW = textwrap.dedent(
    """
    import signal, sys
    from adagrid.testing import PandasStore
    from tests.support.jobcases import run_case

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    out = open(sys.argv[1], "w", buffering=1)

    def callback(report):
        out.write("step\\n")
        sys.stdin.read()  # until the window is closed

    try:
        run_case("validate_z", db=PandasStore(), n_steps=3, callback=callback)
        out.write("finished\\n")
    except BaseException as error:
        out.write(f"ended by {type(error).__name__}: {error}\\n")
    """
)


@pytest.mark.skipif(sys.platform == "win32", reason="has other terminals")
def test_a_closed_window_ends_no_job(tmp_path):
    path = tmp_path / "out.txt"
    master, slave = os.openpty()
    reading, writing = os.pipe()
    arguments = [sys.executable, "-c", _WINDOW, str(path)]
    with subprocess.Popen(
        arguments, stdin=reading, stdout=slave, stderr=slave, start_new_session=True, env=os.environ | IMPORTS
    ) as child:
        os.close(slave)
        os.close(reading)
        while not (path.exists() and "step" in path.read_text()):
            if select.select([master], [], [], 0.05)[0]:
                os.read(master, 4096)
        os.close(master)
        os.close(writing)
        assert child.wait(120) == 0
    assert path.read_text().splitlines()[-1] == "finished"
