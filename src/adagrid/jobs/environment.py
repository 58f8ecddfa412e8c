"""The surroundings of a worker, for the record. Never secrets."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import psutil

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
_SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE", re.IGNORECASE)
_MAX_DIFF = 100_000


def environment() -> dict[str, Any]:
    """Return platform, processors, memory, accelerators, package versions, and the commit and diff of the folder.

    Values of environment variables with telling names are blotted out wherever they appear.
    """
    device = jax.devices()[0]
    return {
        "platform": platform.platform(),
        "python": sys.version.split()[0],
        "processor": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "accelerator": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
        "packages": {name: _version(name) for name in _PACKAGES},
        "git_commit": without_secrets(_git("rev-parse", "HEAD").strip()),
        "git_diff": without_secrets(_git("diff", "HEAD")[:_MAX_DIFF]),
    }


def without_secrets(text: str) -> str:
    """Return text in which the values of secret environment variables are replaced by asterisks."""
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= 4:
            text = text.replace(value, "***")
    return text


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str:
    """Return what git says about the current folder, nothing where there is no git or no repository."""
    try:
        answer = subprocess.run(  # noqa: S603 - fixed arguments, no shell
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
    return answer.stdout if answer.returncode == 0 else ""
