"""The environment of a worker, for the record. Never secrets."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import psutil

from adagrid import _jax_settings, _numpy_settings

_PACKAGES = (
    "adagrid",
    "jax",
    "jaxlib",
    "numpy",
    "scipy",
    "pandas",
    "duckdb",
    "pyarrow",
    "clickhouse-connect",
    "tenacity",
)
_SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE", re.IGNORECASE)
# The password in a URL, whatever the variable is called.
_IN_URL = re.compile(r"://[^/?#\s:@]*:([^/?#\s@]+)@")
_MAX_DIFF = 100_000
# Shorter values are no secrets, but would blot out half of every text.
_SHORTEST = 4


def environment(*, git: bool = True) -> dict[str, Any]:
    """Return platform, processors, memory, accelerators, unusual settings, versions, the commit and diff of the folder.

    Secrets are blotted out, as `without_secrets` does.

    Args:
        git: whether the folder matters.
    """
    device = jax.devices()[0]
    commit = without_secrets(_git("rev-parse", "HEAD").strip()) if git else ""
    diff = without_secrets(_git("diff", "HEAD")[:_MAX_DIFF]) if git else ""
    return {
        "platform": platform.platform(),
        "python": sys.version.split()[0],
        "processor": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "accelerator": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
        "settings": blotted({**_jax_settings.set_otherwise(), **_numpy_settings.set_otherwise()}),
        "packages": {name: _version(name) for name in _PACKAGES},
        "adagrid_code": _own_code(),
        "git_commit": commit,
        "git_diff": diff,
    }


def without_secrets(text: str) -> str:
    """Return text in which secrets of the environment are replaced by asterisks.

    These are the values of variables with telling names, and the passwords in variables that hold a URL.
    """
    for secret in sorted(_secrets(), key=len, reverse=True):  # one may be part of another
        text = text.replace(secret, "***")
    return text


def blotted(value: Any) -> Any:
    """Return JSON-like data without secrets in its texts."""
    if isinstance(value, dict):
        return {name: blotted(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [blotted(item) for item in value]
    return without_secrets(value) if isinstance(value, str) else value


def _secrets() -> set[str]:
    named = {value for name, value in os.environ.items() if _SECRET.search(name)}
    found = {password for value in os.environ.values() for password in _IN_URL.findall(value)}
    return {secret for secret in named | found if len(secret) >= _SHORTEST}


@cache
def _own_code() -> str:
    """Return a hash of the source files of this package, which differs between edited installations."""
    folder, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:32]


@cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str:
    """Return what git says about the current folder, nothing where there is no git or no repository."""
    try:
        response = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["git", "--no-optional-locks", *arguments],  # noqa: S607
            cwd=Path.cwd(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return response.stdout if response.returncode == 0 else ""
