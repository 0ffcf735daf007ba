"""What PostgreSQL adds: processes beside this one, told when something was written, and one at a time where only one may be.

SQLite's file belongs to one process, so nothing of this exists there.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlmodel import Session

from bot.database.work import done
from bot.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from bot.database.connection import Clock

ALIVE = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
"""A machine that vanishes without a word gives its locks back within 20 s, not after the two hours that are usual."""

SERVER = {"application_name": "interview-coach", "jit": "off", "idle_in_transaction_session_timeout": "60000", **ALIVE}

OPTIONS: dict[str, Any] = {
    "pool_size": 10,
    "max_overflow": 10,
    "connect_args": {"timeout": 10, "command_timeout": 30, "server_settings": SERVER},
}
"""How the engine connects. Seconds, and milliseconds where the server reads them."""

SILENT = 15.0
"""Seconds after which the server ends the session of a process that holds a place and does not stir."""

STIR = 5.0
"""Seconds between two signs of life of one that does."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before a lost connection is made anew; twice as many each time."""

MIGRATING = 7_001
"""The advisory lock under which one process at a time makes or migrates the schema."""

T = TypeVar("T")

log = structlog.get_logger("postgres")


class PostgreSQL:
    """A server, of which other processes may make use at the same time."""

    shared = True

    def __init__(self, url: str) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine

        self.engine = create_async_engine(spelled(url), hide_parameters=True, **OPTIONS)

    async def read(self, work: Callable[[Session], T]) -> T:
        """Does work that reads."""
        async with self.engine.connect() as connection:
            return await connection.run_sync(done, work)

    async def write(self, work: Callable[[Session], T], *, long: bool = False) -> T:
        """Does work that writes; the server has made sure of it when this returns. The loop goes on, however long that takes."""
        async with self.engine.begin() as connection:
            return await connection.run_sync(done, work)

    async def close(self) -> None:
        await self.engine.dispose()


def spelled(url: str) -> str:
    """A PostgreSQL URL as SQLAlchemy and asyncpg spell it; what providers hand out says `sslmode`."""
    parsed = make_url("postgresql+asyncpg:" + url.split(":", 1)[1])
    if "sslmode" in parsed.query:
        query = {name: value for name, value in parsed.query.items() if name != "sslmode"}
        parsed = parsed.set(query={**query, "ssl": parsed.query["sslmode"]})
    return parsed.render_as_string(hide_password=False)


def prepare(connection: Connection, now: Clock, most: timedelta) -> None:
    """Waits until no other process migrates, until the end of this transaction; raises StoreError where the clocks differ."""
    before = now()
    theirs = (connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
    after = now()
    off = before - theirs if before > theirs else theirs - after
    if off > most:
        raise StoreError(f"this machine's clock is {off.total_seconds():.0f} s off the database's: set it right, or leases mean nothing")
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATING})


def number(name: str) -> int:
    """The advisory lock's number for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


CLAIM = """
WITH heads AS MATERIALIZED (
    SELECT seq FROM outbox AS head
    WHERE state IN ('ready', 'retry', 'sending')
      AND (state <> 'sending' AND not_before <= $1 AND (worker = '' OR worker = $2 OR lease_until < $1)
           OR state = 'sending' AND lease_until < $1 AND key <> ALL ($5::text[]))
      AND platform = $3
      AND NOT EXISTS (
          SELECT 1 FROM outbox AS other
          WHERE other.platform = head.platform AND other.chat = head.chat AND other.state IN ('ready', 'retry', 'sending')
            AND (other.state = 'sending' AND other.seq <> head.seq OR other.lane < head.lane OR other.lane = head.lane
                 AND CASE WHEN head.lane = '0-reply' THEN other.seq < head.seq
                     ELSE (other.not_before, other.seq) < (head.not_before, head.seq) END))
      AND lane = ANY ($7::text[])
    ORDER BY lane, seq LIMIT $4
    FOR UPDATE SKIP LOCKED)
UPDATE outbox SET state = 'sending', worker = $2, lease_until = $6, tries = tries + 1, unsure = unsure OR state = 'sending'
FROM heads WHERE outbox.seq = heads.seq RETURNING outbox.*
"""
"""What `Outbox.claim` does, in one statement that is its own transaction."""

CLAIMED = ("now", "me", "platform", "most", "held", "until", "lanes")
"""The parameters of CLAIM."""

SETTLE = """
UPDATE outbox SET
    state = done.becomes, worker = done.keeps, lease_until = done.until, settled_at = done.at, message = done.sent_as,
    not_before = coalesce(done.again, not_before), unsure = unsure OR done.unclear, tries = tries - done.untried,
    payload = CASE WHEN done.erased THEN '' ELSE payload END, reason = done.because
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::timestamptz[], $8::bool[],
            $9::int[], $10::bool[], $11::text[])
    AS done (the_key, becomes, keeps, until, at, sent_as, again, unclear, untried, erased, because)
