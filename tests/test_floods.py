"""Somebody who says too much at once is slowed and told so; everybody else notices nothing, and nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random

import pytest
from worlds import MONDAY, World, sql, world

from bot.coach import Coach
from bot.content import Library
from bot.floods import KNOWN, MOST, SPAN, Floods
from bot.grading.plain import PlainGrader
from bot.messages import Address, Message
from bot.outbox import thaw

ANN, BOB = Address("paper", "ann", "ann"), Address("paper", "bob", "bob")
SLOWER = "That is more than I can take in at once."


@pytest.fixture
async def home(library: Library, url: str) -> AsyncIterator[World]:
    async with world(library, "", url=url) as made:
        yield made


@pytest.fixture
async def strict(home: World) -> AsyncIterator[World]:
    """One that takes five messages a minute."""
    home.coach = Coach(home.store, home.library, PlainGrader(), now=home.clock, rng=Random(1), most_a_minute=5)
    yield home
    await home.coach.close()


async def _takes(home: World, address: Address, texts: list[str], first: int = 0) -> None:
    """A platform's updates: kept, and then begun in their order."""
    keys = [f"{address.user}{first + number}" for number in range(len(texts))]
    for key, text in zip(keys, texts, strict=True):
        for fresh in await home.coach.take("paper", [(key, f"{address.user} {text}")], {key: address.user}):
            await home.coach.handle(Message(fresh, address, text, home.clock()))


async def _picks_up(home: World) -> int:
    """What a platform does every few seconds; returns how much it began."""
    found = await home.coach.waiting("paper")
    for key, raw in found:
        user, _, text = raw.partition(" ")
        await home.coach.handle(Message(key, Address("paper", user, user), text, home.clock()))
    return len(found)


async def _heard(home: World, address: Address) -> list[str]:
    payloads = await sql(home.store, f"SELECT payload FROM outbox WHERE chat = '{address.chat}' ORDER BY seq")
    return [thaw(payload).text for payload in payloads]


async def test_a_learner_over_twenty_messages_a_minute_is_slowed_with_a_word_and_others_are_not(home: World) -> None:
    """Fifty in a breath: twenty are answered, and he is told once; the rest in the two minutes after, in their order."""
    texts = [f"/odd{number}" for number in range(50)]
    await _takes(home, ANN, texts)
    for number in range(5):
        await _takes(home, BOB, [f"/fine{number}"], first=number)
    assert [one for one in await _heard(home, ANN) if SLOWER in one] == [(await _heard(home, ANN))[20]]
    assert len(await _heard(home, ANN)) == 21
    assert [f"/fine{number}" in one for number, one in enumerate(await _heard(home, BOB))] == [True] * 5

    await home.coach.take("paper", [("aloud", "ann /odd")], {"aloud": "ann aloud"})
    home.coach.leave("paper", "aloud")
    assert await _picks_up(home) == 0  # nothing is looked at in vain, nor what was recorded
    await home.coach.drop("paper", "aloud")
    for minute in (1, 2):
        home.clock.move(minutes=1)
        begun = -1
        while (begun and home.store.shared) or begun < 0:  # where processes share, one of each person's at a time
            begun = await _picks_up(home)
        assert len(await _heard(home, ANN)) == 1 + min(50, 20 * (minute + 1))
    answered = [one.split(".")[0].removeprefix("I don't know ") for one in await _heard(home, ANN) if SLOWER not in one]
    assert answered == texts
    assert await home.store.waiting("paper") == []


async def test_replies_to_an_open_question_are_kept_and_graded_later_in_order(strict: World) -> None:
    """What is said while something waits goes behind it, also when the minute is over."""
    await _takes(strict, ANN, [f"/help {number}" for number in range(4)])
    await _takes(strict, ANN, ["/next precision", "precision is TP / (TP + FP), of all we flagged", "/answer"], first=4)
    strict.clock.move(seconds=61)
    await _takes(strict, ANN, ["and here I go on"], first=7)
    strict.clock.move(seconds=25)
    while await _picks_up(strict):
        pass

    assert await sql(strict.store, "SELECT text FROM attempt") == ["precision is TP / (TP + FP), of all we flagged"]
    heard = await _heard(strict, ANN)
    place = {text: next(n for n, one in enumerate(heard) if text in one) for text in ("Question · ", "/100 · Precision", "Model answer")}
    assert place["Question · "] < place["/100 · Precision"] < place["Model answer"]
    assert await strict.store.waiting("paper") == []


async def test_what_no_inbox_keeps_is_answered_at_once(strict: World) -> None:
    """A terminal has nowhere to put it."""
    replies = [await strict.says(f"/odd{number}", address=ANN) for number in range(9)]

    assert all(len(one) == 1 for one in replies)


async def test_the_word_comes_once_in_a_flood_and_again_in_the_next_one(strict: World) -> None:
    for minute in range(2):
        await _takes(strict, ANN, [f"/a{minute}x{number}" for number in range(8)], first=minute * 8)
        strict.clock.move(minutes=1)
        while await _picks_up(strict) and strict.store.shared:
            pass
    strict.clock.move(minutes=1)
    while await _picks_up(strict):
        strict.clock.move(minutes=1)
    assert sum(SLOWER in one for one in await _heard(strict, ANN)) == 1

    strict.clock.move(minutes=10)
    await _takes(strict, ANN, [f"/b{number}" for number in range(6)], first=500)
    assert sum(SLOWER in one for one in await _heard(strict, ANN)) == 2


def test_the_count_is_by_person_and_minute_and_remembers_only_so_many() -> None:
    floods = Floods(2)
    for _ in range(2):
        assert not floods.closed(ANN, MONDAY)
        floods.count(ANN, MONDAY)
    assert floods.closed(ANN, MONDAY)
    assert not floods.closed(BOB, MONDAY)
    assert floods.silent("paper", MONDAY) == ["ann"]
    assert floods.silent("other", MONDAY) == []
    assert floods.left(ANN, MONDAY)
    assert not floods.left(ANN, MONDAY + timedelta(seconds=59))
    assert not floods.closed(ANN, MONDAY + SPAN)
    assert floods.late(ANN, MONDAY + SPAN)
    assert not floods.late(ANN, MONDAY + 2 * SPAN)
    assert not floods.closed(ANN, MONDAY - SPAN)  # a clock that was set back closes nobody out
    for number in range(KNOWN + 10):
        floods.count(Address("paper", str(number), ""), MONDAY)
    assert len(floods._people) == KNOWN
    assert MOST == 20
