"""The Store on SQLModel: the rows, how they become what the engine knows, and every statement that it sends.

SQLite by default (WAL, synchronous FULL, writing transactions BEGIN IMMEDIATE); PostgreSQL by URL.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Index, UniqueConstraint, event, func, text
from sqlalchemy import select as pick
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import aliased
from sqlmodel import Field, SQLModel, UTCDateTime, col, delete, exists, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bot import days
from bot.errors import StoreBusy, StoreError
from bot.messages import Address, Reply
from bot.model import (
    Asked,
    Attempt,
    Changes,
    Fate,
    Finding,
    Grade,
    Learner,
    Memory,
    Mistaken,
    Occasion,
    Past,
    Practised,
    Verdict,
)
from bot.outbox import Lane, Owed, freeze, thaw

LEASE = timedelta(seconds=60)
"""How long a message may be in the middle of being sent before another try takes it over."""

KEEP_DONE = timedelta(days=14)
"""How long a handled update's key and a sent message are remembered. Platforms repeat updates for a day or so."""

RECENT = 400
"""Attempts that choosing and progress look back on."""


# ---------------------------------------------------------------------------------------------- rows


class LearnerRow(SQLModel, table=True):
    __tablename__ = "learner"
    id: str = Field(primary_key=True)
    joined_at: datetime = Field(sa_type=UTCDateTime)
    home_platform: str
    home_user: str
    home_chat: str
    zone: str
    minute: int | None = None
    tracks: str = ""
    level: int = 3
    paused_until: date | None = None
    expecting: str = ""
    reachable: bool = True
    next_due_at: datetime | None = Field(default=None, sa_type=UTCDateTime, index=True)


class AddressRow(SQLModel, table=True):
    __tablename__ = "address"
    platform: str = Field(primary_key=True)
    user: str = Field(primary_key=True)
    chat: str
    learner: str = Field(foreign_key="learner.id", index=True)


class AskedRow(SQLModel, table=True):
    __tablename__ = "asked"
    __table_args__ = (Index("ix_asked_learner_at", "learner", "at"),)
    id: str = Field(primary_key=True)
    learner: str = Field(foreign_key="learner.id")
    question: str
    occasion: str
    at: datetime = Field(sa_type=UTCDateTime)
    wording: int = 0
    followup: str = ""
    attempt: str = ""
    hints: int = 0
    fate: str = Fate.OPEN.value


class AttemptRow(SQLModel, table=True):
    __tablename__ = "attempt"
    __table_args__ = (Index("ix_attempt_learner_at", "learner", "at"),)
    id: str = Field(primary_key=True)
    learner: str = Field(foreign_key="learner.id")
    asked: str = Field(foreign_key="asked.id")
    question: str
    followup: str = ""
    text: str
    at: datetime = Field(sa_type=UTCDateTime)
    hints: int = 0
    score: int | None = None
    graded_by: str
    grade: str


class PractisedRow(SQLModel, table=True):
    __tablename__ = "practised"
    __table_args__ = (Index("ix_practised_learner_at", "learner", "at"),)
    id: int | None = Field(default=None, primary_key=True)
    learner: str = Field(foreign_key="learner.id")
    at: datetime = Field(sa_type=UTCDateTime)
    zone: str


class InboxRow(SQLModel, table=True):
    __tablename__ = "inbox"
    __table_args__ = (UniqueConstraint("platform", "key"),)
    seq: int | None = Field(default=None, primary_key=True)
    platform: str
    key: str
    raw: str = ""
    taken_at: datetime = Field(sa_type=UTCDateTime)
    done_at: datetime | None = Field(default=None, sa_type=UTCDateTime, index=True)


class OutboxRow(SQLModel, table=True):
    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_state_not_before", "state", "not_before"),
        Index("ix_outbox_chat", "platform", "chat", "state", "seq"),
    )
    seq: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    platform: str
    user: str
    chat: str
    learner: str = ""
    lane: str
    kind: str
    about: str = ""
    payload: str = ""
    state: str = "ready"
    due_at: datetime = Field(sa_type=UTCDateTime)
    not_before: datetime = Field(sa_type=UTCDateTime)
    lease_until: datetime | None = Field(default=None, sa_type=UTCDateTime)
    tries: int = 0
    unsure: bool = False
    message: str = ""
    settled_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


