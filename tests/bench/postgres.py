"""How many messages a second several workers claim and settle on PostgreSQL: tests/bench/postgres.py [--rows N] [--runs N]

The server is one of our own with Debian's settings: fsync and synchronous_commit on. Every worker is a process; each claims ten,
settles them as sent, and goes on until nothing is left. Measured in turn, so that all see the same machine:

    ours       Store.claim and Store.settle, as the courier uses them (one message a chat, leases, fences)
    pgqueuer   PgQueuer's dequeue and log_jobs, where it is installed (pip install pgqueuer)
    no skip    ours, with a plain FOR UPDATE: every worker waits for the one before it
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench.figures import note  # noqa: E402
from peers.postgres import PostgresServer, postgres_server  # noqa: E402

from bot.database import Database, postgres  # noqa: E402

WORKERS, BATCH = 4, 10
Claim = Callable[[], Awaitable[list[str]]]


def _overlapped(claimed: Callable[[], Awaitable[list[Any]]], settle: Callable[[list[Any]], Awaitable[object]], key: str) -> Claim:
    """Settles one batch while the next one is claimed, as the courier does."""
    settling: list[asyncio.Future[object]] = []

    async def claim() -> list[str]:
        batch = await claimed()
        if settling:
            await settling.pop()
        if batch:
            settling.append(asyncio.ensure_future(settle(batch)))
        return [str(getattr(one, key)) for one in batch]

    return claim


async def _ours(url: str) -> Claim:
    store = await Database.open(url)

    async def settle(batch: list[Any]) -> None:
        await asyncio.gather(*(store.settle(one, "sent", datetime.now(UTC), message="1") for one in batch))

    return _overlapped(lambda: store.claim(["paper"], datetime.now(UTC), BATCH), settle, "key")


async def _no_skip(url: str) -> Claim:
    """The same statement with two words left out."""
    postgres.CLAIM = postgres.CLAIM.replace("FOR UPDATE SKIP LOCKED", "FOR UPDATE")
    ours, store = await _ours(url), await Database.open(url)

    async def claim() -> list[str]:
        # What another worker took while this one waited falls out of its batch: none may mean that it came too late.
        while not (found := await ours()) and (await store.count()).get("outbox ready"):
            pass
        return found

    return claim


async def _pgqueuer(url: str) -> Claim:
    import asyncpg
    from pgqueuer.queries import EntrypointExecutionParameter, Queries

    taking, ending = [Queries.from_asyncpg_connection(await asyncpg.connect(url.replace("+asyncpg", ""))) for _ in range(2)]
    entrypoints: Any = {"send": EntrypointExecutionParameter(0)}
    manager: Any = uuid4()

    def dequeue() -> Awaitable[list[Any]]:
        return taking.dequeue(BATCH, entrypoints, manager, None, timedelta(seconds=30))

    def log(batch: list[Any]) -> Awaitable[object]:
        return ending.log_jobs([(job, "successful", None) for job in batch])

    return _overlapped(dequeue, log, "id")


WAYS = {"ours": _ours, "pgqueuer": _pgqueuer, "no skip": _no_skip}


async def work(way: str, url: str) -> None:
    """One worker: says that it is ready, waits for a line, claims until nothing is left, prints when and what."""
    claim = await WAYS[way](url)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    keys: list[str] = []
    spent, began = time.process_time(), time.time()
    while found := await claim():
        keys += found
    ended = time.time()
    print(began, ended, time.process_time() - spent, *keys, flush=True)
    os._exit(0)


async def _fill(server: PostgresServer, url: str, way: str, rows: int) -> None:
    name = url.rsplit("/", 1)[1]
    await (await Database.open(url)).close()
    if way == "pgqueuer":
        import asyncpg
        from pgqueuer.queries import Queries

        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        queries = Queries.from_asyncpg_connection(connection)
        await queries.install()
        await queries.enqueue(["send"] * rows, [None] * rows, [0] * rows)
        await connection.close()
    else:
        await server.execute(
            'INSERT INTO outbox (key, platform, "user", chat, learner, lane, kind, about, payload, state, due_at, not_before, tries, '
            "unsure, message) SELECT 'daily:' || n, 'paper', 'u' || n, 'u' || n, 'l' || n, '1-bulk', 'daily', '', '', 'ready', now(), "
            f"now(), 0, false, '' FROM generate_series(1, {rows}) AS n",
            database=name,
        )
    await server.execute("VACUUM ANALYZE", database=name)
    await server.execute("CHECKPOINT")


def measure(server: PostgresServer, way: str, rows: int) -> tuple[float, float]:
    """Claims a second of one run, and the processor's time for one in microseconds, workers and server together.

    Raises AssertionError where one was claimed twice or lost."""
    name = server.made()
    url = server.url(name)
    asyncio.run(_fill(server, url, way, rows))
    command = [sys.executable, __file__, "--work", way, url]
    pipe = subprocess.PIPE
    workers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(WORKERS)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    before = server.processor()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    said = [worker.communicate()[0].split() for worker in workers]
    processor = sum(float(one[2]) for one in said) + server.processor() - before
    claimed = Counter(key for one in said for key in one[3:])
    assert len(claimed) == rows, f"{rows - len(claimed)} lost"
    assert set(claimed.values()) == {1}, "claimed twice"
    server.dropped(name)
    shares = sorted(len(one) - 3 for one in said)
    rate = rows / (max(float(one[1]) for one in said) - min(float(one[0]) for one in said))
    print(f"  {way}: {rate:,.0f} a second, none twice, shares {shares[0]} to {shares[-1]}, load {os.getloadavg()[0]:.1f}", flush=True)
    return rate, processor / rows * 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--work", nargs=2, metavar=("WAY", "URL"))
    options = parser.parse_args()
    if options.work:
        asyncio.run(work(*options.work))
        return
    ways = [way for way in WAYS if way != "pgqueuer" or importlib.util.find_spec("pgqueuer")]
    with postgres_server({"shared_buffers": "256MB"}) as server:
        rates: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(options.runs):
            for way in ways:
                rates[way].append(measure(server, way, options.rows))
    print(
        f"\n{WORKERS} workers, batch {BATCH}, {options.rows} rows, fsync and synchronous_commit on; median of {options.runs} (best, worst)"
    )
    for way, found in rates.items():
        rate, (best, worst) = statistics.median(one for one, _ in found), (max(found)[0], min(found)[0])
        processor = statistics.median(one for _, one in found)
        told = f"{rate:,.0f} a second ({best:,.0f}, {worst:,.0f}), processor {processor:.0f} us a claim"
        wanted = "5,000 a second, none twice" if way == "ours" else ""
        note(f"PostgreSQL, {WORKERS} workers, batch {BATCH}, durable: {way}", told, wanted, met=rate >= 5000 if wanted else None)


if __name__ == "__main__":
    main()
