"""Ten thousand due and ten thousand who reply at one moment, over real HTTP: tests/bench/burst.py [--number N] [--times K]

The coach is a process of its own that serves the loopback Telegram, which keeps to Telegram's limits or to K times as many messages a
second; with --times 1 ten thousand of both take twelve minutes. Whether anything was lost or came twice is counted in
Telegram's ledger and in the database.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench.figures import note  # noqa: E402
from peers.kills import REPLY, Books  # noqa: E402
from peers.mortal import mortals  # noqa: E402
from peers.telegram import BotApiServer  # noqa: E402

from bot.outbox import Pace  # noqa: E402

SILENCE = 120.0
"""Seconds without a message after which the rest is lost."""


async def work(books: Books, number: int) -> None:
    """So many have a question open and so many have one due now, in a database that was filled past the store."""
    await books.work(0)  # the tables
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    ahead = 12 - now.hour
    zone = f"Etc/GMT{-ahead:+d}" if ahead else "UTC"  # where it is noon
    kept = now.strftime("%Y-%m-%d %H:%M:%S.000000")
    books.replied += [books.server.person("R", started=True) for _ in range(number)]
    books.owed += [books.server.person("D", started=True) for _ in range(number)]
    people = [(one.id, None, None) for one in books.replied] + [(one.id, 12 * 60 + now.minute, kept) for one in books.owed]
    with sqlite3.connect(books.database) as connection:
        connection.executemany(
            "INSERT INTO learner (id, joined_at, home_platform, home_user, home_chat, zone, minute, tracks, level, expecting, reachable,"
            " next_due_at) VALUES ('l' || ?1, ?4, 'telegram', ?1, ?1, ?5, ?2, '', 3, '', 1, ?3)",
            ((str(id), minute, due, kept, zone) for id, minute, due in people),
        )
        connection.execute("INSERT INTO address SELECT home_platform, home_user, home_chat, id FROM learner")
        connection.execute(
            "INSERT INTO asked (id, learner, question, occasion, at, wording, followup, attempt, hints, fate)"
            " SELECT 'a' || home_user, id, 'precision', 'chosen', joined_at, 0, '', '', 0, 'open' FROM learner WHERE minute IS NULL"
        )
    connection.close()


async def burst(number: int, times: int) -> None:
    began = 0.0
    arrivals: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory() as name, mortals(Path(name), XDG_CACHE_HOME=name) as ready:
        async with BotApiServer(limits=times) as server:
            books = Books(server, Path(name) / "coach.db")
            await work(books, number)
            for person in books.replied:
                await person.says(REPLY)
            began = time.perf_counter()
            life = await books.life(ready, times=times)
            while len(server.delivered) < 2 * number and time.perf_counter() - (arrivals[-1][0] if arrivals else began) < SILENCE:
                await asyncio.sleep(0.5)
                if len(server.delivered) > (arrivals[-1][1] if arrivals else 0):
                    arrivals.append((time.perf_counter(), len(server.delivered)))
                    if len(arrivals) % 60 == 0:
                        print(f"  {time.perf_counter() - began:.0f} s: {len(server.delivered):,} sent", file=sys.stderr)
            took = time.perf_counter() - began
            await asyncio.sleep(2.0)  # whatever else it might send
            os.kill(life, signal.SIGTERM)
            ended = await ready.ended(life)
            heard = books.said()
            wanted = {(one.id, "grade") for one in books.replied} | {(one.id, "question") for one in books.owed}
            floods = sum(call.status == 429 for call in server.called("sendMessage"))
        with sqlite3.connect(books.database) as connection:
            states = Counter(state for (state,) in connection.execute("SELECT state FROM outbox"))
            attempts = Counter(learner for (learner,) in connection.execute("SELECT learner FROM attempt"))
            practised = connection.execute("SELECT count(*) FROM practised").fetchone()[0]
            undone = connection.execute("SELECT count(*) FROM inbox WHERE done_at IS NULL").fetchone()[0]
        connection.close()
    lost, doubled = len(wanted - set(heard)), sum(heard.values()) - len(heard)
    missing, twice = number - len(attempts), sum(attempts.values()) - len(attempts)
    rate = 2 * number / took
    what = f"{number:,} due and {number:,} replies at once, {times} times Telegram's {Pace().per_second:.0f} a second"
    note(what, f"{took:.0f} s, {rate:.1f} a second, {floods} refused as too many")
    note("  in Telegram's ledger", f"{len(heard):,} messages, {lost} lost, {doubled} doubled", "none, none", met=not lost and not doubled)
    told = f"{len(attempts):,} attempts, {missing} lost, {twice} doubled; outbox {dict(states)}; inbox {undone} undone"
    whole = not missing and not twice and not undone and practised == number and set(states) == {"sent"} and ended == 0
    note("  in the database", told, "none, none, all sent", met=whole)
    if lost or doubled or not whole:
        raise SystemExit("something was lost or came twice")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, default=10_000, help="learners who are due, and as many who reply")
    parser.add_argument("--times", type=int, default=10, help="how many times Telegram's messages a second are sent and taken")
    options = parser.parse_args()
    asyncio.run(burst(options.number, options.times))


if __name__ == "__main__":
    main()
