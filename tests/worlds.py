"""A whole coach for tests: real packs, real SQLite, the real courier, and a clock that stands still until it is moved."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from peers.overheard import SECRETS
from sqlalchemy import Connection, Dialect, Engine, StaticPool, create_engine, event
from sqlmodel import Session, and_, col, or_, select

from bot.coach import Coach
from bot.content import Library, default_folder, syllabus
from bot.content import load as read_packs
from bot.database import Database, sqlite_file
from bot.database.rows import OutboxRow
from bot.deliveries import Courier
from bot.floods import MOST
from bot.grading.plain import PlainGrader
from bot.incidents import Incident, load
from bot.messages import Address, Message, Reply
from bot.migrations import upgrade
from bot.ports import Adapter, Grader

MONDAY = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


ANN = Address("console", "ann", "ann")


@dataclass
class FakeClock:
    """`now()` is what it was set to."""

    at: datetime = MONDAY

    def __call__(self) -> datetime:
        return self.at

    def move(self, **span: float) -> datetime:
        self.at += timedelta(**span)
        return self.at


@dataclass
class World:
    """One coach with its store. `hears` is what it returned to the learner's last message."""

    store: Database
    coach: Coach
    clock: FakeClock
    library: Library
    keys: Callable[[], int] = field(default_factory=lambda: count(1).__next__)
    address: Address = ANN
    hears: tuple[Reply, ...] = ()

    async def says(self, text: str, *, address: Address | None = None, key: str = "", **rest: object) -> tuple[Reply, ...]:
        """A message from the learner, straight to the engine."""
        SECRETS.said(text)
        SECRETS.name(str(rest.get("name", "")))
        message = Message(key or f"m{self.keys()}", address or self.address, text, self.clock(), **rest)  # type: ignore[arg-type]
        self.hears = await self.coach.handle(message)
        return self.hears

    async def taps(self, label: str) -> tuple[Reply, ...]:
        """Presses the button with this label under the last reply that has it."""
        for reply in reversed(self.hears):
            for row in reply.choices:
                for choice in row:
                    if choice.label == label:
                        return await self.says(choice.text)
        raise AssertionError(f"no button {label!r} under {[reply.text for reply in self.hears]}")

    @property
    def heard(self) -> str:
        return "\n\n".join(reply.text for reply in self.hears)


def kept() -> Path:
    """Where what was parsed of packs and what the encoder read of rubrics is kept, by its content, for all processes of this run of
    tests: a process that reads a pack for itself takes longer for that than for all else."""
    return Path(os.environ["XDG_CACHE_HOME"]) / "interview-coach"


@contextmanager
def kept_in(folder: Path) -> Iterator[Path]:
    """A folder with what is `kept`, for a process that notes things of its own beside it; what that reads is kept as well."""
    folder.mkdir(exist_ok=True)
    kept().mkdir(parents=True, exist_ok=True)
    for file in kept().glob("c*-*"):
        if not (folder / file.name).exists():
            (folder / file.name).symlink_to(file)
    yield folder
    for file in folder.glob("claims-*.npz"):
        if not file.is_symlink():
            shutil.copy(file, fresh := kept() / f"{file.name}.{os.getpid()}.copy")
            fresh.replace(kept() / file.name)


@cache
def packs() -> Library:
    """The packs that come with the coach."""
    return read_packs(default_folder(), kept())


@cache
def _incidents() -> dict[str, Incident]:
    return load(default_folder(), syllabus(default_folder()))


def incidents(library: Library) -> dict[str, Incident]:
    """The incidents that come with the coach; none beside packs made for a test."""
    return _incidents() if set(library.syllabus.required) <= set(library.questions) and len(library.questions) >= 55 else {}


COMPILED: dict[object, object] = {}
DIALECTS: dict[str, Dialect] = {}


@event.listens_for(Engine, "engine_connect")
def _compiled_once(connection: Connection) -> None:
    """A statement is compiled once in a process of tests: each of their stores would do it again, for half of what a short test takes."""
    if connection.dialect.name == "sqlite":
        connection.dialect = DIALECTS.setdefault("sqlite", connection.dialect)
        connection.execution_options(compiled_cache=COMPILED)


@cache
def _empty() -> bytes:
    """The file of a database in which nothing is yet: creating some forty tables takes five times as long as a copy of them."""
    with closing(sqlite3.connect(":memory:")) as made:
        engine = create_engine("sqlite://", creator=lambda: made, poolclass=StaticPool)
        with engine.begin() as connection:
            upgrade(connection)
        return made.serialize()


def prepared(url: str) -> str:
    """The URL of a database; where it is a file that isn't there, one in which nothing is yet is put there."""
    file = sqlite_file(url)
    if file is not None and not file.exists() and file.parent.is_dir():
        with open(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as written:
            written.write(_empty())
    return url


@asynccontextmanager
async def world(
    library: Library,
    file: Path | str,
    *,
    clock: FakeClock | None = None,
    grader: Grader | None = None,
    seed: int = 1,
    url: str = "",
    most_a_minute: int = MOST,
) -> AsyncIterator[World]:
    """A coach over the database at `file`, or a URL (kept: a second world over it is a restart)."""
    clock = clock or FakeClock()
    store = await Database.open(prepared(url or (file if isinstance(file, str) else f"sqlite:///{file}")))
    coach = Coach(
        store, library, grader or PlainGrader(), now=clock, rng=Random(seed), incidents=incidents(library), most_a_minute=most_a_minute
    )
    try:
        yield World(store, coach, clock, library)
    finally:
        await coach.close()
        await store.close()


@asynccontextmanager
async def couriers(home: World, adapters: Sequence[Adapter] | Mapping[str, Adapter]) -> AsyncIterator[Courier]:
    """The courier of these adapters, running."""
    by_name = adapters if isinstance(adapters, Mapping) else {adapter.platform: adapter for adapter in adapters}
    courier = Courier(home.store, home.coach, by_name, now=home.clock)
    home.coach.on_owed, home.coach.sender = courier.wake, courier.sender
    running = asyncio.create_task(courier.run())
    try:
        yield courier
    finally:
        await courier.stop()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def sql(store: Database, statement: str) -> list[Any]:
    """What the database itself says: rows of one value as that value, others as tuples."""

    def said(session: Session) -> list[Any]:
        found = session.connection().exec_driver_sql(statement)
        return [row[0] if len(row) == 1 else tuple(row) for row in found.all()] if found.returns_rows else []

    return await store.write(said)


async def sent_what_is_due(home: World, courier: Courier, platform: str = "paper") -> None:
    """Returns when nothing may be sent at the moment that the clock shows, and nothing is being sent; what is owed for later waits."""
    waits = (OutboxRow.platform == platform, col(OutboxRow.state).in_(("ready", "retry")), col(OutboxRow.not_before) <= home.clock())
    due = select(OutboxRow.seq).where(or_(and_(*waits), col(OutboxRow.state) == "sending")).limit(1)
    async with asyncio.timeout(60):
        while True:
            if await home.store.read(lambda session: session.exec(due).first()) is None:
                return
            courier.wake()
            await asyncio.sleep(0.005)
