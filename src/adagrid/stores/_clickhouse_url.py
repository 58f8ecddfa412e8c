"""What a URL of a job on a ClickHouse server says. Passwords are never part of it."""

from __future__ import annotations

import ipaddress
import re
import uuid
from dataclasses import dataclass, replace
from typing import TypeGuard, final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from adagrid._secrets import PASSWORD
from adagrid.errors import InvalidInputError

SCHEME = "clickhouse"
FORM = "clickhouse://user@host:port/job_id?secure=true"
_PREFIX = "adagrid_"
# It becomes part of an identifier.
_JOB_ID = re.compile(r"[A-Za-z0-9_]{1,64}")
_SECURE = {"true": True, "false": False}


@final
@dataclass(frozen=True)
class Address:
    """A job on a server.

    Args:
        host: the server's name or address.
        port: its port for HTTP.
        user: who asks.
        secure: whether to speak HTTPS.
        job_id: names the job and its database; empty for the server itself.
    """

    host: str
    port: int
    user: str
    secure: bool
    job_id: str

    @property
    def database(self) -> str:
        """The database that holds the job and nothing else."""
        return f"{_PREFIX}{self.job_id}"

    def job_in(self, database: str) -> Address | None:
        """Return the job that a database of the same server has the name of, None if it is not named like one."""
        job_id = database.removeprefix(_PREFIX)
        return replace(self, job_id=job_id) if database != job_id and _JOB_ID.fullmatch(job_id) else None

    def __str__(self) -> str:
        """Return the URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        secure = "?secure=true" if self.secure else ""
        return f"{SCHEME}://{quote(self.user, safe='')}@{host}:{self.port}/{self.job_id}{secure}"


def is_url(db: object) -> TypeGuard[str]:
    """Return whether `db` names a job on a ClickHouse server."""
    return isinstance(db, str) and db.startswith(f"{SCHEME}://")


def read_url(url: str, *, server: bool = False) -> Address:
    """Return what a URL says.

    Args:
        url: `clickhouse://user@host:port/job_id`, and `?secure=true` for HTTPS. The user is "default" and the port
            that of ClickHouse unless given. A server on this machine gives a job a name of its own if it has none.
        server: whether the URL names a server and no job on it; the job_id is then empty.

    Raises:
        InvalidInputError: with everything that is wrong; the URL is not repeated, for it may hold a password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise InvalidInputError(
            f"The URL of a job on a ClickHouse server must read {FORM}, with a number as port and no password in it "
            f"(set the environment variable {PASSWORD}); this one cannot be read."
        ) from None
    problems = []
    if parts.password is not None or {"password", "user", "username"} & set(options) or "@" in parts.path:
        problems.append(
            f"A database URL must not hold a password: URLs end up in logs. Set the environment variable {PASSWORD} "
            f"instead and write {FORM}."
        )
    elif set(options) - {"secure"} or options.get("secure", "true") not in _SECURE:
        problems.append(f"A database URL may only have the option secure=true or secure=false, as in {FORM}.")
    if parts.scheme != SCHEME or not host or parts.fragment:
        problems.append(f"A database URL must name a server and read {FORM}.")
    job_id = parts.path.removeprefix("/")
    if server:
        if job_id:
            problems.append(f"This needs the URL of a server, without a job_id: {FORM.replace('/job_id', '')}.")
    elif not job_id and host and not _is_local(host):
        problems.append(f"A job on another machine needs a name, to find it again: write one at the end of {FORM}.")
    elif job_id and not _JOB_ID.fullmatch(job_id):
        problems.append("The job_id in a database URL must be 1 to 64 letters (a-z, A-Z), digits or underscores.")
    if problems or host is None:
        raise InvalidInputError(problems)
    secure = _SECURE[options.get("secure", "false")]
    user = unquote(parts.username or "default")
    named = job_id if job_id or server else uuid.uuid4().hex
    return Address(host, port or (8443 if secure else 8123), user, secure, named)


def _is_local(host: str) -> bool:
    """Return whether a host is this machine, as its name or address says without asking anybody."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
