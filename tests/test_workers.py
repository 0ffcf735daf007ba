"""Several processes on one PostgreSQL: the oracle is what Telegram accepted, and the database."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from peers.mortal import Mortals
from peers.postgres import PostgresServer
from peers.telegram import TOKEN, BotApiServer, Person
from worlds import kept, sql

from bot.database import Database
from bot.database.postgres import PostgreSQL
from bot.messages import Address
from bot.model import Changes, Learner

IN_FLIGHT = 4
"""Messages that one process has on their way to Telegram at one time; so many may come twice when it is killed."""

BULK = IN_FLIGHT - 1
"""Of these, one place is kept for replies."""


@pytest.fixture
async def server() -> AsyncIterator[BotApiServer]:
    async with BotApiServer() as running:
        yield running
        assert running.violations == []


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Database]:
    """A look into what the processes share."""
    opened = await Database.open(postgres_url)
    yield opened
    await opened.close()


@asynccontextmanager
async def process(server: BotApiServer, url: str, home: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`coach run`, with a lease that is short for a test."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("COACH_", "XDG_"))}
    own = {
        "COACH_TELEGRAM_TOKEN": TOKEN, "COACH_TELEGRAM_API": server.url.removesuffix("/bot"), "COACH_DATABASE": url, "COACH_LEASE": "2",
        "COACH_PORT": "0", "COACH_CACHE": str(kept()), "COACH_LOG": "info", "HOME": str(home),
    }  # fmt: skip
    with NamedTemporaryFile(dir=home, suffix=".log", delete=False) as log:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "adapters", "run", *arguments, cwd=Path(__file__).parents[1], env=given | own, stdout=log, stderr=log
        )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


@dataclass
class Fork:
    """A process that serves as `coach run` does; `ready` is where it came from."""

    ready: Mortals
    pid: int
    ended: bool = False

    def signal(self, which: signal.Signals) -> None:
        os.kill(self.pid, which)

    async def wait(self) -> int:
        status = await self.ready.ended(self.pid)
        self.ended = True
        return status


@asynccontextmanager
async def forked(ready: Mortals, server: BotApiServer, url: str, *, worker: bool = True) -> AsyncIterator[Fork]:
    api = server.url.removesuffix("/bot")
    fork = Fork(ready, await ready.begin(database=url, api=api, token=TOKEN, lease=2, worker=worker))
    try:
        yield fork
    finally:
        if not fork.ended:
            fork.signal(signal.SIGKILL)
            await fork.wait()


async def _until(what: Callable[[], Awaitable[Any]], seconds: float = 90) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await what()):
            await asyncio.sleep(0.05)
    return found


async def _rows(store: Database, statement: str) -> list[Any]:
    return await sql(store, statement)


async def _due(store: Database, server: BotApiServer, how_many: int) -> list[Person]:
    """So many learners whose question is due now, at noon of where they live."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    ahead = 12 - now.hour
    zone = f"Etc/GMT{-ahead:+d}" if ahead else "UTC"
    people = [server.person(f"P{n}", started=True) for n in range(how_many)]
    for n, person in enumerate(people):
        home = Address("telegram", str(person.id), str(person.id))
        learner = Learner(f"l{n}", now, home, zone, 12 * 60 + now.minute, next_due_at=now)
        await store.record(f"joined {n}", home, Changes(learner), [], now)
    return people


async def _sent(store: Database, number: int) -> bool:
    return (await store.count()).get("outbox sent", 0) >= number


async def test_two_workers_share_what_is_due_none_twice_none_lost(
    server: BotApiServer, store: Database, postgres_url: str, tmp_path: Path, ready: Mortals
) -> None:
    """One of them is begun as `coach run --worker`."""

    async def both_live() -> bool:
        return bool(await _rows(store, "SELECT 1 FROM worker HAVING count(*) = 2"))

    async def both_send() -> bool:
        return bool(await _rows(store, "SELECT 1 FROM outbox WHERE state = 'sending' HAVING count(DISTINCT worker) = 2"))

    go = asyncio.Event()
    server.fault("sendMessage", hold=go, times=None)
    async with process(server, postgres_url, tmp_path, "--worker") as one, forked(ready, server, postgres_url) as two:
        await _until(both_live)
        people = await _due(store, server, 24)
        await _until(both_send)
        go.set()
        await _until(lambda: _sent(store, 24))
        one.send_signal(signal.SIGTERM)
        two.signal(signal.SIGTERM)
        assert (await one.wait(), await two.wait()) == (0, 0)

    assert Counter(message.chat_id for message in server.sent()) == Counter(person.id for person in people)
    assert not server.called("getUpdates")
    assert await _rows(store, "SELECT count(*) FROM worker") == [0]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "paused"])
