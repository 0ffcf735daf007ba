"""A process from its start to its end: its one port, what it counts, how it stops, and when it ends by itself."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from peers.kills import IN_FLIGHT, Books
from peers.mortal import Mortals
from peers.telegram import TOKEN, BotApiServer
from prometheus_client.parser import text_string_to_metric_families

from adapters.health import OLDEST, Health
from adapters.metrics import Metrics
from adapters.serving import Beneath, supervise
from adapters.web import serve_web
from bot.clock import Clock
from bot.database import Database
from bot.errors import SettingsError, StoreError
from bot.grading.plain import PlainGrader
from bot.watching import Watcher

ROOT = Path(__file__).parents[1]


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    async with BotApiServer() as server:
        yield Books(server, tmp_path / "coach.db")
        assert server.violations == []


async def _asks(port: int, path: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as answer:
        return answer.status, await answer.text()


async def _port(ready: Mortals) -> int:
    """Where the life that was begun last listens."""
    async with asyncio.timeout(30):
        while not (found := re.findall(r'"port": (\d+)', ready.log.read_text())):
            await asyncio.sleep(0.02)
    return int(found[-1])


def _figures(text: str) -> dict[tuple[str, ...], float]:
    """Every figure that is no bucket, by its name and the values of its labels, in the order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text) for sample in family.samples if "le" not in sample.labels
    }  # fmt: skip


def _by(figures: dict[tuple[str, ...], float], name: str) -> dict[tuple[str, ...], float]:
    return {key: value for key, value in figures.items() if key[0] == name}


# ---------------------------------------------------------------------------------------------- the port


async def test_a_process_that_polls_shows_on_its_port_that_it_lives_is_ready_and_what_it_did(books: Books, ready: Mortals) -> None:
    """Two graded replies, a question of the day that was tried again and one that was given up: all is counted, nobody is named."""
    ready.log.write_text("")
    await books.work(2)
    again, refused = books.owed
    books.server.fault("sendMessage", chat=again, status=502, times=1)
    books.server.fault("sendMessage", chat=refused, status=400, description="Bad Request: no", times=1)
    life = await books.life(ready)
    await books.server.wait_for(lambda: len(books.said()) == 3, 60)
    port = await _port(ready)

    assert await _asks(port, "/healthz") == (200, "alive\n")
    status, answer = await _asks(port, "/readyz")
    told = json.loads(answer)
    assert status == 200 and 0 <= told.pop("last_tick_seconds") < OLDEST
    assert told == {"ready": True, "database": "answers", "platforms": {"telegram": "connected"}}

    async with asyncio.timeout(30):
        while True:
            status, answer = await _asks(port, "/metrics")
            figures = _figures(answer)
            if figures.get(("coach_deliveries_sent_total", "daily", "telegram")) == 1:
                break
    graded = _by(figures, "coach_replies_graded_total")
    assert status == 200
    assert {name for name, *_ in figures} >= {"process_resident_memory_bytes", "coach_tick_age_seconds"}
    assert sum(graded.values()) == 2 and {by for _, by, _ in graded} == {PlainGrader.name}
    assert {stage for _, stage in _by(figures, "coach_stage_seconds_count")} == {"read", "decide", "grade", "write", "word", "send"}
    assert {
        "due": figures["coach_deliveries_due_total", "daily"],
        "sent": figures["coach_deliveries_sent_total", "daily", "telegram"],
        "replies": figures["coach_deliveries_sent_total", "reply", "telegram"],
        "retried": figures["coach_deliveries_retried_total", "daily", "telegram"],
        "failed": figures["coach_deliveries_failed_total", "daily", "telegram"],
        "away": figures["coach_platform_errors_total", "away", "telegram"],
        "refused": figures["coach_platform_errors_total", "refused", "telegram"],
        "connected": figures["coach_platform_connected", "telegram"],
        "database": figures["coach_database_up",],
    } == {"due": 2, "sent": 1, "replies": 2, "retried": 1, "failed": 1, "away": 1, "refused": 1, "connected": 1, "database": 1}  # fmt: skip
    assert {queue for _, _, queue in _by(figures, "coach_queue_length")} == {"replies", "deliveries", "due", "updates"}
    labels = {label for _, *labels in figures for label in labels}
    assert not labels & {one for person in (*books.owed, *books.replied) for one in (str(person.id), f"l{person.id}", person.first_name)}
    assert (await _asks(port, "/metrics", **{"X-Forwarded-For": "203.0.113.9"}))[0] == 404

    os.kill(life, signal.SIGTERM)
    assert await ready.ended(life) == 0


