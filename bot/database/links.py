"""Linking: two learners become one, and one two again, each in one transaction.

What is kept of a learner is found by the tables' own foreign keys, so that a table that comes later is carried along. A table
may say how, in its `info`: `newest` names the column by which the later of two rows for the same thing is kept when two
learners become one; `stays` keeps rows with the learner who stays, instead of copying them, when one becomes two; `derived` says that
the rows are made again from others, and are thrown away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, insert
from sqlalchemy import delete as remove
from sqlalchemy import select as pick
from sqlalchemy import update as change
from sqlmodel import Field, Session, SQLModel, col, delete, or_, select, update

from bot import days
from bot.database.appeals import AppealRow
from bot.database.learners import WHOSE, Learners
from bot.database.rows import AddressRow, AskedRow, AttemptRow, LearnerRow, OutboxRow, UTCDateTime
from bot.database.work import reads
from bot.errors import StoreBusy
from bot.links import WITHIN
from bot.messages import Address
from bot.model import Fate, Joined, LinkCode, LinkTry, Occasion, Parted, Practised
from bot.outbox import Lane

WAITING, UNDER_WAY = ("ready", "retry"), ("sending", "sent")

Row = Mapping[str, Any]


class LinkCodeRow(SQLModel, table=True):
    __tablename__ = "link_code"
    __table_args__ = {"info": {"stays": True}}
    fingerprint: str = Field(primary_key=True)
    learner: str = Field(foreign_key="learner.id", unique=True, ondelete="CASCADE")
    platform: str
    user: str
    chat: str
    expires_at: datetime = Field(sa_type=UTCDateTime)


class LinkTryRow(SQLModel, table=True):
    __tablename__ = "link_try"
    id: int | None = Field(default=None, primary_key=True)
    learner: str
    """No foreign key: a limit that forgetting oneself lifts is none."""
    platform: str
    user: str
    at: datetime = Field(sa_type=UTCDateTime, index=True)


IDENTITY: Mapping[str, tuple[str, ...]] = {
    "asked": ("question", "followup", "occasion", "at"),
    "attempt": ("question", "followup", "text", "at"),
    "practised": ("at", "zone", "followup"),
}
"""By what a row that was copied when a learner was parted is known again, beside the beginning of its id."""

ALSO_REFERS = {
    ("asked", "attempt"): "attempt",
    ("asked", "interview"): "interview",
    ("investigation", "asked"): "asked",
    ("dictation", "asked"): "asked",
    ("flag", "attempt"): "attempt",
    ("flag", "attempt_before"): "attempt",
}
"""Columns that hold another table's key, or "", without a foreign key."""