WHERE outbox.key = done.the_key AND outbox.state = 'sending' AND outbox.worker = $12
"""
"""What `Outbox.settle` does, for many messages in one statement."""

SETTLED = ("the_key", "becomes", "keeps", "until", "at", "sent_as", "again", "unclear", "untried", "erased", "because")
"""The parameters of SETTLE, a list of each; the last one is the worker."""


def _where(engine: AsyncEngine) -> dict[str, Any]:
    """What asyncpg needs to know to connect to where the engine does."""
    _, known = engine.dialect.create_connect_args(engine.url)
    names = ("host", "port", "user", "password", "database", "ssl", "passfile", "direct_tls")
    return {name: known[name] for name in names if name in known}


class Quick:
    """One connection past SQLAlchemy for the two statements that are run for every message: a tenth of the processor's time."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._to = _where(engine)
        self._one_at_a_time = asyncio.Lock()
        self._connection: Any = None

    async def fetch(self, statement: str, *parameters: Any) -> list[Any]:
        """Runs one statement as a transaction of its own. A connection that was lost is made anew the next time."""
        async with self._one_at_a_time:
            if self._connection is None or self._connection.is_closed():
                import asyncpg

                self._connection = await asyncpg.connect(**self._to, timeout=10, command_timeout=30, server_settings=SERVER)
            return list(await self._connection.fetch(statement, *parameters))

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()


class _Session:
    """One connection of our own outside the pool, made again whenever it is lost, until `close`."""

    settings: Mapping[str, str] = {}

    def __init__(self, engine: AsyncEngine) -> None:
        self._to = _where(engine)
        self._lost = asyncio.Event()
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running

    async def _run(self) -> None:
        import asyncpg

        pause = FIRST_PAUSE
        while True:
            connection = None
            try:
                self._lost.clear()
                settings = {**SERVER, **self.settings}
                connection = await asyncpg.connect(**self._to, timeout=10, server_settings=settings)
                connection.add_termination_listener(lambda _: self._lost.set())
                pause = FIRST_PAUSE
                await self.work(connection)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("connection lost", session=type(self).__name__, kind=type(error).__name__)
            finally:
                self.ended()
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def work(self, connection: Any) -> None:
        """What is done with a connection for as long as it lives."""
        raise NotImplementedError

    def ended(self) -> None:
        """It is gone, or could not be had."""


class Bell(_Session):
    """Rings when another process wrote something: `heard` is called with the channel, and with each once after a silence."""

    def __init__(self, engine: AsyncEngine, channels: Mapping[str, Callable[[], None]]) -> None:
        self._channels = dict(channels)
        self.listening = asyncio.Event()
        super().__init__(engine)

    async def work(self, connection: Any) -> None:
        for channel, heard in self._channels.items():
            await connection.add_listener(channel, lambda *_, heard=heard: heard())
            heard()  # whatever was written while nobody listened
        self.listening.set()
        await self._lost.wait()

    def ended(self) -> None:
        self.listening.clear()


class Place(_Session):
    """A place that one process at a time has, such as that of a bot's one poller; `mine` is set for as long as it is ours.

    Whoever dies, vanishes or stops for SILENT seconds loses it, and the next in the queue has it at once."""

    def __init__(self, engine: AsyncEngine, name: str, mine: asyncio.Event) -> None:
        self._name = name
        self._mine = mine
        self.settings = {"idle_session_timeout": str(int(SILENT * 1000))}
        super().__init__(engine)

    async def work(self, connection: Any) -> None:
        key = number(self._name)
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", key):
            log.info("another process receives; this one waits for its turn", place=self._name)
            with suppress(TimeoutError):  # a server that vanished is noticed, too
                await connection.execute("SELECT pg_advisory_lock($1)", key, timeout=SILENT)
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", key, timeout=STIR):
                return
        self._mine.set()
        log.info("receiving", place=self._name)
        while not self._lost.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), STIR)
                return
            await connection.execute("SELECT 1", timeout=STIR)

    def ended(self) -> None:
        self._mine.clear()