class Away:
    """A store that does not answer."""

    async def queues(self, platforms: Any, now: datetime) -> Any:
        raise StoreError("the database can't be used: it is away")


class Standing:
    """A platform that is as it is told to be."""

    def __init__(self, platform: str, *, connected: bool, turn: bool = True) -> None:
        self.platform, self.connected, self.turn = platform, connected, asyncio.Event()
        if turn:
            self.turn.set()


@pytest.mark.parametrize(
    ("store", "platforms", "age", "ready"),
    [
        (None, [("telegram", True, True), ("discord", False, False)], 1, True),  # another process listens to Discord
        (None, [("telegram", True, True), ("discord", False, True)], 1, False),
        (None, [("telegram", True, True)], OLDEST + 1, False),
        (None, [("telegram", True, True)], None, False),
        (Away(), [("telegram", True, True)], 1, False),
    ],
    ids=["ready", "a platform is away", "the last tick is long ago", "no tick yet", "the database is away"],
)
async def test_what_a_process_needs_to_be_ready(
    database: Path, store: Any, platforms: list[tuple[str, bool, bool]], age: float | None, ready: bool
) -> None:
    """The database, every platform and a tick of late; the process itself lives whatever they do, and figures are still shown."""
    now = datetime.now(UTC)
    kept = await Database.open(f"sqlite:///{database}")
    clock = Clock(None, kept, [])  # type: ignore[arg-type]
    clock.last_tick = None if age is None else now - timedelta(seconds=age)
    standing: Any = [Standing(name, connected=connected, turn=turn) for name, connected, turn in platforms]
    health = Health(store or kept, standing, clock, Metrics(), now=lambda: now)
    async with serve_web(0, health.routes(), "127.0.0.1") as port:
        status, answer = await _asks(port, "/readyz")
        assert (status, json.loads(answer)["ready"]) == ((200, True) if ready else (503, False))
        assert (await _asks(port, "/healthz"))[0] == 200
        figures = _figures((await _asks(port, "/metrics"))[1])
    await kept.close()

    assert figures["coach_database_up",] == (store is None)
    assert ("coach_tick_age_seconds",) in figures or age is None


# ---------------------------------------------------------------------------------------------- the end


async def test_told_to_end_it_claims_nothing_new_and_sends_the_reply_to_the_turn_in_hand(books: Books, ready: Mortals) -> None:
    """The reply that is being graded is answered before the end; of a fan-out that had begun nothing more is begun."""
    await books.work(1)
    await books.work(12)
    held = asyncio.Event()
    thinking = books.server.fault("sendMessage", hold=held, times=IN_FLIGHT)
    life = await books.life(ready, thinks=0.5)
    await books.server.wait_for(lambda: len(thinking.hits) >= IN_FLIGHT - 1 and books.server.called("sendChatAction"), 60)
    begun = len(books.server.called("sendMessage"))
    os.kill(life, signal.SIGTERM)
    held.set()
    assert await ready.ended(life) == 0

    kinds = [kind for _, kind in books.said()]
    assert kinds.count("grade") == 13
    assert kinds.count("question") <= begun
    assert await books.until_done_or_dead(ready, await books.life(ready)) == 0
    await books.check(doubled=0)


async def test_a_turn_that_does_not_end_is_left_to_the_next_start(books: Books, ready: Mortals) -> None:
    """Grading takes a minute and there is half a second: the process ends in order, and the next one answers."""
    await books.work(1)
    life = await books.life(ready, thinks=60, grace=0.5)
    await books.server.wait_for(lambda: books.server.called("sendChatAction"), 60)
    os.kill(life, signal.SIGTERM)
    assert await ready.ended(life) == 0
    assert await books.until_done_or_dead(ready, await books.life(ready)) == 0

    await books.check(doubled=0)


async def test_told_to_end_twice_it_ends_at_once(books: Books, ready: Mortals) -> None:
    """Whatever it has in hand: nothing is lost, and what was on its way may come twice."""
    await books.work(2)
    thinking = books.server.fault("sendMessage", hold=asyncio.Event(), times=2)
    life = await books.life(ready, thinks=60)
    await books.server.wait_for(lambda: len(thinking.hits) == 2 and books.server.called("sendChatAction"), 60)
    ready.log.write_text("")
    os.kill(life, signal.SIGTERM)
    async with asyncio.timeout(30):
        while "stopping" not in ready.log.read_text():
            await asyncio.sleep(0.01)
    os.kill(life, signal.SIGTERM)
    assert await ready.ended(life) == 128 + signal.SIGTERM
    assert await books.until_done_or_dead(ready, await books.life(ready)) == 0

    await books.check(doubled=IN_FLIGHT)


