"""The figures of deliveries on SQLite, beside a JobQueue with a job per learner: tests/bench/deliveries.py [--learners N] [--picture FILE]

Everything is measured in one run on one machine, so that ratios mean something: what is due is claimed, the idle tick, the start,
a reply's way through the coach alone and during a tick, and how fast a backlog drains at Telegram's limits.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import structlog  # noqa: E402
from bench.figures import note  # noqa: E402

from bot.coach import Coach  # noqa: E402
from bot.content import default_folder, load  # noqa: E402
from bot.database import Database  # noqa: E402
from bot.deliveries import Courier  # noqa: E402
from bot.grading.plain import PlainGrader  # noqa: E402
from bot.messages import Address, Message, Reply, say  # noqa: E402
from bot.model import Asked, Changes, Learner, Occasion  # noqa: E402
from bot.outbox import UNLIMITED, Lane, Owed, Pace  # noqa: E402

REPLY = "Precision is TP / (TP + FP): of everything that we flagged, the share that really is positive."
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BEAT = 0.002
"""Seconds between two looks at whether the loop comes round."""

LIBRARY = load(default_folder())


@dataclass
class Paper:
    """A platform that takes everything at once and writes down when."""

    pace: Pace = UNLIMITED
    platform: str = "paper"
    taken: dict[str, float] = field(default_factory=dict)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, address: Address, reply: Reply, key: str, since: datetime | None = None) -> str:
        self.taken[key] = time.perf_counter()
        self.came.set()
        return "1"


def fill(file: Path, learners: int, due: int, platform: str = "paper", at: datetime = NOW) -> None:
    """So many learners, of whom so many are due `at` an instant; the others a day later."""
    asyncio.run(_made(file))
    columns = "id, joined_at, home_platform, home_user, home_chat, zone, minute, tracks, level, expecting, reachable, next_due_at, turn"
    now, later = (f"{one:%Y-%m-%d %H:%M:%S.%f}" for one in (at, at + timedelta(days=1)))
    with sqlite3.connect(file) as connection:
        known = {row[1]: row for row in connection.execute("PRAGMA table_info(learner)")}
        extra = [name for name, row in known.items() if name not in columns.replace(",", " ").split() and row[3] and row[4] is None]
        names = ", ".join((columns, *extra))
        marks = ", ".join("?" * (13 + len(extra)))
        connection.executemany(
            f"INSERT INTO learner ({names}) VALUES ({marks})",
            (
                (f"l{n}", now, platform, f"u{n}", f"u{n}", "UTC", 720, "", 3, "", 1, now if n < due else later, 0, *([""] * len(extra)))
                for n in range(learners)
            ),
        )
        connection.executemany(
            "INSERT INTO address VALUES (?, ?, ?, ?)", (("paper", f"u{n}", f"u{n}", f"l{n}") for n in range(min(learners, 20_000)))
        )
    connection.close()


async def _made(file: Path) -> None:
    await (await Database.open(f"sqlite:///{file}")).close()


@asynccontextmanager
async def opened(file: Path, now: Callable[[], datetime] = lambda: NOW) -> AsyncIterator[tuple[Database, Coach]]:
    store = await Database.open(f"sqlite:///{file}")
    coach = Coach(store, LIBRARY, PlainGrader(), now=now)
    try:
        yield store, coach
    finally:
        await coach.close()
        await store.close()


@asynccontextmanager
async def stall() -> AsyncIterator[list[float]]:
    """The longest time, in seconds, for which the loop did not come round."""
    worst = [0.0]

    async def beat() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(BEAT)
            now = time.perf_counter()
            worst[0], last = max(worst[0], now - last - BEAT), now

    gc.collect()
    gc.freeze()
    beating = asyncio.create_task(beat())
    try:
        yield worst
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating


async def claims(file: Path) -> tuple[float, float, float]:
    """Seconds in which all that is due is owed, the longest stall, and the processor's time, in a process that ticked before."""
    async with opened(file) as (_, coach), stall() as worst:
        await coach.deliver_due(["nowhere"])
        worst[0] = 0.0
        began, used = time.perf_counter(), time.process_time()
        await coach.deliver_due(["paper"])
        return time.perf_counter() - began, worst[0], time.process_time() - used


async def idle(file: Path, times: int = 300) -> float:
    """Median seconds of a tick where nothing is due."""
    async with opened(file) as (store, _):
        spent = []
        for _ in range(times):
            began = time.perf_counter()
            await store.claim_due(["paper"], NOW - timedelta(days=1), 50)
            spent.append(time.perf_counter() - began)
        return statistics.median(spent)


async def start(file: Path) -> float:
    began = time.perf_counter()
    async with opened(file) as (store, coach):
        await store.reschedule(NOW)
        await coach.deliver_due(["paper"])
        return time.perf_counter() - began


