"""What the coach remembers: on real SQLite and real PostgreSQL, with everything that can go wrong between two writers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlmodel
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from peers.postgres import PostgresServer
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Session, SQLModel
from worlds import sql

from bot import migrations
from bot.database import KEEP_DONE, LEASE, Database
from bot.database.connection import base_of
from bot.database.rows import UTCDateTime
from bot.database.sqlite import SQLite
from bot.errors import StoreBusy, StoreError, StoreRefused, StoreTooNew
from bot.messages import Address, say
from bot.model import Asked, Attempt, Changes, Fate, Finding, Grade, Learner, Mistaken, Occasion, Practised, Verdict
from bot.outbox import Lane, Owed, freeze

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ANN = Address("paper", "ann", "ann")
LEARNER = Learner("l1", NOW, ANN, zone="Europe/Berlin", minute=540, tracks=frozenset({"ml", "production"}), level=4)
ASKED = Asked("q1", "l1", "precision", Occasion.DAILY, NOW)
GRADE = Grade(
    71,
    (Verdict("definition", Finding.COVERED, "ja “so”", 0, 7, 1.0), Verdict("limit", Finding.MISSING)),
    (Mistaken("swapped", "ja", 0, 2),),
    "plain 1",
)
ATTEMPT = Attempt("a1", "l1", "q1", "precision", "", "ja “so” 🙂", NOW, 1, GRADE)
TURN = Changes(LEARNER, (replace(ASKED, fate=Fate.ANSWERED),), ATTEMPT, Practised(NOW, "Europe/Berlin"))


def _owed(key: str, address: Address = ANN, *, lane: Lane = Lane.REPLY) -> Owed:
    return Owed(key, address, lane, "reply", say("hello"), "l1")


@pytest.fixture
async def store(url: str) -> AsyncIterator[Database]:
    opened = await Database.open(url)
    yield opened
    await opened.close()


async def _count(store: Database) -> dict[str, int]:
    names = ("learner", "address", "asked", "attempt", "practised", "inbox", "outbox")
    return {name: (await sql(store, f"SELECT count(*) FROM {name}"))[0] for name in names}


# ---------------------------------------------------------------------------------------------- one turn, one transaction


async def test_a_turn_comes_back_as_it_was_written(store: Database) -> None:
    assert await store.record("m1", ANN, TURN, [_owed("r1")], NOW)

    memory = await store.recall(ANN)
    assert memory.learner == LEARNER
    assert memory.open is None
    assert [(one.question, one.score) for one in memory.past] == [("precision", 71)]
    assert memory.asked_lately == (("precision", NOW),)
    assert memory.practised == (Practised(NOW, "Europe/Berlin"),)
    assert await store.attempt("l1", "a1") == ATTEMPT
    assert await store.last_attempt("l1") == ATTEMPT
    assert await store.recall_learner("l1") == memory
    (owed,) = await store.claim(["paper"], NOW, 10)
    assert (owed.key, owed.reply, owed.learner, owed.tries) == ("r1", say("hello"), "l1", 1)


async def test_one_learner_sees_nothing_of_another(store: Database) -> None:
    await store.record("m1", ANN, TURN, [], NOW)

    assert await store.attempt("l2", "a1") is None
    assert await store.asked("l2", "q1") is None
    assert (await store.recall(Address("paper", "bob", "bob"))).learner is None
    assert (await store.recall(Address("other", "ann", "ann"))).learner is None


async def test_a_turn_that_fails_in_the_middle_leaves_nothing(store: Database) -> None:
    """Its attempt refers to a question that was never asked: everything else of the turn is gone too."""
    with pytest.raises(StoreError, match="refused a row"):
        await store.record("m1", ANN, replace(TURN, asked=()), [_owed("r1")], NOW)

    assert set((await _count(store)).values()) == {0}
    assert await store.record("m1", ANN, TURN, [_owed("r1")], NOW)


async def test_two_answers_under_one_key_are_refused_whole(store: Database) -> None:
    await store.record("m1", ANN, Changes(LEARNER), [_owed("r1")], NOW)

    with pytest.raises(StoreError, match="refused a row"):
        await store.record("m2", ANN, Changes(replace(LEARNER, level=1)), [_owed("r1")], NOW)

    assert (await store.recall(ANN)).learner == LEARNER
    assert not await store.done("paper", "m2")


async def test_the_same_message_twice_is_recorded_once(store: Database) -> None:
    assert await store.record("m1", ANN, TURN, [_owed("r1")], NOW)
    assert not await store.record("m1", ANN, Changes(replace(LEARNER, level=1)), [_owed("r2")], NOW)

    assert (await _count(store)) == {"learner": 1, "address": 1, "asked": 1, "attempt": 1, "practised": 1, "inbox": 1, "outbox": 1}
    assert (await store.recall(ANN)).learner == LEARNER
    assert await store.done("paper", "m1")
    assert not await store.done("other", "m1")


async def test_one_that_fails_among_many_fails_alone(store: Database) -> None:
    """On SQLite those who wait for the disk wait for it together, and each is still written whole or not at all."""
    await store.record("first", ANN, TURN, [_owed("taken")], NOW)
    turns = [store.record(f"m{n}", ANN, Changes(LEARNER), [_owed("taken" if n == 7 else f"r{n}")], NOW) for n in range(30)]
    outcomes = await asyncio.gather(*turns, return_exceptions=True)

    assert [n for n, outcome in enumerate(outcomes) if outcome is not True] == [7]
    assert isinstance(outcomes[7], StoreRefused)
    assert not await store.done("paper", "m7")
    assert await _count(store) | {"outbox": 30, "inbox": 30} == await _count(store)


async def test_many_tasks_write_at_once_and_each_key_counts_once(store: Database) -> None:
    async def turn(number: int) -> bool:
        person = Address("paper", f"p{number % 10}", f"p{number % 10}")
        learner = replace(LEARNER, id=f"l{number % 10}", home=person)
        return await store.record(f"m{number % 40}", person, Changes(learner), [_owed(f"r{number}", person)], NOW)

    recorded = await asyncio.gather(*(turn(number) for number in range(80)))

    assert sum(recorded) == 40
    assert (await _count(store))["inbox"] == (await _count(store))["outbox"] == 40
    assert (await _count(store))["learner"] == 10


async def test_a_caller_that_is_cancelled_leaves_a_whole_transaction_and_a_store_that_closes(url: str) -> None:
    """However soon it is cancelled, what it wrote is all there or not at all, and closing does not hang."""
    for number in range(25):
        store = await Database.open(url)
        turn = asyncio.create_task(store.record(f"m{number}", ANN, Changes(LEARNER), [_owed(f"r{number}")], NOW))
        await asyncio.sleep(number * 0.0004)
        turn.cancel()
        await asyncio.wait([turn])
        async with asyncio.timeout(10):
            await store.close()

    store = await Database.open(url)
    counted = await _count(store)
    await store.close()
    assert counted["inbox"] == counted["outbox"]


# ---------------------------------------------------------------------------------------------- the inbox


async def test_updates_are_kept_until_they_are_done(store: Database) -> None:
    assert await store.take("paper", [("1", "one"), ("2", "two")], NOW) == ["1", "2"]
    assert await store.take("paper", [("2", "two"), ("3", "three")], NOW) == ["3"]
    assert await store.take("other", [("1", "uno")], NOW) == ["1"]
    assert await store.waiting("paper") == [("1", "one"), ("2", "two"), ("3", "three")]

    await store.record("2", ANN, Changes(LEARNER), [], NOW)
    await store.drop("paper", "1")
    await store.drop("paper", "1")

    assert await store.waiting("paper") == [("3", "three")]
    assert await store.done("paper", "1")
    assert not await store.done("paper", "3")
    assert await store.waiting("other") == [("1", "uno")]


async def test_what_was_in_an_update_is_forgotten_when_it_is_done(store: Database) -> None:
    await store.take("paper", [("1", "my private words"), ("2", "more of them")], NOW)
    await store.record("1", ANN, Changes(LEARNER), [], NOW)
    await store.drop("paper", "2")

    assert await sql(store, "SELECT raw FROM inbox") == ["", ""]


async def test_tidying_forgets_what_nobody_asks_about_and_keeps_what_waits(store: Database) -> None:
    await store.take("paper", [("1", "one"), ("2", "two")], NOW)
    await store.record("1", ANN, TURN, [_owed("r1"), _owed("r2")], NOW)
    (owed,) = await store.claim(["paper"], NOW, 1)
    await store.settle(owed, "sent", NOW, message="77")

    await store.tidy(NOW + KEEP_DONE - timedelta(hours=1))
    assert (await _count(store))["outbox"] == (await _count(store))["inbox"] == 2
    await store.tidy(NOW + KEEP_DONE + timedelta(hours=1))
    assert (await _count(store))["outbox"] == (await _count(store))["inbox"] == 1
    assert (await _count(store))["attempt"] == 1


# ---------------------------------------------------------------------------------------------- the outbox


async def test_one_message_a_chat_is_claimed_at_a_time_replies_first(store: Database) -> None:
    bob, cat = Address("paper", "bob", "bob"), Address("paper", "cat", "cat")
    owed = [_owed("d1", bob, lane=Lane.BULK), _owed("r1"), _owed("r2"), _owed("r3", cat), _owed("r4", cat)]
    await store.record("m1", ANN, Changes(LEARNER), owed, NOW)

    assert [one.key for one in await store.claim(["paper"], NOW, 10)] == ["r1", "r3", "d1"]
    assert await store.claim(["paper"], NOW, 10) == []
    await store.settle(_owed("r1"), "sent", NOW)
    assert [one.key for one in await store.claim(["paper"], NOW, 10)] == ["r2"]
    assert await store.claim(["other"], NOW, 10) == []


async def test_what_is_being_sent_is_taken_over_when_its_lease_runs_out_unless_it_is_held(store: Database) -> None:
    await store.record("m1", ANN, Changes(LEARNER), [_owed("r1")], NOW)
    await store.claim(["paper"], NOW, 10)
    later = NOW + LEASE + timedelta(seconds=1)

    assert await store.claim(["paper"], NOW + LEASE - timedelta(seconds=1), 10) == []
    assert await store.claim(["paper"], later, 10, ["r1"]) == []
    (again,) = await store.claim(["paper"], later, 10)
    assert (again.tries, again.unsure) == (2, True)


async def test_a_reply_that_somebody_stands_ready_for_is_being_sent_as_it_is_written(store: Database) -> None:
    """The first of a turn, unless something goes before it in its chat; if its sender dies it is taken over like any other."""
    begun: list[Owed] = []
    assert await store.record("m1", ANN, TURN, [_owed("r1"), _owed("r2")], NOW, begun.append)
    assert not await store.record("m1", ANN, Changes(), [_owed("again")], NOW, begun.append)
    assert [(one.key, one.due_at, one.tries, one.until, one.unsure) for one in begun] == [("r1", NOW, 1, NOW + LEASE, False)]
    assert await store.claim(["paper"], NOW, 9, held=["r1"]) == []
    await store.settle(begun[0], "sent", NOW, message="1")

    assert await store.record("m2", ANN, Changes(), [_owed("r3")], NOW, begun.append)
    assert len(begun) == 1, "r2 goes first"
    for key in ("r2", "r3"):
        (next_one,) = await store.claim(["paper"], NOW, 9)
        assert next_one.key == key
        await store.settle(next_one, "sent", NOW, message=key)

    await store.record("m3", ANN, Changes(), [_owed("b1", lane=Lane.BULK), _owed("b2", lane=Lane.BULK)], NOW)
    assert await store.record("m4", ANN, Changes(), [_owed("r4")], NOW, begun.append)
    assert begun[-1].key == "r4", "what the coach sends on its own waits for replies"
    (orphan,) = await store.claim(["paper"], NOW + LEASE * 2, 9)
    assert (orphan.key, orphan.tries, orphan.unsure) == ("r4", 2, True)


async def test_a_message_that_is_put_back_has_not_been_tried(store: Database) -> None:
    await store.record("m1", ANN, Changes(LEARNER), [_owed("r1")], NOW)
    for minute in range(9):
        (owed,) = await store.claim(["paper"], NOW + timedelta(minutes=minute), 10)
        assert (owed.tries, owed.unsure) == (1, False)
        await store.put_back(owed, NOW + timedelta(minutes=minute, seconds=50))
        assert await store.claim(["paper"], NOW + timedelta(minutes=minute, seconds=40), 10) == []


async def test_a_group_that_threw_the_coach_out_does_not_end_a_learners_daily_question(store: Database) -> None:
    due = NOW + timedelta(hours=20)
    group = Address("paper", "ann", "the-group")
    await store.record("m1", ANN, Changes(replace(LEARNER, next_due_at=due)), [_owed("r1"), _owed("g1", group)], NOW)

    await store.unreachable(group, NOW)
    assert (await store.recall_learner("l1")).learner == replace(LEARNER, next_due_at=due)
    assert [one.key for one in await store.claim(["paper"], NOW, 10)] == ["r1"]

    await store.unreachable(ANN, NOW)
    assert (await store.recall_learner("l1")).learner == replace(LEARNER, reachable=False)


async def test_a_daily_question_is_owed_once_a_local_day(store: Database) -> None:
    due = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    await store.record("m1", ANN, Changes(replace(LEARNER, next_due_at=due)), [], NOW)

    assert await store.claim_due(["paper"], due - timedelta(seconds=1), 50) == 0
    assert await store.claim_due(["other"], due, 50) == 0
    assert await store.claim_due(["paper"], due, 50) == 1
    assert await store.claim_due(["paper"], due, 50) == 0
    memory = await store.recall(ANN)
    assert memory.learner is not None
    assert memory.learner.next_due_at == due + timedelta(days=1)

    # Somebody moves the time back by hand: the day's key is there already.
    await store.record("m2", ANN, Changes(replace(memory.learner, next_due_at=due)), [], NOW)
    assert await store.claim_due(["paper"], due + timedelta(minutes=1), 50) == 1
    assert (await _count(store))["outbox"] == 1


# ---------------------------------------------------------------------------------------------- the database itself


async def test_what_is_written_survives_a_power_cut(database: Path) -> None:
    """Every connection writes ahead, waits for the disk, and checks what refers to what."""
    store = await Database.open(f"sqlite:///{database}")
    found = {name: (await sql(store, f"PRAGMA {name}"))[0] for name in ("journal_mode", "synchronous", "foreign_keys")}
    await store.close()

    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_another_process_that_writes_is_waited_for_and_then_told(database: Path) -> None:
    """A short wait is not noticed; a long one is StoreBusy, and nothing is half written."""
    store = await Database.open(f"sqlite:///{database}")
    assert isinstance(store.base, SQLite)
    store.base.patience = 300
    other = sqlite3.connect(database, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(store.record("m1", ANN, Changes(LEARNER), [], NOW))
        await asyncio.sleep(0.05)
        assert (await store.recall(ANN)).learner is None  # reading goes on
        other.execute("COMMIT")
        assert await waiting

        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            await asyncio.gather(*(store.record(f"n{number}", ANN, Changes(LEARNER), [], NOW) for number in range(3)))
        other.execute("ROLLBACK")
        assert await store.record("m3", ANN, Changes(LEARNER), [], NOW)
    finally:
        other.close()
        await store.close()


def _schema(file: Path) -> dict[str, object]:
    """Every table with its columns, keys and indexes."""
    with sqlite3.connect(file) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {
            name: [
                connection.execute(f"PRAGMA table_info({name})").fetchall(),
                sorted(row[2:] for row in connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()),
                sorted(
                    (unique, [column for _, _, column in connection.execute(f"PRAGMA index_info({index})")], "" if unique else index)
                    for _, index, unique, *_ in connection.execute(f"PRAGMA index_list({name})").fetchall()
                ),
            ]
            for name in tables
            if not name.startswith("sqlite_")
        }


async def test_the_migrations_lead_to_exactly_the_schema_that_the_code_uses(tmp_path: Path) -> None:
    """From nothing by Alembic's history, and from nothing by the models as a first start does it: no difference."""
    await (await Database.open(f"sqlite:///{tmp_path}/made.db")).close()
    engine = create_engine(f"sqlite:///{tmp_path}/migrated.db")
    with engine.begin() as connection:
        command.upgrade(migrations._config(connection), "head")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
        assert context.get_current_revision() == migrations.HEAD
    engine.dispose()

    assert _schema(tmp_path / "made.db") == _schema(tmp_path / "migrated.db")