DUE = ("id", "home_platform", "home_user", "home_chat", "zone", "minute", "next_due_at")
"""What the tick reads of a learner."""

WAITING = ("ready", "retry", "sending")


# ---------------------------------------------------------------------------------------------- the store


P = ParamSpec("P")
T = TypeVar("T")


def _uncut(
    method: Callable[Concatenate[Database, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Database, P], Coroutine[Any, Any, T]]:
    """A caller that is cancelled waits no longer, but the transaction goes on to its end: SQLAlchemy's connection does not
    survive being cancelled between a statement and its answer, and the process would never end."""

    @wraps(method)
    async def whole(self: Database, /, *args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.ensure_future(method(self, *args, **kwargs))
        self._underway.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    return whole


class Database:
    """`bot.ports.Store` on a SQL database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._underway: set[asyncio.Future[Any]] = set()

    @classmethod
    async def open(cls, url: str) -> Database:
        """Connects, brings the schema up to date and returns the store.

        Raises StoreError in one sentence where that can't be done, StoreTooNew where the schema is a later one."""
        from bot.migrations import upgrade

        engine = _engine(url)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(upgrade)
        except SQLAlchemyError as error:
            await engine.dispose()
            raise _translated(error) from error
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine)

    async def close(self) -> None:
        while self._underway:
            await asyncio.wait(self._underway)
        await self._engine.dispose()

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._underway.discard(task)
        if not task.cancelled():
            task.exception()  # looked at here for a caller that is gone

    # ------------------------------------------------------------------------------------------ inbox

    @_uncut
    async def take(self, platform: str, updates: Sequence[tuple[str, str]], now: datetime) -> list[str]:
        async with self._writing() as session:
            keys = [key for key, _ in updates]
            known = set((await session.exec(select(InboxRow.key).where(InboxRow.platform == platform, col(InboxRow.key).in_(keys)))).all())
            fresh = {key: raw for key, raw in updates if key not in known}
            session.add_all(InboxRow(platform=platform, key=key, raw=raw, taken_at=now) for key, raw in fresh.items())
        return list(fresh)

    @_uncut
    async def waiting(self, platform: str) -> list[tuple[str, str]]:
        async with self._reading() as session:
            rows = await session.exec(
                select(InboxRow.key, InboxRow.raw)
                .where(InboxRow.platform == platform, col(InboxRow.done_at).is_(None), InboxRow.raw != "")
                .order_by(col(InboxRow.seq))
            )
            return [(key, raw) for key, raw in rows.all()]

    @_uncut
    async def drop(self, platform: str, key: str) -> None:
        async with self._writing() as session:
            await self._finish(session, platform, key, datetime.now(UTC))

    @_uncut
    async def done(self, platform: str, key: str) -> bool:
        async with self._reading() as session:
            row = await session.exec(
                select(InboxRow.seq).where(InboxRow.platform == platform, InboxRow.key == key, col(InboxRow.done_at).is_not(None))
            )
            return row.first() is not None

    async def _finish(self, session: AsyncSession, platform: str, key: str, now: datetime) -> bool:
        """Marks a key done, keeping nothing of what was in it; False where it already was."""
        row = (await session.exec(select(InboxRow).where(InboxRow.platform == platform, InboxRow.key == key))).first()
        if row is None:
            session.add(InboxRow(platform=platform, key=key, taken_at=now, done_at=now))
            return True
        if row.done_at is not None:
            return False
        row.done_at, row.raw = now, ""
        return True

    # ------------------------------------------------------------------------------------------ one learner

    @_uncut
    async def recall(self, address: Address) -> Memory:
        async with self._reading() as session:
            learner = await self._at(session, address)
            if learner is None:
                return Memory(None)
            return await self._memory(session, learner)

    @_uncut
    async def recall_learner(self, id: str) -> Memory:
        async with self._reading() as session:
            row = await session.get(LearnerRow, id)
            return Memory(None) if row is None else await self._memory(session, row)

    async def _memory(self, session: AsyncSession, learner: LearnerRow) -> Memory:
        open_row = (
            await session.exec(
                select(AskedRow)
                .where(AskedRow.learner == learner.id, AskedRow.fate == Fate.OPEN.value)
                .order_by(col(AskedRow.at).desc())
                .limit(1)
            )
        ).first()
        past = await session.exec(
            select(AttemptRow.question, AttemptRow.at, AttemptRow.score, AttemptRow.followup)
            .where(AttemptRow.learner == learner.id)
            .order_by(col(AttemptRow.at).desc())
            .limit(RECENT)
        )
        asked = await session.exec(
            select(AskedRow.question, AskedRow.at)
            .where(AskedRow.learner == learner.id, AskedRow.followup == "")
            .order_by(col(AskedRow.at).desc())
            .limit(RECENT)
        )
        ledger = await session.exec(
            select(PractisedRow.at, PractisedRow.zone).where(PractisedRow.learner == learner.id).order_by(col(PractisedRow.at))
        )
        return Memory(
            _learner(learner),
            _asked(open_row) if open_row is not None else None,
            tuple(Past(question, at, score, followup) for question, at, score, followup in reversed(past.all())),
            tuple((question, at) for question, at in reversed(asked.all())),
            tuple(Practised(at, zone) for at, zone in ledger.all()),
        )

    async def _at(self, session: AsyncSession, address: Address) -> LearnerRow | None:
        found = await session.exec(
            select(LearnerRow)
            .join(AddressRow, col(AddressRow.learner) == col(LearnerRow.id))
            .where(AddressRow.platform == address.platform, AddressRow.user == address.user)
        )
        return found.first()

    @_uncut
    async def asked(self, learner: str, id: str) -> Asked | None:
        async with self._reading() as session:
            row = await session.get(AskedRow, id)
            return _asked(row) if row is not None and row.learner == learner else None

    @_uncut
    async def attempt(self, learner: str, id: str) -> Attempt | None:
        async with self._reading() as session:
            row = await session.get(AttemptRow, id)
            return _attempt(row) if row is not None and row.learner == learner else None

    @_uncut
    async def follow_ups_asked(self, attempt: str) -> frozenset[str]:
        async with self._reading() as session:
            return frozenset((await session.exec(select(AskedRow.followup).where(AskedRow.attempt == attempt))).all())

    @_uncut
    async def last_attempt(self, learner: str) -> Attempt | None:
        async with self._reading() as session:
            rows = await session.exec(select(AttemptRow).where(AttemptRow.learner == learner).order_by(col(AttemptRow.at).desc()).limit(1))
            row = rows.first()
            return _attempt(row) if row is not None else None

    # ------------------------------------------------------------------------------------------ one turn

    @_uncut
    async def record(self, key: str, address: Address, changes: Changes, owed: Sequence[Owed], now: datetime) -> bool:
        async with self._writing() as session:
            if not await self._finish(session, address.platform, key, now):
                return False
            await self._apply(session, address, changes)
            await self._owe(session, owed, now)
        return True

    async def _apply(self, session: AsyncSession, address: Address | None, changes: Changes) -> None:
        if changes.learner is not None:
            await session.merge(_learner_row(changes.learner))
            await session.flush()
            if address is not None:
                await session.merge(AddressRow(platform=address.platform, user=address.user, chat=address.chat, learner=changes.learner.id))
        for asked in changes.asked:
            await session.merge(_asked_row(asked))
        await session.flush()
        if changes.attempt is not None:
            session.add(_attempt_row(changes.attempt))
        if changes.practised is not None and changes.attempt is not None:
            session.add(PractisedRow(learner=changes.attempt.learner, at=changes.practised.at, zone=changes.practised.zone))

    async def _owe(self, session: AsyncSession, owed: Sequence[Owed], now: datetime) -> None:
        for one in owed:
            due = one.due_at or now
            session.add(
                OutboxRow(
                    key=one.key, platform=one.address.platform, user=one.address.user, chat=one.address.chat, learner=one.learner,
                    lane=one.lane.value, kind=one.kind, about=one.about, payload=freeze(one.reply) if one.reply else "",
                    due_at=due, not_before=due,
                )
            )  # fmt: skip

    # ------------------------------------------------------------------------------------------ deliveries

    @_uncut
    async def claim_due(self, platforms: Sequence[str], now: datetime, limit: int) -> int:
        """Owes the daily question to up to `limit` learners whose time has come, and moves each to their next time.

        The question itself is chosen when it is sent. Returns how many learners were due."""
        async with self._writing() as session:
            connection = await session.connection()
            due = await connection.execute(
                pick(*(col(getattr(LearnerRow, name)) for name in DUE))
                .where(col(LearnerRow.next_due_at) <= now, col(LearnerRow.home_platform).in_(platforms))
                .order_by(col(LearnerRow.next_due_at))
                .limit(limit)
            )
            rows = due.all()
            if not rows:
                return 0
            owed: list[dict[str, Any]] = []
            moved: list[dict[str, Any]] = []
            for id, platform, user, chat, zone, minute, due_at in rows:
                day, following = days.slot(due_at, minute, zone, now) if minute is not None else (None, None)
                moved.append({"id": id, "next_due_at": following})
                if day is None:
                    continue
                owed.append(
                    {
                        "key": f"daily:{id}:{day}", "platform": platform, "user": user, "chat": chat, "learner": id,
                        "lane": Lane.BULK.value, "kind": "daily", "about": day.isoformat(), "payload": "", "state": "ready",
                        "due_at": due_at, "not_before": due_at, "tries": 0, "unsure": False, "message": "",
                    }
                )  # fmt: skip
            if owed:
                await connection.execute(self._insert_new(OutboxRow.__table__, "key"), owed)  # type: ignore[attr-defined]
            await session.exec(update(LearnerRow), params=moved)
        return len(rows)

    def _insert_new(self, table: Any, unique: str) -> Any:
        if self._engine.dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import insert as postgres

            return postgres(table).on_conflict_do_nothing(index_elements=[unique])
        from sqlalchemy.dialects.sqlite import insert as sqlite

        return sqlite(table).on_conflict_do_nothing(index_elements=[unique])

    @_uncut
    async def composed(self, owed: Owed, reply: Reply | None, changes: Changes, now: datetime) -> None:
        """Keeps what a delivery says before it is sent; None where nothing is to be said after all."""
        async with self._writing() as session:
            await self._apply(session, None, changes)
            row = (await session.exec(select(OutboxRow).where(OutboxRow.key == owed.key))).first()
            if row is None:
                return
            if reply is None:
                row.state, row.settled_at = "excused", now
            else:
                row.payload = freeze(reply)

    @_uncut
    async def claim(self, platforms: Sequence[str], now: datetime, limit: int, held: Collection[str] = ()) -> list[Owed]:
        async with self._writing() as session:
            earlier = aliased(OutboxRow)
            ready = or_(
                col(OutboxRow.state).in_(("ready", "retry")) & (col(OutboxRow.not_before) <= now),
                (col(OutboxRow.state) == "sending") & (col(OutboxRow.lease_until) < now),
            )
            statement = (
                select(OutboxRow)
                .where(
                    ready,
                    col(OutboxRow.key).not_in(held),
                    col(OutboxRow.platform).in_(platforms),
                    ~exists().where(
                        col(earlier.platform) == col(OutboxRow.platform),
                        col(earlier.chat) == col(OutboxRow.chat),
                        col(earlier.state).in_(WAITING),
                        col(earlier.seq) < col(OutboxRow.seq),
                    ),
                )
                .order_by(col(OutboxRow.lane), col(OutboxRow.seq))
                .limit(limit)
            )
            if self._engine.dialect.name == "postgresql":
                statement = statement.with_for_update(skip_locked=True)
            claimed = []
            for row in (await session.exec(statement)).all():
                if row.state == "sending":
                    row.unsure = True
                row.state, row.lease_until, row.tries = "sending", now + LEASE, row.tries + 1
                claimed.append(_owed(row))
        return claimed

    @_uncut
    async def put_back(self, owed: Owed, again_at: datetime) -> None:
        async with self._writing() as session:
            row = (await session.exec(select(OutboxRow).where(OutboxRow.key == owed.key))).first()
            if row is not None:
                row.state, row.lease_until, row.not_before, row.tries = "ready", None, again_at, max(0, row.tries - 1)

    @_uncut
    async def next_at(self, platforms: Sequence[str]) -> datetime | None:
        """When the next message that waits may be sent, or None where none waits."""
        async with self._reading() as session:
            rows = await session.exec(
                select(func.min(OutboxRow.not_before)).where(
                    col(OutboxRow.state).in_(("ready", "retry")), col(OutboxRow.platform).in_(platforms)
                )
            )
            return rows.first()

    @_uncut
    async def settle(
        self, owed: Owed, outcome: str, now: datetime, *, again_at: datetime | None = None, message: str = "", unsure: bool = False
    ) -> None:
        async with self._writing() as session:
            row = (await session.exec(select(OutboxRow).where(OutboxRow.key == owed.key))).first()
            if row is None:
                return
            row.state, row.lease_until = outcome, None
            if outcome == "retry":
                row.not_before = again_at or now
                row.unsure = row.unsure or unsure
            else:
                row.settled_at, row.message, row.payload = now, message, ""

    @_uncut
    async def unreachable(self, address: Address, now: datetime) -> None:
        async with self._writing() as session:
            learner = await self._at(session, address)
            if learner is not None and learner.home_chat == address.chat:
                learner.reachable, learner.next_due_at = False, None
            await session.exec(
                update(OutboxRow)
                .where(
                    col(OutboxRow.platform) == address.platform,
                    col(OutboxRow.chat) == address.chat,
                    col(OutboxRow.state).in_(("ready", "retry")),
                )
                .values(state="dead", settled_at=now, payload="")
            )  # fmt: skip

    @_uncut
    async def released(self, platforms: Sequence[str]) -> None:
        """After a restart: what the last process was in the middle of sending may have arrived, or not."""
        async with self._writing() as session:
            await session.exec(
                update(OutboxRow)
                .where(col(OutboxRow.state) == "sending", col(OutboxRow.platform).in_(platforms))
                .values(state="retry", unsure=True, lease_until=None)
            )

    @_uncut
    async def tidy(self, now: datetime) -> None:
        """Forgets handled keys and sent messages that nobody can ask about any more."""
        async with self._writing() as session:
            await session.exec(delete(InboxRow).where(col(InboxRow.done_at) < now - KEEP_DONE))
            await session.exec(delete(OutboxRow).where(col(OutboxRow.settled_at) < now - KEEP_DONE))

    @_uncut
    async def count(self) -> dict[str, int]:
        async with self._reading() as session:
            counts = {
                "learners": (await session.exec(select(func.count()).select_from(LearnerRow))).one(),
                "attempts": (await session.exec(select(func.count()).select_from(AttemptRow))).one(),
                "inbox": (await session.exec(select(func.count()).select_from(InboxRow).where(col(InboxRow.done_at).is_(None)))).one(),
            }
            states = await session.exec(select(OutboxRow.state, func.count()).group_by(OutboxRow.state))
            return counts | {f"outbox {state}": number for state, number in states.all()}

    # ------------------------------------------------------------------------------------------ transactions

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncSession]:
        async with _wrapped(), AsyncSession(self._engine, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncSession]:
        async with _wrapped(), self._engine.connect() as connection:
            await connection.execution_options(writes=True)
            async with connection.begin(), AsyncSession(bind=connection, expire_on_commit=False) as session:
                yield session
                await session.flush()