class Fails:
    """A platform that fails as often as it is told to, and then runs until it is stopped."""

    platform = "paper"

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.running = asyncio.Event()
        self.stopped = asyncio.Event()

    async def start(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    async def run(self) -> None:
        self.running.set()
        await self.stopped.wait()


class Told(Watcher):
    def __init__(self) -> None:
        self.troubles: list[str] = []

    def trouble(self, platform: str, kind: str) -> None:
        self.troubles.append(f"{platform} {kind}")


async def test_a_platform_that_fails_is_started_again_and_one_that_is_refused_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    """However it fails, it takes nobody down and is tried again, less and less often; a wrong token is told once."""
    stopping, told = asyncio.Event(), Told()
    fails: Any = Fails(RuntimeError("a"), ValueError("b"), OSError("c"))
    running = asyncio.create_task(supervise(fails, stopping, told, (0.01, 0.02)))
    await asyncio.wait_for(fails.running.wait(), 10)
    fails.stopped.set()
    assert await running
    assert told.troubles == ["paper RuntimeError", "paper ValueError", "paper OSError"]

    refused: Any = Fails(SettingsError("Paper refuses COACH_PAPER_TOKEN"))
    assert not await supervise(refused, stopping, told)
    assert capfd.readouterr().err.endswith("coach: Paper refuses COACH_PAPER_TOKEN\n")

    waits: Any = Fails(RuntimeError("again"))
    running = asyncio.create_task(supervise(waits, stopping, told, (3600.0, 3600.0)))
    stopping.set()
    assert await asyncio.wait_for(running, 10)


async def test_a_clock_that_does_not_tick_and_a_courier_that_ended_are_noticed() -> None:
    """Nothing beneath the platforms may end by itself, whatever the platforms do."""

    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def ends() -> None:
        raise ValueError("nobody caught this")

    dead = Clock(None, None, [])  # type: ignore[arg-type]
    running = [asyncio.create_task(for_ever())]
    nothing: Any = None
    assert await Beneath(dead, nothing, running).failed(1) == "the clock has stood still for 1 s"
    dead.trouble = "the database can't be used: its disk is full"
    assert (
        await Beneath(dead, nothing, running).failed(1)
        == "the database has been away for 1 s: the database can't be used: its disk is full"
    )
    ended = await Beneath(dead, nothing, [*running, asyncio.create_task(ends())]).failed(60)
    assert ended == "what sends and receives has ended: ValueError"
    running[0].cancel()


async def test_one_platform_that_is_away_troubles_nobody_and_a_database_that_is_ends_the_process(database: Path) -> None:
    """Telegram is served and Discord tried again all the while. Without a database there is nothing to be done: status 1, so that
    the host starts it again, and the reason is the last thing it says."""
    async with BotApiServer() as server:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COACH_")}
        own = {
            "COACH_TELEGRAM_TOKEN": TOKEN, "COACH_TELEGRAM_API": server.url.removesuffix("/bot"), "COACH_PATIENCE": "3",
            "COACH_DISCORD_TOKEN": "somebody.else.s", "COACH_DISCORD_API": "http://127.0.0.1:1", "COACH_PORT": "0",
            "COACH_DATABASE": f"sqlite:///{database}",
        }  # fmt: skip
        pipe = asyncio.subprocess.PIPE
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "adapters", "run", cwd=ROOT, env=kept | own, stdout=pipe, stderr=pipe
        )
        assert started.stderr is not None
        said: list[bytes] = []

        async def until(text: bytes) -> None:
            async with asyncio.timeout(90):
                while not said or text not in said[-1]:
                    said.append(await started.stderr.readline())  # type: ignore[union-attr]
                    assert said[-1], b"".join(said).decode()

        await until(b'"listening"')
        port = json.loads(said[-1])["port"]
        await until(b"discord is away")
        ann = server.person("Ann")
        await ann.says("/help")
        assert "How this works" in (await ann.next_message(60)).text
        status, answer = await _asks(port, "/readyz")
        assert (status, json.loads(answer)["platforms"]) == (503, {"telegram": "connected", "discord": "away"})
        assert (await _asks(port, "/healthz"))[0] == 200
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            await until(b"stopping")
        _, rest = await asyncio.wait_for(started.communicate(), 60)  # it is back, and too late

    assert started.returncode == 1
    last = rest.decode().splitlines()[-1]
    reason = r"the (database has been away|clock has stood still) for 3 s.*"
    assert re.fullmatch(rf"coach: {reason}\. I stop, so that whoever runs me starts me again", last)