class Links(Learners):
    """Codes, tries, and the two great moves."""

    @reads
    def whose(self, session: Session, address: Address) -> str:
        return str(self.core(session, WHOSE, {"platform": address.platform, "user": address.user}).scalar() or "")

    @reads
    def addresses(self, session: Session, learner: str) -> tuple[Address, ...]:
        rows = session.exec(select(AddressRow).where(AddressRow.learner == learner).order_by(AddressRow.platform, AddressRow.user))
        return tuple(Address(row.platform, row.user, row.chat) for row in rows.all())

    @reads
    def link_code(self, session: Session, fingerprint: str) -> LinkCode | None:
        row = session.get(LinkCodeRow, fingerprint)
        if row is None:
            return None
        return LinkCode(row.fingerprint, row.learner, Address(row.platform, row.user, row.chat), row.expires_at)

    @reads
    def link_tries(self, session: Session, learner: str, address: Address, since: datetime) -> list[datetime]:
        here = (col(LinkTryRow.platform) == address.platform) & (col(LinkTryRow.user) == address.user)
        rows = session.exec(
            select(LinkTryRow.at)
            .where(col(LinkTryRow.at) > since, or_(here, col(LinkTryRow.learner) == learner))
            .order_by(col(LinkTryRow.at))
        )
        return list(rows.all())

    def keep(self, session: Session, thing: object) -> None:
        if isinstance(thing, LinkCode):
            session.exec(delete(LinkCodeRow).where(col(LinkCodeRow.learner) == thing.learner))
            address = thing.address
            session.add(
                LinkCodeRow(
                    fingerprint=thing.fingerprint, learner=thing.learner, platform=address.platform, user=address.user,
                    chat=address.chat, expires_at=thing.expires_at,
                )
            )  # fmt: skip
        elif isinstance(thing, LinkTry):
            session.exec(delete(LinkTryRow).where(col(LinkTryRow.at) <= thing.at - WITHIN))
            session.add(LinkTryRow(learner=thing.learner, platform=thing.address.platform, user=thing.address.user, at=thing.at))
        elif isinstance(thing, Joined):
            self._join(session, thing)
        elif isinstance(thing, Parted):
            self._part(session, thing)
        else:
            super().keep(session, thing)

    # ------------------------------------------------------------------------------------------ two become one

    def _join(self, session: Session, joined: Joined) -> None:
        session.flush()
        code = session.get(LinkCodeRow, joined.fingerprint)
        if code is None or code.expires_at <= joined.at or code.learner != joined.learner.id:
            raise StoreBusy("the code has been used or replaced just now")
        session.delete(code)
        session.flush()
        winner, loser = joined.learner.id, joined.loser
        if loser:
            connection = session.connection()
            self._settle_outbox(session, joined)
            for table in _derived():
                connection.execute(remove(table).where(table.c.learner.in_((winner, loser))))
            _merge(connection, loser, winner)
            session.exec(update(AddressRow).where(col(AddressRow.learner) == loser).values(learner=winner))
            session.exec(update(LinkTryRow).where(col(LinkTryRow.learner) == loser).values(learner=winner))
            session.exec(delete(LearnerRow).where(col(LearnerRow.id) == loser))
            session.expire_all()
        opened = session.exec(
            select(AskedRow)
            .where(AskedRow.learner == winner, AskedRow.fate == Fate.OPEN.value)
            .order_by(col(AskedRow.at).desc(), AskedRow.id)
        )
        for older in opened.all()[1:]:
            older.fate = Fate.REPLACED.value

    def _settle_outbox(self, session: Session, joined: Joined) -> None:
        """What is owed to either is owed to the one: replies where they were asked for, the rest at home and once."""
        winner, loser, home, zone = joined.learner.id, joined.loser, joined.learner.home, joined.learner.zone
        today = days.local_day(joined.at, zone)
        both = session.exec(select(OutboxRow).where(col(OutboxRow.learner).in_((winner, loser))).order_by(col(OutboxRow.seq))).all()
        given = any(
            row.kind == "daily" and row.state in UNDER_WAY and days.local_day(row.settled_at or joined.at, zone) == today for row in both
        )
        kept = {(row.kind, row.about) for row in both if row.learner == winner and row.state in (*UNDER_WAY, *WAITING)}
        mine = [row for row in both if row.kind == "daily" and row.state in WAITING and row.learner == winner]
        theirs = [row for row in both if row.kind == "daily" and row.state in WAITING and row.learner == loser]
        daily = next(iter([] if given else [*mine, *theirs]), None)
        for row in both:
            waits = row.lane == Lane.BULK.value and row.state in WAITING
            if waits and row is not daily and (row.kind == "daily" or (row.learner == loser and (row.kind, row.about) in kept)):
                self._excuse(session, row, joined.at)
            elif waits and row.chat == row.user:
                row.platform, row.user, row.chat = home.platform, home.user, home.chat
            if row is not daily:
                row.learner = winner
        session.flush()
        if daily is not None:
            daily.learner, daily.about = winner, today.isoformat()
            self._rename(session, daily, f"daily:{winner}:{today}")
        elif given:
            self._no_daily(session, winner, home, joined.at, zone)

    def _excuse(self, session: Session, row: OutboxRow, now: datetime) -> None:
        """It is not sent after all; a question that it would have asked was never seen."""
        if row.payload and row.kind == "daily":
            session.exec(
                update(AskedRow)
                .where(
                    col(AskedRow.learner) == row.learner, col(AskedRow.fate) == Fate.OPEN.value,
                    col(AskedRow.occasion) == Occasion.DAILY.value, col(AskedRow.followup) == "",
                )
                .values(fate=Fate.REPLACED.value)
            )  # fmt: skip
        row.state, row.settled_at, row.payload = "excused", now, ""

    def _rename(self, session: Session, row: OutboxRow, key: str) -> None:
        """Gives a message that waits the key under which its day is owed; whatever had that key is settled already."""
        if row.key != key:
            for other in session.exec(select(OutboxRow).where(OutboxRow.key == key)).all():
                other.key = f"{key}:{other.seq}"
            session.flush()
            row.key = key
            session.flush()

    def _no_daily(self, session: Session, learner: str, home: Address, now: datetime, zone: str) -> None:
        """Today's question can't be owed to this learner any more."""
        today = days.local_day(now, zone)
        key = f"daily:{learner}:{today}"
        if session.exec(select(OutboxRow.seq).where(OutboxRow.key == key)).first() is None:
            session.add(
                OutboxRow(
                    key=key, platform=home.platform, user=home.user, chat=home.chat, learner=learner, lane=Lane.BULK.value,
                    kind="daily", about=today.isoformat(), state="excused", due_at=now, not_before=now, settled_at=now,
                )
            )  # fmt: skip
            session.flush()

    # ------------------------------------------------------------------------------------------ one becomes two

    def _part(self, session: Session, parted: Parted) -> None:
        session.flush()
        old, new, address = parted.old, parted.learner.id, parted.address
        zone = parted.learner.zone
        today = days.local_day(parted.at, zone)
        connection = session.connection()
        _copy(connection, old, new)
        rows = session.exec(select(OutboxRow).where(OutboxRow.learner == old)).all()
        given = False
        for row in rows:
            here = (row.platform, row.user) == (address.platform, address.user)
            if row.kind == "daily" and row.state in (*UNDER_WAY, *WAITING):
                given = given or row.about == today.isoformat() or days.local_day(row.settled_at or parted.at, zone) == today
            if here:
                row.learner = new
                if row.kind == "daily" and row.state in WAITING:
                    self._rename(session, row, f"daily:{new}:{row.about}")
        session.flush()
        if given:  # it came, or will come, to one of the two chats
            self._no_daily(session, new, parted.learner.home, parted.at, zone)
            self._no_daily(session, old, parted.learner.home, parted.at, zone)