def resident() -> float:
    """MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def replies(file: Path, number: int, *, tick: bool) -> tuple[list[float], float]:
    """Seconds from an update received to the send call, one reply after the other, with a tick of 10,000 beside them if asked for;
    and the processor's milliseconds for one."""
    async with opened(file, lambda: datetime.now(UTC)) as (store, coach):
        paper = Paper()
        courier = Courier(store, coach, {"paper": paper})
        coach.on_owed, coach.sender = courier.wake, courier.sender
        people = [Address("paper", f"r{n}", f"r{n}") for n in range(number)]
        now = datetime.now(UTC)
        for n, home in enumerate(people):
            asked = Asked(f"a{tick}{n}", f"r{tick}{n}", "precision", Occasion.CHOSEN, now)
            await store.record(f"j{tick}{n}", home, Changes(Learner(f"r{tick}{n}", now, home), (asked,)), [], now)
        running = asyncio.create_task(courier.run())
        ticking = asyncio.create_task(coach.deliver_due(["elsewhere"])) if tick else None
        spent, used = [], time.process_time()
        for n, home in enumerate(people):
            if ticking is not None and ticking.done():
                break
            key = f"m{tick}{n}"
            began = time.perf_counter()
            await coach.take("paper", [(key, "{}")], {key: home.user})
            await coach.handle(Message(key, home, REPLY, now))
            while f"reply:paper:{key}:0" not in paper.taken:
                paper.came.clear()
                await paper.came.wait()
            spent.append(paper.taken[f"reply:paper:{key}:0"] - began)
            await asyncio.sleep(0.002)
        used = (time.process_time() - used) / max(1, len(spent)) * 1000
        if ticking is not None:
            await ticking
        await courier.stop()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return spent, used


async def drain(file: Path, seconds: float, *, replies: bool) -> tuple[float, list[float], list[float]]:
    """Messages a second at Telegram's limits of a fan-out, with 5 replies a second beside it if asked for; when the fan-out's
    messages were sent, and how long the replies waited, in seconds."""
    async with opened(file, lambda: datetime.now(UTC)) as (store, coach):
        paper = Paper(Pace())
        courier = Courier(store, coach, {"paper": paper})
        bulk, answers = int(seconds * 25), int(seconds * 5) if replies else 0
        now = datetime.now(UTC)
        people = [Address("paper", f"d{n}", f"d{n}") for n in range(bulk + answers)]
        owed = [Owed(f"word:{replies}:{n}", people[n], Lane.BULK, "word", say("hello")) for n in range(bulk)]
        await store.record(f"fan-out {replies}", people[0], Changes(), owed, now)
        began = time.perf_counter()
        running = asyncio.create_task(courier.run())
        asked: dict[str, float] = {}
        for n in range(answers):
            await asyncio.sleep(max(0.0, began + n / 5 - time.perf_counter()))
            asked[f"r:{n}"] = time.perf_counter()
            one = Owed(f"r:{n}", people[bulk + n], Lane.REPLY, "reply", say("hello"))
            await store.record(f"q{n}", people[bulk + n], Changes(), [one], datetime.now(UTC))
            courier.wake()
        while len(paper.taken) < bulk + answers:
            await asyncio.sleep(0.05)
        spent = max(paper.taken.values()) - began
        await courier.stop()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        sent = sorted(at - began for key, at in paper.taken.items() if key.startswith("word"))
        return (bulk + answers) / spent, sent, [paper.taken[key] - at for key, at in asked.items()]


async def job_queue(learners: int, due: int) -> tuple[float, float, int]:
    """PTB's JobQueue with a job per learner: seconds to make them, the longest stall when many are due, and how many ran."""
    import logging

    from telegram.ext import Application

    logging.disable(logging.CRITICAL)
    queue = Application.builder().token("1:a").updater(None).build().job_queue
    assert queue is not None
    ran = 0

    async def callback(_: object) -> None:
        nonlocal ran
        ran += 1

    made = time.perf_counter()
    at = datetime.now(UTC) + timedelta(hours=1)
    jobs = [queue.run_once(callback, at) for _ in range(learners - due)]
    soon = datetime.now(UTC) + timedelta(seconds=max(10, learners / 2000))
    jobs += [queue.run_once(callback, soon) for _ in range(due)]
    made = time.perf_counter() - made
    await queue.start()
    async with stall() as worst:
        await asyncio.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()))
        for _ in range(600):
            before = ran
            await asyncio.sleep(0.1)
            if (datetime.now(UTC) - soon).total_seconds() > 15 and ran == before:
                break
    await queue.stop(wait=False)
    logging.disable(logging.NOTSET)
    return made, worst[0], ran