async def test_the_migrations_lead_to_the_same_schema_on_postgresql(postgres: PostgresServer, postgres_url: str) -> None:
    """Column by column and index by index, what the history makes is what the models make."""
    async with postgres.database() as migrated:
        engine = create_async_engine(migrated)
        async with engine.begin() as connection:
            await connection.run_sync(lambda sync: command.upgrade(migrations._config(sync), "head"))
        await engine.dispose()
        schemas = [await _postgres_schema(postgres, url.rsplit("/", 1)[1]) for url in (postgres_url, migrated)]

    assert schemas[0] == schemas[1]
    assert len(schemas[0]) > 50


async def _postgres_schema(postgres: PostgresServer, name: str) -> list[tuple[object, ...]]:
    columns = "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
    indexes = "SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes"
    found = await postgres.execute(f"{columns} WHERE table_schema = 'public'", database=name)
    found += await postgres.execute(f"{indexes} WHERE schemaname = 'public' AND tablename <> 'alembic_version'", database=name)
    return sorted(tuple(str(part) for part in row) for row in found)


async def test_a_database_of_the_first_version_keeps_its_rows(url: str) -> None:
    """What waited still waits; what was being sent is sent again, as something that may have arrived."""

    def first_version(session: Session) -> None:
        connection = session.connection()
        SQLModel.metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
        command.upgrade(migrations._config(connection), "0001")
        at = "'2026-11-23 12:00:00'"
        connection.exec_driver_sql(
            f"INSERT INTO learner (id, joined_at, home_platform, home_user, home_chat, zone, tracks, level, expecting, reachable) "
            f"VALUES ('l1', {at}, 'paper', 'ann', 'ann', 'UTC', '', 3, '', true)"
        )
        connection.exec_driver_sql("INSERT INTO address VALUES ('paper', 'ann', 'ann', 'l1')")
        connection.exec_driver_sql(f"INSERT INTO inbox (platform, key, raw, taken_at) VALUES ('paper', '7', 'seven', {at})")
        for key, chat, state in (("r1", "ann", "sending"), ("r2", "bob", "ready")):
            connection.exec_driver_sql(
                'INSERT INTO outbox (key, platform, "user", chat, learner, lane, kind, about, payload, state, due_at, not_before, tries, '
                f"unsure, message) VALUES ('{key}', 'paper', '{chat}', '{chat}', 'l1', '0-reply', 'reply', '', "
                f"'{freeze(say('hello'))}', '{state}', {at}, {at}, 1, false, '')"
            )

    base = base_of(url)
    await base.write(first_version)
    await base.close()

    store = await Database.open(url)
    found = await store.claim(["paper"], NOW, 10)
    assert [(one.key, one.unsure, one.reply) for one in found] == [("r1", True, say("hello")), ("r2", False, say("hello"))]
    assert await store.pick_up("paper", NOW, 10) == [("7", "seven")]
    assert (await store.recall(ANN)).turn == 0
    await store.close()