# ---------------------------------------------------------------------------------------------- a learner's rows


def _owned() -> Iterator[tuple[Table, str]]:
    """Every table that keeps something of a learner, with the column that says whose it is; referenced tables first."""
    special = {"learner", "address", "link_code"}
    for table in SQLModel.metadata.sorted_tables:
        for key in table.foreign_keys:
            if key.column.table.name == "learner" and table.name not in special and not table.info.get("derived"):
                yield table, key.parent.name


def _derived() -> list[Table]:
    """The tables whose rows are made again from others."""
    return [table for table in SQLModel.metadata.sorted_tables if table.info.get("derived")]


def _references(table: Table) -> Iterator[tuple[str, str]]:
    """The columns of a table that hold the id of a row of another one, each with that table's name."""
    for key in table.foreign_keys:
        if key.column.table.name != "learner":
            yield key.parent.name, key.column.table.name
    for (name, column), referred in ALSO_REFERS.items():
        if name == table.name:
            yield column, referred


def _id(table: Table, owner: str) -> str | None:
    """The column by which rows are known, where it is one of their own."""
    names = [column.name for column in table.primary_key]
    return names[0] if len(names) == 1 and names[0] != owner else None


def _identity(table: Table, owner: str, row: Row) -> tuple[Any, ...]:
    if table.name in IDENTITY:
        return tuple(row[name] for name in IDENTITY[table.name])
    keys = [column.name for column in table.primary_key]
    if owner in keys:
        return tuple(row[name] for name in keys if name != owner)
    left_out = {*keys, owner, *(name for name, _ in _references(table))}
    return tuple(row[column.name] for column in table.columns if column.name not in left_out)


def _rows(connection: Connection, table: Table, owner: str, learner: str) -> Sequence[Row]:
    found = connection.execute(pick(table).where(table.c[owner] == learner))
    return [dict(row) for row in found.mappings()]


def _at(table: Table, row: Row) -> Any:
    return and_(*(table.c[column.name] == row[column.name] for column in table.primary_key))


def _merge(connection: Connection, loser: str, winner: str) -> None:
    """Gives all rows of the loser to the winner; what the winner has already, because it was copied or is about the same
    thing, is not kept twice."""
    twins: dict[str, dict[Any, Any]] = {}
    moved: list[tuple[Table, str, Row, Sequence[Row]]] = []
    dropped: list[tuple[Table, Row, Row]] = []
    for table, owner in _owned():
        own = _id(table, owner)
        mine = _rows(connection, table, owner, winner)
        known: dict[tuple[Any, ...], list[Row]] = {}
        for row in mine:
            known.setdefault(_identity(table, owner, row), []).append(row)
        for row in _rows(connection, table, owner, loser):
            alike = known.get(_identity(table, owner, row), [])
            twin = next((one for one in alike if own is None or _kin(one[own], row[own])), None)
            if twin is None:
                moved.append((table, owner, row, mine))
                continue
            dropped.append((table, twin, row))
            if own is not None:
                twins.setdefault(table.name, {})[row[own]] = twin[own]
    for table, owner, row, mine in moved:
        values = {owner: winner} | _pointing(table, row, twins)
        if table.name == "practised":
            values["zone"] = _same_day(Practised(row["at"], row["zone"]), [Practised(one["at"], one["zone"]) for one in mine])
        connection.execute(change(table).where(_at(table, row)).values(values))
    for table, kept, row in reversed(dropped):
        _adopt(connection, table, kept, row)
        connection.execute(remove(table).where(_at(table, row)))


