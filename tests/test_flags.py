"""Flags: a learner says that something is wrong, and the owner sees it gathered by question."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from worlds import World, world

from adapters.__main__ import main
from bot.content import Library
from bot.desks.appealing import FLAGS_A_DAY, REASON
from bot.messages import Address


@pytest.fixture
async def home(library: Library, database: Path) -> AsyncIterator[World]:
    async with world(library, database) as somewhere:
        yield somewhere


async def _says(home: World, *texts: str) -> str:
    for text in texts:
        home.clock.move(seconds=30)
        await home.says(text)
    return home.heard


async def _flags(home: World) -> list[tuple[str, str, bool, str]]:
    return [(one.question, one.followup, bool(one.attempt), one.reason) for one in await home.store.flags()]


async def test_the_open_question_is_flagged_and_stays_open(home: World) -> None:
    assert "the question on Precision is flagged" in await _says(home, "/next precision", "/flag  it has two\n answers")
    assert await _flags(home) == [("precision", "", False, "it has two answers")]
    assert "/100" in await _says(home, "precision is TP / (TP + FP)")


async def test_with_nothing_open_the_last_grade_is_flagged(home: World) -> None:
    heard = await _says(home, "/next precision", "precision is TP / (TP + FP)", "/flag too harsh")
    assert "the grade on Precision is flagged" in heard
    assert await _flags(home) == [("precision", "", True, "too harsh")]


async def test_the_grade_may_have_been_meant_while_a_follow_up_is_open(home: World) -> None:
    """One tap says so; the flag is moved and not doubled."""
    await _says(home, "/next precision", "precision is TP / (TP + FP)", "/deeper", "/flag the verdict on cost is wrong")
    assert "the question on the follow-up to Precision is flagged" in home.heard
    await home.taps("I meant my grade on Precision")
    assert "the grade on Precision is flagged" in home.heard
    assert await _flags(home) == [("precision", "", True, "the verdict on cost is wrong")]


async def test_the_reason_may_be_typed_next(home: World) -> None:
    assert "What is wrong with it?" in await _says(home, "/next precision", "/flag")
    assert "is flagged" in await _says(home, "the hint gives it away " * 100)
    ((_, _, _, reason),) = await _flags(home)
    assert len(reason) == REASON
    assert "/100" in await _says(home, "precision is TP / (TP + FP)")


async def test_a_flag_that_is_called_off_is_none(home: World) -> None:
    assert "Nothing is flagged" in await _says(home, "/next precision", "/flag", "/cancel")
    await _says(home, "/flag", "/hint")
    assert "/100" in await _says(home, "precision is TP / (TP + FP)")
    assert await _flags(home) == []


async def test_with_nothing_there_nothing_is_flagged(home: World) -> None:
    assert "no question and no grade to flag" in await _says(home, "/help", "/flag")
    assert "no question and no grade to flag" in await _says(home, "/flag everything")
    assert "no question and no grade to flag" in await _says(home, "/flagged nonsense")
    assert await _flags(home) == []


async def test_nobody_moves_the_flag_of_another(home: World) -> None:
    await _says(home, "/next precision", "precision is TP / (TP + FP)", "/next recall", "/flag unclear")
    (flag,) = await home.store.flags()
    home.address = Address("console", "bob", "bob")
    assert "no question and no grade to flag" in await _says(home, "/help", f"/flagged {flag.id}")
    assert await home.store.flags() == (flag,)


async def test_flags_are_limited_a_day(home: World) -> None:
    await _says(home, "/next precision")
    for number in range(FLAGS_A_DAY):
        assert "is flagged" in await _says(home, f"/flag reason {number}")
    assert "plenty for today" in await _says(home, "/flag one more")
    home.clock.move(days=1)
    assert "is flagged" in await _says(home, "/flag the next day")
    assert len(await home.store.flags()) == FLAGS_A_DAY + 1


def test_the_owner_sees_flags_and_appeals_gathered_by_question(
    library: Library, database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With reasons, and without who gave them."""
    monkeypatch.setenv("COACH_DATABASE", f"sqlite:///{database}")
    monkeypatch.setenv("COACH_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["flags"]) == 0
    assert capsys.readouterr().out == "No flags yet.\n"

    async def talk() -> None:
        async with world(library, database) as home:
            await _says(home, "/next recall", "/flag typo in it", "/next precision", "/flag two\x1b[31m answers")
            await _says(home, "It falls when violations are rarer, they say", "/flag too harsh")
            attempt = (await home.store.flags())[1].attempt
            await _says(home, f"/appeal {attempt} prevalence 0")

    asyncio.run(talk())
    capsys.readouterr()
    assert main(["flags"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines() == [
        "precision · Precision: flags 2, appeals 1",
        "  2026-11-23  question: two[31m answers",
        "  2026-11-23  grade: too harsh",
        "recall · Recall: flags 1, appeals 0",
        "  2026-11-23  question: typo in it",
    ]
    assert main(["flags", "--json"]) == 0
    raw = capsys.readouterr().out
    assert [(one["question"], one["about"], one["reason"]) for one in json.loads(raw)] == [
        ("precision", "question", "two[31m answers"), ("precision", "grade", "too harsh"), ("recall", "question", "typo in it"),
    ]  # fmt: skip
    assert "ann" not in raw
