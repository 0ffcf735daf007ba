"""Upgrades: every schema that was ever released, with rows in all of its tables, becomes today's and keeps what was in it."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from filled import content, fill
from sqlalchemy import Connection, create_engine, text
from sqlmodel import Session, SQLModel, select

from bot import migrations
from bot.database import Database
from bot.database.backup import KEPT, before_upgrade, inspected
from bot.database.connection import base_of
from bot.errors import StoreError, StoreTooNew
from bot.messages import Address

Held = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


def _released(connection: Connection) -> list[str]:
    """Every revision, the first one first."""
    script = ScriptDirectory.from_config(migrations._config(connection))
    return [one.revision for one in reversed(list(script.walk_revisions()))]


def _made(connection: Connection, revision: str) -> None:
    command.upgrade(migrations._config(connection), revision)


def _lived(connection: Connection) -> dict[str, Held]:
    """A database that lived through all releases: at each, every table gets a row. Gives what was in it then, by release."""
    then: dict[str, Held] = {}
    for revision in _released(connection):
        _made(connection, revision)
        fill(connection, revision)
        then[revision] = content(connection)
    return then


def _expected(table: str, row: dict[str, Any], revision: str) -> dict[str, Any]:
    """A row of that release as it is to be today."""
    if table == "outbox" and row["state"] == "sending" and revision < "0004":
        # Who was sending it is gone, and nobody knows whether it arrived.
        return row | {"state": "retry", "unsure": True, "lease_until": None}
    return row


def _emptied(session: Session) -> None:
    SQLModel.metadata.drop_all(session.connection())
    session.connection().exec_driver_sql("DROP TABLE IF EXISTS alembic_version")


async def test_a_row_of_every_release_is_kept_to_the_last_value(url: str) -> None:
    """On SQLite and PostgreSQL, through every step from the release in which it was written; and the coach can read it."""
    base = base_of(url)
    await base.write(_emptied)
    then, now, released = await base.write(lambda session: tuple(look(session.connection()) for look in (_lived, content, _released)))
    await base.close()

    assert released[-1] == migrations.HEAD
    assert set(now) == {table.name for table in SQLModel.metadata.sorted_tables}
    for revision, held in then.items():
        for table, rows in held.items():
            for key, row in rows.items():
                assert {name: now[table][key][name] for name in row} == _expected(table, row, revision), (revision, table)

    store = await Database.open(url)
    for model in SQLModel._sa_registry.mappers:
        found = await store.read(lambda session, kept=model.class_: session.exec(select(kept)).all())  # type: ignore[misc]
        assert found, model.class_.__name__
    for revision in released:
        memory = await store.recall(Address("paper", f"address {revision}", f"chat {revision}"))
        assert memory.learner is not None
        assert memory.open is not None
        assert [one.score for one in memory.past] == [71]
        assert (await store.attempt(f"learner {revision}", f"attempt {revision}")) is not None
        assert {"attempt", "practised"} <= set(await store.everything(f"learner {revision}"))
    await store.close()


# ---------------------------------------------------------------------------------------------- the copy before it


def _of(file: Path, revision: str) -> Held:
    """A database of that release with rows in it."""
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        _made(connection, revision)
        fill(connection, revision)
        held = content(connection)
    engine.dispose()
    return held


def _content(file: Path) -> Held:
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        held = content(connection)
    engine.dispose()
    return held


async def test_an_upgrade_leaves_a_copy_of_what_was_there_beside_the_database(database: Path) -> None:
    """Under its revision's name, whole, readable by its owner alone; a start without an upgrade leaves none."""
    before = _of(database, "0004")
    for _ in range(2):
        await (await Database.open(f"sqlite:///{database}")).close()

    copy = database.with_name("coach.db.schema-0004")
    assert [file.name for file in database.parent.glob("*.schema-*")] == [copy.name]
    assert _content(copy) == before
    assert inspected(copy).revision == "0004"
    assert inspected(database).revision == migrations.HEAD
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_the_copies_of_many_upgrades_are_few(database: Path) -> None:
    """The latest stay; one of the same release takes the place of the earlier one."""
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE anything (it)")
    for revision in ("0001", "0002", "0003", "0005", "0006", "0003"):
        before_upgrade(database, revision)

    assert KEPT == 3
    assert sorted(file.name for file in database.parent.glob("*.schema-*")) == [
        f"coach.db.schema-{one}" for one in ("0003", "0005", "0006")
    ]


async def test_an_upgrade_that_fails_changes_nothing(database: Path) -> None:
    """Somebody had made a table by hand that the next release brings."""
    _of(database, "0008")
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE interview (mine TEXT)")
    before = _content(database)

    with pytest.raises(StoreError, match="interview"):
        await Database.open(f"sqlite:///{database}")

    assert _content(database) == before
    assert inspected(database).revision == "0008"
    assert inspected(database.with_name("coach.db.schema-0008")).revision == "0008"


async def test_without_room_for_the_copy_nothing_is_upgraded(database: Path) -> None:
    _of(database, "0008")
    (database.with_name("coach.db.schema-0008.new")).mkdir()

    with pytest.raises(StoreError, match="before the database is upgraded a copy of it is made, and that failed"):
        await Database.open(f"sqlite:///{database}")

    assert inspected(database).revision == "0008"


async def test_a_later_schema_is_refused_before_anything_is_written(database: Path) -> None:
    await (await Database.open(f"sqlite:///{database}")).close()
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreTooNew, match=f"its schema is 9999, this one reads {migrations.HEAD}"):
        await Database.open(f"sqlite:///{database}")

    assert [file.name for file in database.parent.iterdir() if "schema" in file.name] == []


async def test_who_only_looks_does_not_upgrade(url: str) -> None:
    """`coach dead` of a new version, beside a coach of an old one that is still running."""
    base = base_of(url)
    await base.write(_emptied)
    await base.write(lambda session: _made(session.connection(), "0008"))
    with pytest.raises(StoreError, match=r"its schema is 0008.* start the coach once"):
        await Database.open(url, migrate=False)
    assert (
        await base.write(lambda session: session.connection().execute(text("SELECT version_num FROM alembic_version")).scalar()) == "0008"
    )
    await base.close()
