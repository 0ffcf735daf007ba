"""How sure a learner is, tapped before a grade is shown, and whether sure means right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from worlds import ANN, World, world

from bot.confidence import Level, calibration
from bot.content import Library
from bot.model import Sure

SURE, THINK, GUESS = Sure.SURE, Sure.THINK_SO, Sure.GUESSING


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ([(SURE, 90)] * 9, None),
        ([(SURE, 90)] * 9 + [(Sure.UNSAID, 90)], None),
        ([(SURE, 90)] * 9 + [(SURE, 40)], "fair"),
        ([(SURE, 30)] * 6 + [(SURE, 90)] * 4, "over"),
        ([(GUESS, 90)] * 10, "under"),
        ([(THINK, 70)] * 7 + [(THINK, 20)] * 3, "fair"),
        ([(GUESS, 20)] * 7 + [(GUESS, 80)] * 3, "fair"),
    ],
)
def test_what_confidence_is_worth(said: list[tuple[Sure, int]], verdict: str | None) -> None:
    """Nothing before ten; then whether the claims hold."""
    found = calibration(said)
    assert (found.verdict if found else None) == verdict


def test_each_level_is_counted() -> None:
    found = calibration([(SURE, 80)] * 5 + [(SURE, 20)] * 3 + [(GUESS, 65), (GUESS, 64)])
    assert found is not None
    assert found.levels == (Level(SURE, 8, 5, 57.5), Level(GUESS, 2, 1, 64.5))


@pytest.fixture
async def home(library: Library, database: Path) -> AsyncIterator[World]:
    async with world(library, database) as running:
        yield running


async def test_a_tap_counts_until_the_grade_is_shown(home: World) -> None:
    await home.says("/next precision")
    asked = (await home.store.recall(ANN)).open
    assert asked is not None
    await home.taps("Guessing")
    assert home.heard.startswith("Noted: guessing")
    assert "Noted: sure" in (await home.says(f"/sure {asked.id} 3"))[0].text
    home.clock.move(seconds=30)
    await home.says("precision is TP / (TP + FP), of everything flagged the share that is right")
    assert "/100" in home.heard
    assert "You know the grade of that one already" in (await home.says(f"/sure {asked.id} 1"))[0].text
    learner = (await home.store.recall(ANN)).learner
    assert learner is not None
    assert [sure for sure, _ in await home.store.sure(learner.id)] == [SURE]


@pytest.mark.parametrize("argument", ["", "nothing 3", "q 9", "sure"])
async def test_an_odd_tap_changes_nothing(home: World, argument: str) -> None:
    await home.says("/next precision")
    asked = (await home.store.recall(ANN)).open
    await home.says(f"/sure {argument}")
    assert (await home.store.recall(ANN)).open == asked


async def test_in_real_mode_a_tap_counts_until_the_end(home: World) -> None:
    await home.says("/mock 10 screening real")
    first = (await home.store.recall(ANN)).open
    assert first is not None
    home.clock.move(minutes=1)
    await home.says("It depends on the data, I would try something and see what comes of it")
    assert "Noted: think so" in (await home.says(f"/sure {first.id} 2"))[0].text
    for _ in range(8):
        home.clock.move(minutes=1)
        if (await home.store.recall(ANN)).open is not None:
            await home.says("It depends, I think, on many things that we do not know")
    assert "You know the grade" in (await home.says(f"/sure {first.id} 3"))[0].text


async def test_after_ten_progress_says_whether_sure_means_right(home: World) -> None:
    for number in range(10):
        assert "Does sure mean right?" not in (await home.says("/progress"))[0].text
        await home.says("/redo precision")
        await home.taps("Sure")
        home.clock.move(minutes=5)
        question = home.library.questions["precision"]
        await home.says(" ".join(point.statement for point in question.points) if number < 3 else "it is about many things, I would say")
        home.clock.move(minutes=5)
    heard = (await home.says("/progress"))[0].text
    assert "Does sure mean right? (10 replies; right is 65 and more)" in heard
    assert "Sure: 3 of 10 right" in heard and "You are surer than you are right" in heard
