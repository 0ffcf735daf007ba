"""All that is kept of a learner, whichever tables it is in: to be given to them, or to be forgotten.

What belongs to a learner is found by the tables' own foreign keys, so that a table that comes later is carried along.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table
from sqlalchemy import select as pick
from sqlmodel import Session, SQLModel, col, select

from bot.database.learners import Learners
from bot.database.rounds import EntryRow, HiddenRow, RoundRow
from bot.database.rows import AddressRow, InboxRow, OutboxRow
from bot.database.work import long, reads
from bot.model import Forgotten
from bot.rounds import Stage

LEFT_OUT = {"link_code"}
"""Tables that are of no use to anybody else than the coach."""

entries, hidden, rounds = EntryRow.__table__, HiddenRow.__table__, RoundRow.__table__  # type: ignore[attr-defined]
inbox, outbox, addresses = InboxRow.__table__, OutboxRow.__table__, AddressRow.__table__  # type: ignore[attr-defined]


def _theirs(learner: str) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Every table that has rows of a learner, with what those rows are; referenced tables first."""
    known: dict[str, tuple[Table, ColumnElement[bool]]] = {}
    for table in SQLModel.metadata.sorted_tables:
        found: ColumnElement[bool] | None = table.c.id == learner if table.name == "learner" else None
        for key in table.foreign_keys if found is None else ():
            parent = key.column.table.name
            if parent == "learner":
                found = key.parent == learner
                break
            if parent in known:
                owner, condition = known[parent]
                found = key.parent.in_(pick(owner.c[key.column.name]).where(condition))
        if found is not None:
            known[table.name] = (table, found)
            yield table, found


class Whole(Learners):
    """Everything of one learner."""

    @reads
    @long
    def everything(self, session: Session, learner: str) -> dict[str, list[dict[str, Any]]]:
        connection = session.connection()
        told: dict[str, list[dict[str, Any]]] = {}
        for table, condition in _theirs(learner):
            if table.name not in LEFT_OUT:
                rows = connection.execute(pick(table).where(condition).order_by(*_in_order(table)))
                told[table.name] = [{name: _plain(value) for name, value in row.items()} for row in rows.mappings()]
        told["entry"] = []
        for platform, user in _people(session, learner):
            theirs = pick(entries).join(rounds, rounds.c.id == entries.c.round)
            found = connection.execute(theirs.where(rounds.c.platform == platform, entries.c.member == user))
            told["entry"] += [{name: _plain(value) for name, value in row.items()} for row in found.mappings()]
        return told

    def keep(self, session: Session, thing: object) -> None:
        if isinstance(thing, Forgotten):
            session.flush()
            self._forget(session, thing.learner)
            session.expire_all()
        else:
            super().keep(session, thing)

    def _forget(self, session: Session, learner: str) -> None:
        """Deletes every row of the learner, at all of their addresses. What others take part in stays, without them."""
        connection = session.connection()
        people = _people(session, learner)
        connection.execute(outbox.delete().where(outbox.c.learner == learner))
        for platform, user in people:
            _leave(connection, platform, user)
        for table, condition in reversed(list(_theirs(learner))):
            connection.execute(table.delete().where(condition))


def _people(session: Session, learner: str) -> Sequence[tuple[str, str]]:
    found = session.exec(select(AddressRow.platform, AddressRow.user).where(col(AddressRow.learner) == learner))
    return found.all()


def _leave(connection: Connection, platform: str, user: str) -> None:
    """Takes a person out of what is not a learner's: rounds, boards, and what waits to be sent to their own chat."""
    here = pick(rounds.c.id).where(rounds.c.platform == platform)
    connection.execute(entries.delete().where(entries.c.member == user, entries.c.round.in_(here)))
    connection.execute(hidden.delete().where(hidden.c.platform == platform, hidden.c.member == user))
    over = rounds.c.stage.in_((Stage.REVEALED.value, Stage.CALLED_OFF.value))
    begun = rounds.update().where(rounds.c.platform == platform, rounds.c.starter_user == user, over)
    connection.execute(begun.values(starter_user="", starter_chat=""))
    connection.execute(outbox.delete().where(outbox.c.platform == platform, outbox.c.user == user))
    done = inbox.c.done_at.is_not(None)
    connection.execute(
        inbox.update().where(inbox.c.platform == platform, done, inbox.c.person.in_((user, f"{user} aloud"))).values(person="")
    )


def _in_order(table: Table) -> list[Any]:
    return [*([table.c.at] if "at" in table.c else []), *table.primary_key]


def _plain(value: Any) -> Any:
    """A value as JSON knows it; what is kept as JSON is opened."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
