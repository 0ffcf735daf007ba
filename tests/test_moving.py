"""`coach db copy`: the whole of a database moves to PostgreSQL, and back, and nothing of it changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from filled import content, fill
from sqlmodel import SQLModel
from worlds import MONDAY

from adapters.__main__ import main
from bot.database import Database
from bot.database.moving import BATCH, copy
from bot.database.rows import ChatRow
from bot.errors import StoreError
from bot.messages import Address
from bot.model import Changes, Learner

Told = tuple[int, str, str]


@pytest.fixture
def coach(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """Runs `coach` over a database; gives its status, and what it said."""

    def run(database: str, *arguments: str) -> Told:
        monkeypatch.setenv("COACH_DATABASE", database)
        status = main(arguments)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


async def _filled(url: str, *labels: str) -> None:
    store = await Database.open(url)
    for label in labels:
        await store.write(lambda session, label=label: fill(session.connection(), label))  # type: ignore[misc]
    await store.close()


async def _rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row as the coach reads it, in some order that is always the same."""
    store = await Database.open(url)
    found = await store.read(
        lambda session: {
            one.name: sorted((tuple(row) for row in session.connection().execute(one.select())), key=repr)
            for one in SQLModel.metadata.sorted_tables
        }
    )
    await store.close()
    return found


def test_everything_moves_to_postgresql_and_back(coach: Callable[..., Told], postgres_url: str, tmp_path: Path) -> None:
    """A row in every table, to the last value; and the coach goes on there: its next rows get numbers that nobody has."""
    here, back = f"sqlite:///{tmp_path}/here.db", f"sqlite:///{tmp_path}/back.db"
    asyncio.run(_filled(here, "one", "two"))
    before = asyncio.run(_rows(here))

    status, said, _ = coach(here, "db", "copy", postgres_url)
    assert status == 0
    assert "Copied and compared row by row: " in said
    assert "learner 2" in said
    assert asyncio.run(_rows(postgres_url)) == before
    assert min(len(rows) for rows in before.values()) >= 2

    async def goes_on() -> None:
        store = await Database.open(postgres_url)
        ann = Address("paper", "ann", "ann")
        assert await store.record("m1", ann, Changes(Learner("ann", MONDAY, ann)), [], MONDAY)
        assert (await store.recall(Address("paper", "address one", ""))).open is not None
        await store.close()

    status, said, _ = coach(postgres_url, "db", "copy", back, "--json")
    assert json.loads(said)["rows"] == {name: len(rows) for name, rows in before.items()}
    assert asyncio.run(_rows(back)) == before
    asyncio.run(goes_on())


async def test_many_rows_come_over_in_batches(postgres_url: str, database: Path) -> None:
    source, target = await Database.open(f"sqlite:///{database}"), await Database.open(postgres_url)
    people = [ChatRow(platform="paper", user=f"p{number}", chat="c", last="1", used_at=MONDAY) for number in range(BATCH * 2 + 7)]
    await source.write(lambda session: session.add_all(people))

    assert (await copy(source, target))["chat"] == BATCH * 2 + 7
    await source.close()
    await target.close()


async def test_a_target_that_holds_something_is_left_alone(coach: Callable[..., Told], postgres_url: str, database: Path) -> None:
    await _filled(f"sqlite:///{database}", "one")
    target = await Database.open(postgres_url)
    theirs = ChatRow(platform="paper", user="theirs", chat="c", last="1", used_at=MONDAY)
    await target.write(lambda session: session.add(theirs))

    status, _, said = await asyncio.to_thread(coach, f"sqlite:///{database}", "db", "copy", postgres_url)
    assert (status, said) == (1, "coach: the target is not empty: there are rows in chat. Nothing was copied\n")
    held = await target.read(lambda session: content(session.connection()))
    assert {name for name, rows in held.items() if rows} == {"chat"}
    await target.close()


async def test_a_copy_that_differs_is_not_kept(postgres: Any, postgres_url: str, database: Path) -> None:
    """Somebody's rule in the target changes what arrives: it is noticed, and the target stays empty."""
    await _filled(f"sqlite:///{database}", "one")
    name = postgres_url.rsplit("/", 1)[1]
    await postgres.execute(
        "CREATE FUNCTION shorten() RETURNS trigger AS $$ BEGIN NEW.zone := left(NEW.zone, 3); RETURN NEW; END $$ LANGUAGE plpgsql",
        database=name,
    )
    await postgres.execute("CREATE TRIGGER shorten BEFORE INSERT ON practised FOR EACH ROW EXECUTE FUNCTION shorten()", database=name)
    source, target = await Database.open(f"sqlite:///{database}"), await Database.open(postgres_url)

    with pytest.raises(StoreError, match=r"what arrived of practised is not what was there \(1 of 1 rows\)"):
        await copy(source, target)

    held = await target.read(lambda session: content(session.connection()))
    assert not any(held.values())
    await source.close()
    await target.close()


async def test_a_source_that_a_coach_is_at_work_on_is_refused(postgres_url: str, database: Path) -> None:
    source, target = await Database.open(postgres_url), await Database.open(f"sqlite:///{database}")
    await source.hold(["paper"], [], [], datetime.now(UTC))

    with pytest.raises(StoreError, match="a coach is at work on the database; stop it first"):
        await copy(source, target)
    await source.close()  # it says that it is gone
    source = await Database.open(postgres_url)
    assert sum((await copy(source, target)).values()) == 0
    await source.close()
    await target.close()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nonsense", "the target is no database URL"),
        ("sqlite:///{here}", "the target is the database itself"),
        ("postgresql://me:word@127.0.0.1:1/coach", "the database can't be used"),
    ],
)
def test_a_target_that_cannot_be_used_is_one_sentence(coach: Callable[..., Told], database: Path, target: str, said: str) -> None:
    asyncio.run(_filled(f"sqlite:///{database}"))
    status, _, told = coach(f"sqlite:///{database}", "db", "copy", target.format(here=database))

    assert status == 1
    assert told.startswith(f"coach: {said}")
    assert told.count("\n") == 1
    assert "word" not in told