def picture(file: Path, sent: list[float], answers: list[float]) -> None:
    """When the messages of a burst go out, and how long replies wait beside it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), width_ratios=[3, 2])
    left.plot(sent, range(1, len(sent) + 1), color="#2f6f8f")
    left.set(xlabel="seconds from due to sent", ylabel="messages sent", title=f"{len(sent):,} due at one instant")
    left.grid(alpha=0.3)
    right.hist([one * 1000 for one in answers], bins=30, color="#c8793a")
    right.set(xlabel="milliseconds from owed to sent", ylabel="replies", title=f"{len(answers):,} replies meanwhile")
    right.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def part(values: list[float], which: float) -> float:
    return sorted(values)[min(len(values) - 1, int(which * len(values)))] * 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--learners", type=int, default=100_000)
    parser.add_argument("--many", type=int, default=1_000_000, help="learners for the idle tick")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long a backlog drains")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "latency.png")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = folder / "few.db"
        fill(few, 1000, 0)
        before = resident()
        asyncio.run(start(few))
        with_few = resident()
        found = []
        for n in range(3):
            file = folder / f"due{n}.db"
            fill(file, options.learners, 10_000)
            if n == 0:
                started = asyncio.run(start_of(file))
                note(f"start with {options.learners:,} learners", f"{started:.2f} s", "under 1 s", met=started < 1)
            found.append(asyncio.run(claims(file)))
        ours, worst, spent = (statistics.median(one) for one in zip(*found, strict=True))
        what = f"10,000 due of {options.learners:,}, medians of 3"
        note(f"{what}: all owed", f"{ours:.2f} s (processor {spent:.2f} s)", "under 0.5 s", met=ours < 0.5)
        note(f"{what}: longest stall of the loop", f"{worst * 1000:.0f} ms", "20 ms", met=worst <= 0.02)
        more = resident() - with_few
        note("memory of 100,000 learners over 1,000", f"{more:+.0f} MiB ({with_few - before:+.0f} for the first)", "none", met=more < 8)
        made, stalled, ran = asyncio.run(job_queue(options.learners, 10_000))
        note("the same by JobQueue, a job per learner", f"made in {made:.1f} s, stall {stalled:.1f} s, {ran:,} of 10,000 ran")
        note("  its stall over ours", f"{stalled / worst:.0f} times")
        million = folder / "million.db"
        fill(million, options.many, 0)
        ticks = [(asyncio.run(idle(few)), asyncio.run(idle(million))) for _ in range(3)]
        small, large = (statistics.median(one) for one in zip(*ticks, strict=True))
        ratio = large / small
        idling = f"{large * 1000:.2f} / {small * 1000:.2f} ms = {ratio:.2f}"
        note(f"idle tick at {options.many:,} learners over one at 1,000", idling, "at most 1.2", met=ratio <= 1.2)
        alone, spent = asyncio.run(replies(few, 300, tick=False))
        half, most = part(alone, 0.5), part(alone, 0.99)
        note(
            "update received to send call, p50",
            f"{half:.1f} ms (processor {spent:.1f} ms in all)",
            "5 ms",
            met=half <= 5,
        )
        note("update received to send call, p99", f"{most:.1f} ms (n = {len(alone)})", "25 ms", met=most <= 25)
        fill(folder / "tick.db", options.learners, 10_000, "elsewhere", datetime.now(UTC))
        during, _ = asyncio.run(replies(folder / "tick.db", 600, tick=True))
        most = part(during, 0.99)
        told = f"{most:.1f} ms, p50 {part(during, 0.5):.1f} (n = {len(during)})"
        note("the same during a tick of 10,000, p99", told, "30 ms", met=most <= 30)
        rate, _, _ = asyncio.run(drain(few, options.seconds, replies=False))
        note("drain of a fan-out alone", f"{rate:.1f} a second, {rate / 25:.0%} of 25", "95 %", met=rate >= 0.95 * 25)
        rate, sent, answers = asyncio.run(drain(few, options.seconds, replies=True))
        note("drain, both lanes full", f"{rate:.1f} a second, {rate / 30:.0%} of 30", "95 %", met=rate >= 0.95 * 30)
        note("  a reply meanwhile, owed to sent", f"p50 {part(answers, 0.5):.0f} ms, p99 {part(answers, 0.99):.0f} ms (n = {len(answers)})")
        picture(options.picture, sent, answers)


async def start_of(file: Path) -> float:
    """Seconds until a store with these learners has looked for the first time at what is due, of another time than theirs."""
    began = time.perf_counter()
    async with opened(file, lambda: NOW - timedelta(days=1)) as (store, coach):
        await store.reschedule(NOW - timedelta(days=1))
        await coach.deliver_due(["paper"])
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