def _pointing(table: Table, row: Row, ids: Mapping[str, Mapping[Any, Any]]) -> dict[str, Any]:
    """The columns of a row that refer to rows which have other ids now, with those."""
    return {name: ids[referred][row[name]] for name, referred in _references(table) if row[name] in ids.get(referred, {})}


ORIGIN = 8
"""Characters of an id that its copies begin with."""


def _copied_id(new: str, id: str) -> str:
    return id[:ORIGIN] + hashlib.sha256(f"{new} {id}".encode()).hexdigest()[:4]


def _kin(one: Any, other: Any) -> bool:
    """Whether one row's id may be that of the other's copy; numbers tell nothing."""
    return not isinstance(one, str) or one[:ORIGIN] == other[:ORIGIN]


def _same_day(entry: Practised, held: Sequence[Practised]) -> str:
    """The zone in which an entry of the other ledger counts: its own, unless it fell on a day that is held already by the
    clock of that day, which would then count twice."""
    if days.local_day(entry.at, entry.zone) in days.days_practised(held):
        return entry.zone
    return next((one.zone for one in held if days.local_day(entry.at, one.zone) == days.local_day(one.at, one.zone)), entry.zone)


def _adopt(connection: Connection, table: Table, kept: Row, dropped: Row) -> None:
    """What a row that is not kept knows better than its twin."""
    newest = table.info.get("newest")
    if newest and dropped[newest] is not None and (kept[newest] is None or dropped[newest] > kept[newest]):
        values = {column.name: dropped[column.name] for column in table.columns if not column.primary_key and not column.foreign_keys}
        connection.execute(change(table).where(_at(table, kept)).values(values))
    if table.name == "asked" and kept["fate"] != dropped["fate"] == Fate.ANSWERED.value:
        connection.execute(change(table).where(_at(table, kept)).values(fate=dropped["fate"]))
    if table.name == "attempt":  # an appeal after the two were parted
        if (dropped["score"] or 0) > (kept["score"] or 0):
            connection.execute(change(table).where(_at(table, kept)).values(score=dropped["score"], grade=dropped["grade"]))
        appeal: Table = AppealRow.__table__  # type: ignore[attr-defined]
        points = pick(appeal.c.point).where(appeal.c.attempt == kept["id"])
        heard = set(connection.execute(points).scalars())
        moved = change(appeal).where(appeal.c.attempt == dropped["id"], appeal.c.point.not_in(heard))
        connection.execute(moved.values(attempt=kept["id"]))


def _copy(connection: Connection, old: str, new: str) -> None:
    """Gives the new learner a copy of every row of the old one, under ids of its own."""
    owned = [(table, owner) for table, owner in _owned() if not table.info.get("stays")]
    found = [(table, owner, _rows(connection, table, owner, old)) for table, owner in owned]
    ids = {
        table.name: {row[own]: _copied_id(new, row[own]) for row in rows}
        for table, owner, rows in found
        if (own := _id(table, owner)) is not None and any(isinstance(row[own], str) for row in rows)
    }
    for table, owner, rows in found:
        own = _id(table, owner)
        copies = []
        for row in rows:
            copied = dict(row) | {owner: new}
            if own is not None and table.name in ids:
                copied[own] = ids[table.name][row[own]]
            elif own is not None:
                del copied[own]
            copies.append(copied | _pointing(table, row, ids))
        if copies:
            connection.execute(insert(table), copies)
    appeal: Table = AppealRow.__table__  # type: ignore[attr-defined]
    attempts = ids.get("attempt", {})
    theirs = pick(appeal).join(AttemptRow, col(AttemptRow.id) == appeal.c.attempt).where(col(AttemptRow.learner) == old)
    appeals = connection.execute(theirs).mappings().all()
    copies = [dict(row) | {"attempt": attempts[row["attempt"]], "copied": True} for row in appeals]
    if copies:
        connection.execute(insert(appeal), copies)
