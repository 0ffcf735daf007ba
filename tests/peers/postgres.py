"""A PostgreSQL server of the tests' own: an ordinary user's process in a temporary folder, on a free port of loopback.

Debian's package `postgresql` is enough (`make postgres` installs it); its cluster is neither needed nor touched.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

WANTED = 15
"""The version that the tests are meant for; any later one does."""

FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""For tests that survive no power cut."""


class Missing(Exception):
    """There is no PostgreSQL on this machine, or nobody to run it as."""


def binaries() -> Path:
    """The folder of `initdb` and `postgres`. Raises Missing."""
    found = {int(match[1]): path for path in Path("/usr/lib/postgresql").glob("*/bin") if (match := re.search(r"(\d+)/bin$", str(path)))}
    new_enough = sorted(version for version, path in found.items() if version >= WANTED and (path / "initdb").exists())
    if new_enough:
        return found[new_enough[0]]
    initdb = shutil.which("initdb")
    if initdb is None:
        raise Missing(f"there is no PostgreSQL {WANTED} here: apt-get install postgresql")
    return Path(initdb).resolve().parent


def unprivileged() -> list[str]:
    """What a command begins with so that it runs as an ordinary user: PostgreSQL refuses to be root. Raises Missing."""
    setpriv = shutil.which("setpriv")
    dies_with_us = ["--pdeathsig=QUIT", "--"]
    if os.geteuid() != 0:
        return [setpriv, *dies_with_us] if setpriv else []
    for name in ("postgres", "nobody"):
        try:
            who = pwd.getpwnam(name)
        except KeyError:
            continue
        if setpriv:
            return [setpriv, f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", *dies_with_us]
    raise Missing("PostgreSQL refuses to be run by root, and there is nobody else to run it as")


class PostgresServer:
    """One cluster. `start`, then as many databases as are wanted; `kill` and `start` again are a crash and a restart."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self._bin, self._as = binaries(), unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="coach-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self._folder, user=next(name for name in ("postgres", "nobody") if _exists(name)))
        self._data = self._folder / "data"
        self._settings = FAST if settings is None else settings
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self.port = _free_port()
        how = ["--auth=trust", "--username=coach", "--no-sync", "--no-locale", "--encoding=UTF8", f"--pgdata={self._data}"]
        self._do(str(self._bin / "initdb"), *how)

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://coach@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Returns when it takes connections."""
        given = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": str(self._folder), **self._settings}
        options = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
        log = open(self._folder / "log", "ab")  # noqa: SIM115
        self._process = subprocess.Popen(
            [*self._as, str(self._bin / "postgres"), "-D", str(self._data), *options],
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
        log.close()
        until = time.monotonic() + 60
        while subprocess.run([str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self._folder / "log").read_text()[-2000:])
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends every session and closes the files; SIGQUIT is a crash: the next start recovers."""
        if self._process is not None:
            os.kill(self._process.pid, how)
            self._process.wait(60)
            self._process = None

    def processor(self) -> float:
        """Seconds of processor that the server's processes took so far, those that ended included."""
        assert self._process is not None
        total = 0
        for folder in Path("/proc").iterdir():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            except (OSError, IndexError):
                continue
            if folder.name == str(self._process.pid):
                total += sum(int(field) for field in fields[11:15])
            elif fields[1] == str(self._process.pid):
                total += sum(int(field) for field in fields[11:13])
        return total / os.sysconf("SC_CLK_TCK")

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def execute(self, statement: str, *arguments: Any, database: str = "postgres") -> list[Any]:
        """One statement on a connection of its own."""
        import asyncpg

        connection = await asyncpg.connect(host="127.0.0.1", port=self.port, user="coach", database=database)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    async def create(self, template: str = "template1") -> str:
        """A new database; gives its name."""
        name = f"coach_{next(self._numbers)}"
        await self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    async def drop(self, name: str) -> None:
        await self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    @asynccontextmanager
    async def database(self, template: str = "template1") -> AsyncIterator[str]:
        """The URL of a database that is there for as long as it is entered."""
        name = await self.create(template)
        try:
            yield self.url(name)
        finally:
            await self.drop(name)

    def made(self, template: str = "template1") -> str:
        """`create` for who has no event loop running."""
        return asyncio.run(self.create(template))

    def dropped(self, name: str) -> None:
        asyncio.run(self.drop(name))

    def _do(self, *command: str) -> None:
        done = subprocess.run([*self._as, *command], capture_output=True, text=True, cwd="/", check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])


@contextmanager
def postgres_server(settings: dict[str, str] | None = None) -> Iterator[PostgresServer]:
    """A server that runs for as long as it is entered. Raises Missing."""
    server = PostgresServer(settings)
    try:
        server.start()
        yield server
    finally:
        server.remove()


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
