"""What belongs to the learner: all of it in files that other programs open, and all of it gone when they say so."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

from sqlmodel import SQLModel
from worlds import ANN, MONDAY, World, sql, world

from bot import Address, Place, Right
from bot.content import Library
from bot.messages import File, Message
from bot.progress import Weak
from bot.reports import history

TELEGRAM = Address("telegram", "7", "7")
BOB = Address("console", "bob", "bob")
WORDS = "precision is TP / (TP + FP), said Ann privately"


async def _linked(home: World) -> None:
    """Ann practises on two platforms that are linked; Bob practises too."""
    await home.says("/daily 09:00 Berlin")
    await home.says("/next precision")
    await home.says(WORDS)
    await home.says("/pause 3")
    await home.says("/link")
    code = re.search(r"/link ([A-Z-]+)", home.heard)
    assert code is not None
    await home.says(f"/link {code.group(1)}", address=TELEGRAM)
    home.clock.move(minutes=1)
    await home.says("/next recall", address=TELEGRAM)
    await home.says("=1+1 is no recall at all, I must say", address=TELEGRAM)
    await home.says("/flag unfair", address=TELEGRAM)
    await home.says("/progress")
    await home.says("/next precision", address=BOB)
    await home.says("precision is TP / (TP + FP), said Bob", address=BOB)


async def _everywhere(home: World) -> str:
    """Every value in every table, as one text."""
    rows = []
    for table in SQLModel.metadata.sorted_tables:
        rows += [f"{table.name}: {row}" for row in await sql(home.store, f'SELECT * FROM "{table.name}"')]
    return "\n".join(rows)


def _file(home: World, name: str) -> File:
    return next(file for reply in home.hears for file in reply.files if file.name == name)


async def test_everything_is_given_as_json_csv_and_a_deck_that_anki_opens(library: Library, database: Path, tmp_path: Path) -> None:
    async with world(library, database) as home:
        await home.says("/export")
        assert home.heard == "I keep nothing of you yet."
        await _linked(home)
        home.clock.move(minutes=1)
        await home.says("/export")
        assert home.heard.startswith("All that I keep of you\n2 replies with every grade")
        assert "The deck holds" in home.heard
        everything = json.loads(_file(home, "history.json").data)
        tables = SQLModel.metadata.sorted_tables
        owned = {one.name for one in tables if any(key.column.table.name == "learner" for key in one.foreign_keys)}
        assert owned - {"link_code"} <= everything.keys()
        assert everything["attempt"][0]["text"] == WORDS
        assert everything["attempt"][0]["grade"]["verdicts"]
        assert {row["platform"] for row in everything["address"]} == {"console", "telegram"}
        assert {row["kind"] for row in everything["mark"]} == {"zone", "paused"}
        assert everything["flag"][0]["reason"] == "unfair"
        assert "Bob" not in _file(home, "history.json").data.decode()
        rows = list(csv.DictReader(io.StringIO(_file(home, "replies.csv").data.decode("utf-8-sig"))))
        assert [row["question"] for row in rows] == ["precision", "recall"]
        assert rows[1]["reply"].startswith("'=1+1"), "no spreadsheet works it out"
        assert rows[1]["missed"]
        deck = tmp_path / "deck.apkg"
        deck.write_bytes(_file(home, "weak-questions.apkg").data)
    with zipfile.ZipFile(deck) as archive:
        assert {"collection.anki2", "media"} <= set(archive.namelist())
        archive.extract("collection.anki2", tmp_path)
    with sqlite3.connect(tmp_path / "collection.anki2") as collection:
        notes = [row[0].split("\x1f") for row in collection.execute("SELECT flds FROM notes")]
        (cards,) = collection.execute("SELECT count(*) FROM cards").fetchone()
        (version, models) = collection.execute("SELECT ver, models FROM col").fetchone()
    assert cards == len(notes) >= 1
    assert version == 11
    assert [field["name"] for model in json.loads(models).values() for field in model["flds"]] == ["Question", "Answer", "Missing"]
    recall = next(note for note in notes if "TP / (TP + FN)" in note[1])
    assert "<li>" in recall[2]


async def test_an_empty_history_has_no_deck_and_a_large_one_is_packed(library: Library) -> None:
    question = library.questions["precision"]
    first, again = (history.as_deck([Weak(question, 40, ("definition",))], at) for at in (_at(0), _at(1)))
    assert first != b""
    assert _guids(first) == _guids(again), "a later deck updates an earlier one"
    assert list(history.packed({"a": b"x" * 10})) == ["a"]
    packed = history.packed({"a": b"x" * history.LARGEST, "b": b"y"})
    assert list(packed) == ["history.zip"]
    with zipfile.ZipFile(io.BytesIO(packed["history.zip"])) as archive:
        assert archive.namelist() == ["a", "b"]


def _at(minutes: int) -> datetime:
    return MONDAY + timedelta(minutes=minutes)


def _guids(deck: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(deck)) as archive:
        data = archive.read("collection.anki2")
    with sqlite3.connect(":memory:") as connection:
        connection.deserialize(data)
        return [row[0] for row in connection.execute("SELECT guid FROM notes")]


async def test_one_confirmation_deletes_everything_on_all_linked_addresses_and_nothing_of_others(library: Library, url: str) -> None:
    async with world(library, "", url=url) as home:
        await _linked(home)
        place = Place("server", "channel", frozenset(Right))

        async def there(who: str, said: str, **given: str) -> None:
            address = Address("console", who, who)
            message = Message(f"{who}{home.keys()}", address, said, home.clock(), False, place=place, name=f"{who} by name", given=given)
            await home.coach.handle(message)

        await there("bob", "/quiz start auc")
        (opened,) = await home.store.rounds_open("console", "server")
        await there("ann", f"/quiz reply {opened.id}", reply="said by ann in a round")
        await there("bob", f"/quiz reply {opened.id}", reply="said by bob in a round")
        learner = (await home.store.recall(ANN)).learner
        assert learner is not None
        await home.says("/forget")
        assert "2 replies with their grades" in home.heard
        assert "This goes for all your linked chats: Console, Telegram." in home.heard
        await home.taps("Keep it")
        assert home.heard == "Nothing is deleted."
        await home.says("/forget")
        shown = home.hears
        for wrong in ("/forget yes", "/forget everything", "/forget yes99999999999"):
            await home.says(wrong)
            assert "That button has expired" in home.heard
        home.clock.move(minutes=16)
        home.hears = shown
        await home.taps("Delete everything")
        assert "That button has expired" in home.heard
        assert (await home.store.recall(TELEGRAM)).learner is not None
        await home.says("/forget")
        await home.taps("Delete everything")
        assert home.heard.startswith("Done: I know nothing of you any more.")
        kept = await _everywhere(home)
        assert learner.id not in kept
        assert "said Ann privately" not in kept
        assert "ann by name" not in kept
        assert "said by ann" not in kept
        assert "said by bob in a round" in kept
        assert "said Bob" in kept
        for address in (ANN, TELEGRAM):
            assert (await home.store.recall(address)).learner is None
        assert (await home.store.recall(BOB)).learner is not None
        owed = [one for one in await home.store.claim(["console", "telegram"], home.clock(), 9) if one.address == ANN]
        assert [one.reply.text[:5] for one in owed if one.reply is not None] == ["Done:"]
        await home.says("/progress")
        assert "Nothing graded yet" in home.heard


async def test_nothing_is_given_or_deleted_where_others_read_along(library: Library, database: Path) -> None:
    async with world(library, database) as home:
        await home.says("/next precision")
        for command in ("/export", "/forget"):
            await home.says(command, private=False)
            assert "is for the two of us" in home.heard
        await home.says("/forget", address=BOB)
        assert home.heard == "I keep nothing of you yet."