async def test_what_a_worker_had_in_hand_is_taken_over(
    server: BotApiServer, store: Database, postgres_url: str, ready: Mortals, how: signal.Signals
) -> None:
    """It ends, or stands still past its lease, while Telegram is thinking about its messages; the other one goes on with them,
    and what the paused one says when it wakes is not taken."""
    people = await _due(store, server, 20)
    go = asyncio.Event()
    thinking = server.fault("sendMessage", hold=go, times=BULK)
    async with forked(ready, server, postgres_url) as first:
        await server.wait_for(lambda: len(thinking.hits) == BULK, 90, "messages in flight")
        first.signal(how)
        had = set(await _rows(store, "SELECT key FROM outbox WHERE state = 'sending'"))
        async with forked(ready, server, postgres_url) as second:
            await _until(lambda: _sent(store, 20))
            if how is signal.SIGSTOP:
                first.signal(signal.SIGCONT)
            go.set()
            await server.settled()
            if how is signal.SIGSTOP:
                first.signal(signal.SIGTERM)
                assert await first.wait() == 0
            second.signal(signal.SIGTERM)
            assert await second.wait() == 0

    times = Counter(message.chat_id for message in server.sent())
    again = {row[0] for row in await _rows(store, "SELECT key, tries FROM outbox WHERE tries > 1")}
    assert had and again == had
    assert set(times) == {person.id for person in people}
    assert sum(times.values()) - len(people) <= IN_FLIGHT
    assert await _rows(store, "SELECT DISTINCT state FROM outbox") == ["sent"]


async def test_a_reply_that_was_being_graded_by_a_process_that_is_killed_is_answered_once_by_the_next(
    server: BotApiServer, store: Database, postgres: PostgresServer, postgres_url: str, ready: Mortals
) -> None:
    """The one that polls dies in the middle of writing; the one that waited polls, and takes over the reply, too."""
    ann = server.person("Ann")
    async with forked(ready, server, postgres_url, worker=False) as first:
        await ann.says("/next precision")
        assert (await ann.next_message(90)).text.startswith("Question")
        async with forked(ready, server, postgres_url, worker=False):
            await _until(lambda: postgres.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
            assert not first.ended
            assert isinstance(store.base, PostgreSQL)
            async with store.base.engine.connect() as lock:
                await lock.exec_driver_sql("LOCK TABLE attempt IN ACCESS EXCLUSIVE MODE")
                await ann.says("Precision is TP / (TP + FP): of everything that we flagged, the share that really is positive.")
                await _until(lambda: postgres.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"))
                first.signal(signal.SIGKILL)
                await first.wait()
                await lock.rollback()
            graded = (await ann.next_message(60)).text
            await ann.says("/streak")
            streak = (await ann.next_message(60)).text

    assert "/100" in graded
    assert "1 day in a row" in streak
    assert (await store.count())["attempts"] == 1


async def test_a_worker_needs_a_database_that_can_be_shared_and_a_platform(tmp_path: Path) -> None:
    for own, sentence in (
        ({"COACH_TELEGRAM_TOKEN": TOKEN, "COACH_DATABASE": f"sqlite:///{tmp_path}/coach.db"}, "set COACH_DATABASE to a PostgreSQL URL"),
        ({}, "a worker serves the platforms whose token is set, and none is"),
    ):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COACH_")}
        pipe = asyncio.subprocess.PIPE
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "adapters", "run", "--worker", cwd=Path(__file__).parents[1], env=kept | own, stdout=pipe, stderr=pipe
        )
        out, err = (text.decode() for text in await asyncio.wait_for(started.communicate(), 60))

        assert (started.returncode, out) == (1, "")
        assert sentence in err
        assert err.count("\n") == 1
