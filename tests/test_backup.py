"""`coach db`: backups that are made while a coach writes, and put back, from the command line of a person who needs them."""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filled import content, fill
from sqlalchemy import create_engine

from adapters.__main__ import main
from bot.database import Database
from bot.database.alone import Alone
from bot.database.backup import backup, inspected, restore
from bot.errors import StoreError, StoreTooNew
from bot.migrations import HEAD

NOW = datetime(2026, 11, 29, 5, 40, tzinfo=UTC)


@pytest.fixture
async def filled(database: Path) -> Path:
    """A database with rows in every table."""
    await (await Database.open(f"sqlite:///{database}")).close()
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        fill(connection, "one")
    engine.dispose()
    return database


@pytest.fixture
def told(filled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    """Runs `coach`, as it is set up for that database; gives its status, and what it said."""
    monkeypatch.setenv("COACH_DATABASE", f"sqlite:///{filled}")

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def _content(file: Path) -> object:
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        held = content(connection)
    engine.dispose()
    return held


def test_a_backup_is_the_database_and_can_be_put_back(told, filled: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """What happened after it is kept beside the database."""
    before, target = _content(filled), tmp_path / "else/where.db"
    status, said, _ = told("db", "backup", str(target))

    assert status == 0
    assert f"Backed up and checked: {target}" in said
    assert f"schema {HEAD}" in said
    assert "learner 1" in said
    assert _content(target) == before
    assert sorted(file.name for file in target.parent.iterdir()) == ["where.db"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600

    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute("DELETE FROM appeal")
    after = _content(filled)
    status, said, _ = told("db", "restore", str(target))

    assert status == 0
    assert _content(filled) == before
    (kept,) = filled.parent.glob("coach.db.replaced-*")
    assert f"What was there before is kept as {kept}." in said
    assert _content(kept) == after


def test_both_tell_a_script_what_they_did(told, filled: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """In a folder a backup is named by the time."""
    _, said, _ = told("db", "backup", str(tmp_path), "--json")
    made = json.loads(said)

    assert Path(made["file"]).parent == tmp_path
    assert made["schema"] == HEAD
    assert made["bytes"] == Path(made["file"]).stat().st_size
    assert made["rows"]["learner"] == 1
    assert made["rows"]["outbox"] == 2

    _, said, _ = told("db", "restore", made["file"], "--json")
    put = json.loads(said)
    assert put["rows"] == made["rows"]
    assert Path(put["kept"]).is_file()


def test_a_backup_is_whole_while_somebody_writes(filled: Path, tmp_path: Path) -> None:
    """Two rows that are written together are both in it, or neither."""
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(filled, timeout=10, isolation_level=None)) as connection:
            number = 0
            while not stop.is_set():
                number += 1
                connection.execute("BEGIN IMMEDIATE")
                for table in ("hidden_member", "chat"):
                    columns = "(platform, member, hidden)" if table == "hidden_member" else "(platform, user, chat, last, used_at)"
                    rest = "1" if table == "hidden_member" else "'c', '1', '2026-11-23 12:00:00'"
                    connection.execute(f"INSERT INTO {table} {columns} VALUES ('paper', 'p{number}', {rest})")
                connection.execute("COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [backup(filled, tmp_path / f"{number}.db") for number in range(5)]
    finally:
        stop.set()
        writer.join()

    assert all(one.rows["hidden_member"] == one.rows["chat"] for one in made)
    assert made[-1].rows["chat"] > 1


def test_nothing_is_put_back_under_a_running_coach(told, filled: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A backup of it can be made all the time."""
    before = _content(filled)
    with Alone(filled):
        assert told("db", "backup", str(tmp_path / "b.db"))[0] == 0
        status, _, said = told("db", "restore", str(tmp_path / "b.db"))

    assert (status, said) == (1, f"coach: another coach is using {filled}; stop it first, or set COACH_DATABASE\n")
    assert _content(filled) == before
    assert list(filled.parent.glob("*.replaced-*")) == []


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nothing", "there is no file"),
        ("a list", "file is not a database"),
        ("another one's", "is no database of the coach"),
        ("damaged", "given.db (is damaged|can't be used: database disk image is malformed)"),
        ("a later one", "written by a later version of the coach"),
        ("itself", "that is the database itself"),
    ],
)
def test_what_cannot_be_put_back_changes_nothing(filled: Path, tmp_path: Path, what: str, said: str) -> None:
    file = tmp_path / "given.db"
    if what == "a list":
        file.write_text("eggs, milk, and a rather long list of other things" * 30, "utf-8")
    elif what == "another one's":
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE shopping (what)")
    elif what == "itself":
        file = filled
    elif what != "nothing":
        backup(filled, file)
        if what == "a later one":
            with closing(sqlite3.connect(file)) as connection, connection:
                connection.execute("UPDATE alembic_version SET version_num = '9999'")
        else:
            whole = file.read_bytes()
            file.write_bytes(whole[: len(whole) // 2] + b"\xff" * (len(whole) // 4) + whole[len(whole) // 4 * 3 :])
    before = _content(filled)

    with pytest.raises(StoreTooNew if what == "a later one" else StoreError, match=said):
        restore(file, filled, NOW)

    assert _content(filled) == before
    assert [one.name for one in filled.parent.iterdir() if "restoring" in one.name or "replaced" in one.name] == []


def test_a_damaged_database_is_replaced_and_kept(filled: Path, tmp_path: Path) -> None:
    """It is when everything is broken that a backup is put back."""
    backup(filled, tmp_path / "b.db")
    before = _content(filled)
    filled.write_bytes(b"\x01" * 5000)
    filled.with_name("coach.db-wal").write_bytes(b"left over")

    _, kept = restore(tmp_path / "b.db", filled, NOW)

    assert kept == filled.with_name("coach.db.replaced-20261129T054000Z")
    assert kept.read_bytes() == b"\x01" * 5000
    assert kept.with_name(kept.name + "-wal").read_bytes() == b"left over"
    assert not filled.with_name("coach.db-wal").exists()
    assert _content(filled) == before


def test_a_backup_is_put_where_there_is_no_database_yet(filled: Path, tmp_path: Path) -> None:
    """A new machine."""
    backup(filled, tmp_path / "b.db")

    holding, kept = restore(tmp_path / "b.db", tmp_path / "new/coach.db", NOW)

    assert kept is None
    assert _content(tmp_path / "new/coach.db") == _content(filled)
    assert holding.rows == inspected(filled).rows


def test_a_backup_writes_over_nothing(told, filled: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "there.db").write_text("precious", "utf-8")

    assert told("db", "backup", str(tmp_path / "there.db")) == (
        1, "", f"coach: {tmp_path}/there.db is there already; a backup writes over nothing\n",
    )  # fmt: skip
    assert (tmp_path / "there.db").read_text("utf-8") == "precious"


@pytest.mark.parametrize(("verb", "tool"), [("backup", "pg_dump --format=custom"), ("restore", "pg_restore --clean")])
def test_on_postgresql_its_own_tools_are_named(told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verb: str, tool: str) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("COACH_DATABASE", "postgresql://me:word@127.0.0.1:1/coach")
    status, _, said = told("db", verb, str(tmp_path / "b.db"))

    assert status == 1
    assert "COACH_DATABASE is PostgreSQL" in said
    assert tool in said
    assert "word" not in said


def test_there_is_nothing_to_back_up_before_the_first_start(told, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("COACH_DATABASE", f"sqlite:///{tmp_path}/none.db")

    assert told("db", "backup", str(tmp_path / "b.db"))[2] == f"coach: there is no database at {tmp_path}/none.db yet\n"
    assert not (tmp_path / "none.db").exists()
