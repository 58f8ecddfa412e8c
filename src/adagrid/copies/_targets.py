"""Which databases a job can be copied to."""

from __future__ import annotations

from adagrid.errors import InvalidInputError


def refuse_memory(target: object) -> None:
    """Refuse a database that ends with this process."""
    if target == ":memory:":
        raise InvalidInputError(
            "A job in memory would be gone with this command. Give the path of a file, or a clickhouse:// URL; in "
            "Python, import_job(folder) without db reads into memory."
        )
