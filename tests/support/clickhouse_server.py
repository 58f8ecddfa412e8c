"""A ClickHouse server for tests: the one that Debian ships, started by hand in a folder of its own.

`python -m tests.support.clickhouse_server` runs one until it is interrupted, and prints its address.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from clickhouse_connect.driver._backend.operations import QueryOp
from clickhouse_connect.driver.httpclient import HttpClient

from adagrid._secrets import PASSWORD

BINARY = shutil.which("clickhouse-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
WITHOUT = "clickhouse-server is not installed: apt-get install --no-install-recommends clickhouse-server"
# A user and the password that must turn up nowhere.
GUARDED, CANARY = "guarded", "canary-0815-thrush"

_CONFIG = """<yandex>
  <logger><level>warning</level><log>{folder}/server.log</log><errorlog>{folder}/error.log</errorlog></logger>
  <http_port>{http}</http_port><tcp_port>{tcp}</tcp_port><listen_host>127.0.0.1</listen_host>
  <max_connections>256</max_connections><keep_alive_timeout>3</keep_alive_timeout>
  <mark_cache_size>268435456</mark_cache_size>
  <path>{folder}/data/</path><tmp_path>{folder}/data/tmp/</tmp_path>
  <user_files_path>{folder}/data/user_files/</user_files_path>
  <format_schema_path>{folder}/data/format_schemas/</format_schema_path>
  <users_config>users.xml</users_config><default_profile>default</default_profile>
  <default_database>default</default_database><timezone>UTC</timezone>
</yandex>"""
_USER = """<{name}><password>{password}</password><networks><ip>127.0.0.1</ip></networks>
  <profile>default</profile><quota>default</quota></{name}>"""
# One thread for a query: tables of tests are small, and several servers may run at once.
_USERS = """<yandex><profiles><default><max_threads>1</max_threads></default></profiles>
  <users>{users}</users><quotas><default/></quotas></yandex>"""


class ClickHouseServer:
    """A server on free ports of this machine; the user "default" needs no password, "guarded" does.

    Args:
        folder: where it keeps everything; must belong to the user who starts it, root included.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, tcp = _free_ports(2)
        for name in ("tmp", "user_files", "format_schemas"):
            (folder / "data" / name).mkdir(parents=True, exist_ok=True)
        users = _USER.format(name="default", password="") + _USER.format(name=GUARDED, password=CANARY)
        (folder / "config.xml").write_text(_CONFIG.format(folder=folder, http=self.port, tcp=tcp))
        (folder / "users.xml").write_text(_USERS.format(users=users))

    def url(self, job_id: str, user: str = "default") -> str:
        """Return the URL of a job."""
        return f"clickhouse://{user}@127.0.0.1:{self.port}/{job_id}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self._folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                [BINARY, f"--config-file={self._folder / 'config.xml'}"],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # an interrupt is for the tests, which stop the server afterwards
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"The server did not start:\n{(self._folder / 'output.log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the server as a power failure would."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False


class OldServerClient(HttpClient):
    """The client library with a server of 2018, whose settings have no column `readonly`."""

    def _execute_operation(self, op):
        if isinstance(op, QueryOp) and "FROM system.settings" in op.text:
            op = dataclasses.replace(op, text="SELECT name, value, toUInt8(0) AS readonly FROM system.settings")
        return super()._execute_operation(op)


def connect_to_old_server(address):
    """Open a connection, as `ClickHouseStore(connect=...)` wants it."""
    return OldServerClient(
        "http",
        address.host,
        address.port,
        address.user,
        os.environ.get(PASSWORD, ""),
        None,
        compress=False,
        autogenerate_session_id=False,
    )


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def main() -> None:
    """Run a server until interrupted."""
    if BINARY is None:
        sys.exit(WITHOUT)
    with tempfile.TemporaryDirectory(prefix="adagrid-clickhouse-") as folder:
        server = ClickHouseServer(Path(folder))
        server.start()
        print(server.url("my_job"), flush=True)
        try:
            server._process.wait()
        except KeyboardInterrupt:
            server.stop()


if __name__ == "__main__":
    main()