@asynccontextmanager
async def _wrapped() -> AsyncIterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise _translated(error) from error


def _translated(error: SQLAlchemyError) -> StoreError:
    reason = str(getattr(error, "orig", error) or error).splitlines()[0]
    if isinstance(error, OperationalError) and ("locked" in reason or "busy" in reason):
        return StoreBusy("the database is held by somebody else")
    if isinstance(error, IntegrityError):
        return StoreError("the database refused a row")
    if isinstance(error, DBAPIError):
        return StoreError(f"the database can't be used: {reason}")
    return StoreError(f"the database can't be used: {type(error).__name__}")


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite URL; None for a database in memory or of another kind."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"COACH_DATABASE is not a database URL: {url.split(':')[0]}:...") from error
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    file = Path(parsed.database)
    if file.is_dir():
        raise StoreError(f"the database can't be used: {file} is a folder")
    return file


def _engine(url: str) -> AsyncEngine:
    file = sqlite_file(url)
    if url.startswith("sqlite://"):
        url = url.replace("sqlite://", "sqlite+aiosqlite://", 1)
    if url.startswith(("postgresql://", "postgres://")):
        url = "postgresql+asyncpg://" + url.split("://", 1)[1]
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the folder of the database can't be made: {error.strerror}") from error
    try:
        engine = create_async_engine(url, hide_parameters=True)
    except (SQLAlchemyError, ImportError) as error:
        raise StoreError(f"the database can't be used: {str(error).splitlines()[0]}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # A read that becomes a write ignores busy_timeout and fails at once, so writers take the lock when they begin.
    writes = connection.get_execution_options().get("writes")
    connection.execute(text("BEGIN IMMEDIATE" if writes else "BEGIN"))


# ---------------------------------------------------------------------------------------------- rows and what they mean


def _learner(row: LearnerRow) -> Learner:
    return Learner(
        id=row.id, joined_at=row.joined_at, home=Address(row.home_platform, row.home_user, row.home_chat), zone=row.zone,
        minute=row.minute, tracks=frozenset(row.tracks.split()), level=row.level, paused_until=row.paused_until,
        expecting=row.expecting, reachable=row.reachable, next_due_at=row.next_due_at,
    )  # fmt: skip


def _learner_row(learner: Learner) -> LearnerRow:
    return LearnerRow(
        id=learner.id, joined_at=learner.joined_at, home_platform=learner.home.platform, home_user=learner.home.user,
        home_chat=learner.home.chat, zone=learner.zone, minute=learner.minute, tracks=" ".join(sorted(learner.tracks)),
        level=learner.level, paused_until=learner.paused_until, expecting=learner.expecting, reachable=learner.reachable,
        next_due_at=learner.next_due_at,
    )  # fmt: skip


def _asked(row: AskedRow) -> Asked:
    return Asked(
        id=row.id, learner=row.learner, question=row.question, occasion=Occasion(row.occasion), at=row.at, wording=row.wording,
        followup=row.followup, attempt=row.attempt, hints=row.hints, fate=Fate(row.fate),
    )  # fmt: skip


def _asked_row(asked: Asked) -> AskedRow:
    return AskedRow(**{**asdict(asked), "occasion": asked.occasion.value, "fate": asked.fate.value})


def _attempt(row: AttemptRow) -> Attempt:
    raw = json.loads(row.grade)
    grade = Grade(
        raw["score"],
        tuple(Verdict(**{**verdict, "finding": Finding(verdict["finding"])}) for verdict in raw["verdicts"]),
        tuple(Mistaken(**mistaken) for mistaken in raw["misconceptions"]),
        raw["graded_by"],
        raw["note"],
    )
    return Attempt(row.id, row.learner, row.asked, row.question, row.followup, row.text, row.at, row.hints, grade)


def _attempt_row(attempt: Attempt) -> AttemptRow:
    grade = json.dumps(asdict(attempt.grade), ensure_ascii=False)
    return AttemptRow(
        id=attempt.id, learner=attempt.learner, asked=attempt.asked, question=attempt.question, followup=attempt.followup,
        text=attempt.text, at=attempt.at, hints=attempt.hints, score=attempt.grade.score, graded_by=attempt.grade.graded_by,
        grade=grade,
    )  # fmt: skip


def _owed(row: OutboxRow) -> Owed:
    return Owed(
        key=row.key, address=Address(row.platform, row.user, row.chat), lane=Lane(row.lane), kind=row.kind,
        reply=thaw(row.payload) if row.payload else None, learner=row.learner, about=row.about, due_at=row.due_at,
        tries=row.tries, unsure=row.unsure,
    )  # fmt: skip