async def test_processes_that_start_together_make_the_schema_once(postgres: PostgresServer) -> None:
    async with postgres.database() as url:
        stores = await asyncio.gather(*(Database.open(url) for _ in range(4)))
        counted = await _count(stores[0])
        await asyncio.gather(*(store.close() for store in stores))

    assert set(counted.values()) == {0}


async def test_a_machine_whose_clock_is_wrong_is_told_so(postgres_url: str) -> None:
    """Leases compare machines' clocks: one that is an hour off would take everything from everybody."""
    for off in (timedelta(hours=1), -timedelta(seconds=20)):
        with pytest.raises(StoreError, match=r"clock is .* s off the database's"):
            await Database.open(postgres_url, now=lambda off=off: datetime.now(UTC) + off)
    await (await Database.open(postgres_url, now=lambda: datetime.now(UTC) + timedelta(seconds=2))).close()


async def test_a_database_url_as_providers_give_it_can_be_used(postgres_url: str) -> None:
    store = await Database.open(postgres_url.replace("postgresql+asyncpg", "postgres") + "?sslmode=disable")
    assert await store.count() == {"learners": 0, "attempts": 0, "inbox": 0}
    await store.close()


async def test_a_database_that_holds_something_else_keeps_it(database: Path) -> None:
    """Then the migrations make what is missing."""
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE shopping (what TEXT)")
    await (await Database.open(f"sqlite:///{database}")).close()

    assert {"shopping", "learner", "alembic_version"} <= set(_schema(database))


