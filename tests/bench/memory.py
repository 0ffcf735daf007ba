"""Measures what the coach's order of questions is worth, and how long choosing, drawing and planning take: python tests/bench/memory.py

Simulated learners (tests/simulated.py) practise for 180 days in the coach's order, in a shuffled one and in the packs' own. How they
remember is no copy of how the coach believes that people remember.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import simulated  # noqa: E402
from worlds import FakeClock, world  # noqa: E402

from bot import cards, reviews  # noqa: E402
from bot.content import Library, default_folder, load  # noqa: E402
from bot.model import Lately  # noqa: E402
from bot.reports.standing import Bar, Picture, draw  # noqa: E402
from bot.reviews import Known  # noqa: E402

SEEDS = 10
PROFILES = (frozenset({"mlops", "evaluation"}), frozenset({"deep-learning", "features"}))
LEARNERS = 10_000


def spread(name: str, values: list[float]) -> str:
    return f"{name}: mean {statistics.fmean(values):+.3f}, sd {statistics.stdev(values):.3f}, least {min(values):+.3f} (n = {len(values)})"


def orders(library: Library) -> None:
    for per_day in (1, 2, 4):
        strengths: list[tuple[float, float, float]] = []
        waits, most_due = [], 0
        for weak in PROFILES:
            for seed in range(SEEDS):
                run = simulated.coached(library, weak, seed, per_day)
                shuffled = simulated.ordered(library, weak, seed, per_day, shuffled=True)
                fixed = simulated.ordered(library, weak, seed, per_day, shuffled=False)
                strengths.append((run.strength, shuffled, fixed))
                waits.append(max(run.waits))
                most_due = max(most_due, run.most_due)
        coach, shuffled_, fixed_ = (statistics.fmean(column) for column in zip(*strengths, strict=True))
        print(f"{per_day} a day for 180 days: known of the weak sections {coach:.3f}, shuffled {shuffled_:.3f}, fixed {fixed_:.3f}")
        print("  " + spread("coach less shuffled", [one[0] - one[1] for one in strengths]))
        print("  " + spread("coach less fixed", [one[0] - one[2] for one in strengths]))
        print(f"  longest wait of a due card {max(waits):.0f} days; most due cards on one day {most_due}", flush=True)


def timed(name: str, times: int, one: Callable[[], object]) -> None:
    walls, spent = [], []
    for _ in range(times):
        wall, processor = time.perf_counter(), time.process_time()
        one()
        walls.append(time.perf_counter() - wall)
        spent.append(time.process_time() - processor)
    print(
        f"{name}: {statistics.median(walls) * 1000:.1f} ms, of the processor {statistics.median(spent) * 1000:.1f} ms (n = {times})",
        flush=True,
    )


def choosing(library: Library) -> None:
    rng, now = Random(1), simulated.BEGAN + timedelta(days=200)
    held, lately = {}, []
    for number, id in enumerate(library.questions):
        at = now - timedelta(days=1 + number % 90)
        held[id] = cards.reviewed(None, "sim", id, rng.randrange(101), 0, at, rng)
        lately.append(Lately(id, at))
    known = Known(held, sorted(lately, key=lambda one: one.at))
    timed(f"a choice among {len(held)} cards", 200, lambda: reviews.choose(library, simulated.LEARNER, known, now, rng))


def drawing(library: Library) -> None:
    bars = tuple(Bar(title, 50, 40, guess=False) for title in library.syllabus.sections.values())
    picture = Picture(bars, date(2026, 9, 14), (1,) * 80)
    timed("the first picture, the library's loading included", 1, lambda: draw(picture))
    timed("a picture after it", 30, lambda: draw(picture))


async def planning(library: Library) -> None:
    at = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "coach.db"
        async with world(library, file, clock=FakeClock(at)) as home:
            await home.says("/help")
            with sqlite3.connect(file) as connection:
                stamp = f"{at - timedelta(seconds=1):%Y-%m-%d %H:%M:%S.%f}"
                rows = [(f"l{n}", stamp, "paper", f"u{n}", f"u{n}", "Europe/Berlin", "", 3, "", 1, stamp) for n in range(LEARNERS)]
                names = "id, joined_at, home_platform, home_user, home_chat, zone, tracks, level, expecting, reachable, next_week_at"
                connection.executemany(f"INSERT INTO learner ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
                connection.executemany(
                    "INSERT INTO practised (learner, at, zone) VALUES (?, ?, 'UTC')", [(f"l{n}", stamp) for n in range(LEARNERS)]
                )
            began = time.perf_counter()
            await home.coach.deliver_due(["paper"])
            print(f"{LEARNERS:,} weekly messages planned in {time.perf_counter() - began:.2f} s", flush=True)


def main() -> None:
    library = load(default_folder())
    print(f"{len(library.questions)} questions; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    choosing(library)
    drawing(library)
    asyncio.run(planning(library))
    orders(library)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
