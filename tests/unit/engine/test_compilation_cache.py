"""The cache between processes saves time and decides nothing; nobody else can put code into it."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import adagrid as ada
from adagrid import _compilation_cache, _programs
from adagrid._compilation_cache import SETTING
from adagrid._programs import Program
from tests.support import flat

_HIT = "/jax/compilation_cache/cache_hits"


@contextmanager
def new_process():
    """Forget what this process compiled, as another process would not know it, and count what the cache had."""
    hits: list[str] = []
    before = dict(_programs._compiled)
    _programs._compiled.clear()
    _compilation_cache._folder.cache_clear()

    def listen(event: str, **_about: str | int) -> None:
        if event == _HIT:
            hits.append(event)

    jax.monitoring.register_event_listener(listen)
    try:
        yield hits
    finally:
        jax.monitoring.unregister_event_listener(listen)
        _programs._compiled.clear()
        _programs._compiled.update(before)
        _compilation_cache._folder.cache_clear()


def computed(shift: float = 0.25) -> float:
    """Compute with a program that no other test has."""
    with np.errstate(all="raise"):
        return float(Program(lambda x: jnp.cos(x) + shift, np.float64(0), double=True)(np.float64(1.0)))


EXPECTED = np.cos(1.0) + 0.25


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(SETTING, str(tmp_path / "programs"))
    return tmp_path / "programs"


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*-cache"))


def test_another_process_finds_what_was_compiled(folder):
    for found in (0, 1):
        with new_process() as hits:
            assert computed() == pytest.approx(EXPECTED, rel=1e-15)
        assert len(hits) == found
    assert len(entries(folder)) == 1


def test_the_folder_is_private(folder):
    with new_process():
        computed()
    made = [folder, *(path for path in folder.iterdir() if path.is_dir())]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700] * 2


def test_settings_of_jax_are_left_as_they_were(folder):
    names = ("jax_compilation_cache_dir", *_compilation_cache._OPTIONS)
    before = [getattr(jax.config, name) for name in names]
    with new_process():
        computed()
    assert [getattr(jax.config, name) for name in names] == before


@pytest.mark.parametrize("word", ["off", "OFF", "0"])
def test_it_can_be_switched_off(tmp_path, monkeypatch, word):
    monkeypatch.setenv(SETTING, word)
    monkeypatch.chdir(tmp_path)
    with new_process() as hits:
        assert computed() == pytest.approx(EXPECTED, rel=1e-15)
    assert not hits
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [b"", b"\x00" * 100, None], ids=["empty", "zeros", "cut short"])
def test_a_damaged_entry_is_compiled_anew_and_replaced(folder, damage, recwarn):
    with new_process():
        computed()
    (entry,) = entries(folder)
    entry.write_bytes(entry.read_bytes()[:-40] if damage is None else damage)
    for found in (0, 0, 1):  # removed, written again, found
        with new_process() as hits:
            assert computed() == pytest.approx(EXPECTED, rel=1e-15)
        assert len(hits) == found
    assert not recwarn.list


@pytest.mark.parametrize("mode", [0o770, 0o702], ids=["group", "everyone"])
def test_a_folder_that_others_may_write_to_is_not_used(folder, mode, caplog):
    folder.mkdir()
    folder.chmod(mode)
    with new_process() as hits:
        assert computed() == pytest.approx(EXPECTED, rel=1e-15)
    assert not hits
    assert not entries(folder)
    assert SETTING in caplog.text
    assert "executable code" in caplog.text


def test_a_folder_of_somebody_else_is_not_used(folder, monkeypatch, caplog):
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with new_process():
        assert computed() == pytest.approx(EXPECTED, rel=1e-15)
    assert not entries(folder)
    assert "belongs to" in caplog.text


def test_a_folder_that_cannot_be_made_or_written_is_not_used(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv(SETTING, str(tmp_path / "file"))
    with new_process():
        assert computed() == pytest.approx(EXPECTED, rel=1e-15)
    assert SETTING in caplog.text


def test_a_full_or_read_only_disk_changes_nothing(folder, monkeypatch, recwarn):
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with new_process():
        assert computed() == pytest.approx(EXPECTED, rel=1e-15)
    assert not recwarn.list
    assert not entries(folder)


def test_a_cache_that_the_user_has_set_up_is_used_as_it_is(folder, tmp_path):
    own = tmp_path / "own"
    jax.config.update("jax_compilation_cache_dir", str(own))
    try:
        with new_process():
            assert computed() == pytest.approx(EXPECTED, rel=1e-15)
    finally:
        jax.config.update("jax_compilation_cache_dir", None)
    assert not folder.exists()


def test_other_warnings_pass(folder):
    def warn() -> None:
        with _compilation_cache.persistent():
            warnings.warn("of the design", RuntimeWarning, stacklevel=1)

    with new_process(), pytest.warns(RuntimeWarning, match="of the design"):
        warn()


def test_a_job_has_the_same_tables_with_the_cache_and_without(folder, monkeypatch):
    """Compiled, loaded and without a cache."""

    def results():
        grid = ada.cartesian_grid([-1], [0], n=4, null_hypos=["theta0 <= 0"])
        run = flat.validate(ada.ZTest(), threshold=1.96, grid=grid, n_sims=512, progress=False)
        return run.results().drop(columns=["time"], errors="ignore")

    tables = []
    for setting, found in ((None, 0), (None, 3), ("off", 0)):
        if setting:
            monkeypatch.setenv(SETTING, setting)
        with new_process() as hits:
            tables.append(results())
        assert len(hits) == found
    for table in tables[1:]:
        assert table.equals(tables[0])