async def test_opening_again_changes_nothing(store: Database, url: str) -> None:
    await store.record("m1", ANN, TURN, [_owed("r1")], NOW)
    await store.close()

    again = await Database.open(url)
    assert (await again.recall(ANN)).learner == LEARNER
    await again.close()


async def test_a_schema_of_a_later_version_is_refused(store: Database, url: str) -> None:
    await sql(store, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreTooNew, match="later version"):
        await Database.open(url)


@pytest.mark.parametrize("at", [NOW, NOW.replace(microsecond=7), datetime(2026, 3, 29, 3, tzinfo=timezone(timedelta(hours=2)))], ids=str)
def test_an_instant_is_kept_by_sqlite_as_sqlalchemy_keeps_it(at: datetime) -> None:
    """It is only quicker: databases of before are read, and texts are in the order of their instants."""
    dialect = create_engine("sqlite://").dialect
    kinds = (kind().dialect_impl(dialect) for kind in (UTCDateTime, sqlmodel.UTCDateTime))
    ours, theirs = ((kind.bind_processor(dialect), kind.result_processor(dialect, None)) for kind in kinds)
    assert ours[0] and ours[1] and theirs[0] and theirs[1]
    kept = ours[0](at)

    assert kept == theirs[0](at)
    assert ours[1](kept) == theirs[1](kept) == at
    assert ours[1]("2026-11-23 12:00:00") == NOW
    assert (ours[0](None), ours[1](None)) == (None, None)
    with pytest.raises(ValueError, match="without a zone"):
        ours[0](at.replace(tzinfo=None))


async def test_days_and_instants_keep_their_values(store: Database) -> None:
    odd = replace(LEARNER, paused_until=date.max, next_due_at=NOW.replace(microsecond=123456), minute=None, tracks=frozenset())
    await store.record("m1", ANN, Changes(odd), [], NOW)

    assert (await store.recall(ANN)).learner == odd


async def test_a_reason_never_quotes_what_a_learner_wrote(store: Database) -> None:
    """The words of a row that is refused stay out of the error, and so out of the log."""
    with pytest.raises(StoreError) as caught:
        await store.record("m1", ANN, replace(TURN, asked=(), attempt=replace(ATTEMPT, text="very private")), [], NOW)

    assert "very private" not in str(caught.value)
    assert "very private" not in repr(caught.value.__cause__)
    assert "very private" not in str(caught.value.__cause__)
