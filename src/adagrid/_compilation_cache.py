"""Where compiled programs stay between processes: JAX's persistent cache, in a folder that only this user can write.

The folder holds executable code: whoever can write to it can run code as this user. It never decides a result: an
entry is the machine code of exactly the program that would be compiled otherwise, and any fault of the cache means
that the program is compiled.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache
from platformdirs import user_cache_path

logger = logging.getLogger(__name__)

SETTING = "ADAGRID_COMPILATION_CACHE"
_OFF = ("off", "0", "false", "no")
_UNREADABLE = "reading persistent compilation cache"
_OPTIONS = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
    "jax_raise_persistent_cache_errors": False,
}


@contextmanager
def persistent() -> Iterator[None]:
    """Keep what is compiled in a with block for later processes, and leave JAX's settings as they were.

    A cache that the user has set up in JAX is used as it is.
    """
    own = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    folder = None if own else _folder(os.environ.get(SETTING, ""))
    if folder is None:
        yield
        return
    options = {"jax_compilation_cache_dir": str(folder), **_OPTIONS}
    before = {name: getattr(jax.config, name) for name in options}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _set(options)
            yield
        finally:
            _set(before)
    _sort_out(caught, folder)


def _set(options: Mapping[str, Any]) -> None:
    """Change settings of JAX, which opens its cache only once: it is to open the one that they name."""
    for name, value in options.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]
    compilation_cache.reset_cache()


def _sort_out(caught: list[warnings.WarningMessage], folder: Path) -> None:
    """Log what the cache complained of, empty it if it cannot be read, and pass other warnings on."""
    for warning in caught:
        text = str(warning.message)
        if "persistent compilation cache" not in text:
            with suppress(OSError, ValueError, AttributeError):  # the standard error is gone
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
            continue
        logger.debug("compiled anew: %s", text)
        if _UNREADABLE in text:  # JAX never writes an entry again: a damaged one would stay for ever
            for entry in folder.glob("*-cache"):
                with suppress(OSError):
                    entry.unlink()


@cache
def _folder(setting: str) -> Path | None:
    """Return the folder of this processor and version of JAX, or None if there is to be no cache, or no safe one."""
    if setting.lower() in _OFF:
        return None
    base = Path(setting).expanduser().absolute() if setting else user_cache_path("adagrid") / "programs"
    folder = base / f"jax-{jax.__version__}-{_processor()}"
    try:
        for made in (base, folder):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_private(made)
    except OSError as error:
        logger.warning(
            "Programs are compiled anew in every process: the cache of compiled programs cannot be used (%s). "
            "Set %s to a folder that only you can write, or to off.", error, SETTING,
        )  # fmt: skip
        return None
    return folder


def _check_private(folder: Path) -> None:
    """Refuse a folder that belongs to, or can be written by, somebody else.

    Raises:
        PermissionError: if so.
    """
    if os.name != "posix":
        return  # profiles of users are private there
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise PermissionError(f"{folder} belongs to, or can be written by, other users, and it holds executable code")


def _processor() -> str:
    """Return a short name for what this processor can run: machine code is not for others that share the folder."""
    parts = [platform.machine(), platform.system(), platform.processor()]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        parts += sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))})
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
