"""What whoever runs the coach may ask of it: one screen of health, what learners sent them, and one message to everybody."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest
from worlds import ANN, MONDAY, FakeClock, World, couriers, incidents, sent_what_is_due

from adapters.discord.commands import definitions
from bot import COMMANDS
from bot.coach import Coach
from bot.content import Library
from bot.database import Database
from bot.errors import SettingsError
from bot.grading.plain import PlainGrader
from bot.messages import Address, Message, Reply
from bot.model import Changes, Learner
from bot.outbox import UNLIMITED, Lane, Owed
from bot.owners import gets, owners

OWNER = Address("telegram", "7", "7")
WORDS = "precision is TP / (TP + FP), said Ann privately"
TEXT = "Tomorrow from 6 to 7 UTC\nI move to *another* machine."
KNOWN = owners("telegram:7, discord:99")


class Paper:
    """A platform that keeps what it is sent."""

    pace = UNLIMITED

    def __init__(self, platform: str) -> None:
        self.platform = platform
        self.sent: list[tuple[str, str]] = []

    async def send(self, address: Address, reply: Reply, key: str, since: object = None) -> str:
        self.sent.append((address.chat, reply.text))
        return str(len(self.sent))


@pytest.fixture
async def home(url: str, library: Library) -> AsyncIterator[World]:
    """A coach with an owner, on each kind of database; `says` is the owner unless it says whose."""
    clock = FakeClock()
    store = await Database.open(url)
    coach = Coach(store, library, PlainGrader(), now=clock, rng=Random(1), incidents=incidents(library), owners=KNOWN)
    yield World(store, coach, clock, library, address=OWNER)
    await coach.close()
    await store.close()


async def _joins(home: World, name: str, **rest: object) -> Learner:
    address = Address("paper", name, name)
    learner = replace(Learner(name, home.clock(), address, "Europe/Berlin", minute=540), **rest)  # type: ignore[arg-type]
    await home.store.record(f"join {name}", address, Changes(learner), [], home.clock())
    return learner


# ---------------------------------------------------------------------------------------------- who


async def test_to_everybody_else_it_is_a_command_like_any_that_there_is_not(home: World) -> None:
    """Byte for byte what another word of that length gets, with and without an argument; in a group the owner too is anybody."""
    bob = Address("telegram", "8", "8")
    for address, private in ((bob, True), (Address("discord", "7", "7"), True), (Address("telegram", "8", "7x"), True), (OWNER, False),
                             (Address("telegram", "8", "-100"), False)):  # fmt: skip
        for rest in ("", " health", " broadcast hello", " send 1", f" broadcast {'long ' * 30}"):
            said = await home.says(f"/admin{rest}", address=address, private=private)
            other = await home.says(f"/odmon{rest}", address=address, private=private)
            assert [repr(one).replace("odmon", "admin") for one in other] == [repr(one) for one in said], (address, rest)

    assert await home.store.broadcasts(3) == []
    assert "admin" not in "".join(one.text for one in await home.says("/help", address=bob))
    assert "admin" not in "".join(one.text for one in await home.says("/help"))
    assert "admin" not in {command.name for command in COMMANDS}
    assert "admin" not in {command["name"] for command in definitions()}


def test_a_list_of_owners_is_read_or_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.config import settings

    assert owners("telegram:1,discord:2  console:you") == {("telegram", "1"), ("discord", "2"), ("console", "you")}
    assert owners("") == frozenset()
    monkeypatch.setenv("COACH_OWNERS", "telegram=1234")
    with pytest.raises(SettingsError, match=r"COACH_OWNERS: .*is a list such as telegram:123,discord:456") as caught:
        settings()
    assert "1234" not in str(caught.value)


async def test_an_owner_need_not_be_a_learner(home: World) -> None:
    await home.says("/admin")

    assert (await home.store.recall(OWNER)).learner is None
    assert "All is well" not in home.heard  # no tick was seen yet
    assert "the clock stands still" in home.heard


# ---------------------------------------------------------------------------------------------- numbers


async def test_health_is_one_screen_of_numbers(home: World) -> None:
    await home.says("/next precision", address=ANN)
    await home.says(WORDS, address=ANN)
    await home.coach.deliver_due(["console"])
    home.clock.move(minutes=3)
    await home.coach.deliver_due(["console"])
    await home.says("/admin health")

    told = home.heard
    assert told.startswith("All is well.\n")
    assert "Learners: 1 (1 today)\nReplies today: 1\nDue now: 0\n" in told
    assert re.search(r"Waiting: 0 updates, \d+ replies, 0 of my own; later: 0\n", told)
    assert "Last tick: just now" in told
    assert f"Grader: {PlainGrader().name}\n" in told
    assert re.search(r"Database: (SQLite|PostgreSQL), [\d.]+ .?B, schema \d{4}", told)
    assert re.search(r"Version [\w.]+, up 3 min\Z", told)
    assert ("GB free" in told or "MB free" in told) == ("SQLite" in told)
    assert len(told) < 600
    assert "private" not in told

    await home.store.record(
        "late", OWNER, Changes(), [Owed("late", Address("paper", "ann", "ann"), Lane.BULK, "daily", None)], home.clock()
    )
    (owed,) = await home.store.claim(["paper"], home.clock(), 1)
    await home.store.settle(owed, "dead", home.clock(), reason="no")
    home.clock.move(minutes=5)
    await home.says("/admin")
    assert home.heard.startswith("Look at this: the clock stands still; 1 message given up.\n")


async def test_learners_and_replies_are_counted_per_day(home: World) -> None:
    for days in range(3):
        home.clock.at = MONDAY + timedelta(days=days)
        for name in ("ann", "bob")[: days + 1]:
            person = Address("console", name, name)
            await home.says("/next precision", address=person)
            await home.says(f"{WORDS} {days}", address=person)
    await home.says("/admin learners")

    lines = home.heard.splitlines()
    assert len(lines) == 2 + 1 + 14 + 1
    assert [line.split() for line in lines[3:6]] == [
        ["25", "Nov", "0", "2", "2"], ["24", "Nov", "1", "2", "2"], ["23", "Nov", "1", "1", "1"],
    ]  # fmt: skip
    assert lines[-1].split() == ["all", "2", "5"]


async def test_appeals_and_flags_are_gathered_and_say_what_learners_sent_for_that(home: World) -> None:
    await home.says("/admin appeals")
    assert home.heard == "Nobody has appealed yet."
    await home.says("/admin flags")
    assert home.heard == "Nobody has flagged anything yet."

    await home.says("/next precision", address=ANN)
    await home.says(WORDS, address=ANN)
    await home.says("/flag the second wording is unclear", address=ANN)
    await home.says("/flagged", address=ANN)
    await home.says("/appeal", address=ANN)
    point = next(choice.text for reply in home.hears for row in reply.choices for choice in row if choice.text.startswith("/appeal "))
    await home.says(point, address=ANN)
    await home.says(WORDS[:30], address=ANN)

    await home.says("/admin flags")
    assert "precision · Precision" in home.heard
    assert "the second wording is unclear" in home.heard
    await home.says("/admin appeals")
    assert re.match(r"Appeals: 1 about 1 point\n\n1 \([01] raised\) · precision: \w", home.heard)
    assert "said Ann privately" not in home.heard


# ---------------------------------------------------------------------------------------------- to everybody


def test_who_gets_what_goes_to_everybody() -> None:
    learner = Learner("l", MONDAY, ANN, minute=540)
    today = MONDAY.date()

    assert gets(learner, today)
    assert gets(replace(learner, minute=None), today)  # the weekly message is still wanted
    assert gets(replace(learner, paused_until=today), today)
    assert not gets(replace(learner, paused_until=date.max), today)
    assert not gets(replace(learner, reachable=False), today)
    assert not gets(replace(learner, home=replace(ANN, chat="")), today)
    assert not gets(replace(learner, minute=None, week_day=None), today)


async def test_a_message_to_everybody_is_shown_first_and_comes_once_to_who_has_not_stopped(home: World) -> None:
    """However often the button is pressed, and across a restart; where it is night it waits; the owner sees how far it is."""
    for name in ("ann", "bob", "cleo"):
        await _joins(home, name)
    await _joins(home, "night", zone="Pacific/Auckland")
    await _joins(home, "paused", paused_until=date.max)
    await _joins(home, "gone", reachable=False)
    await _joins(home, "silent", minute=None, week_day=None)
    await home.says(f"/admin broadcast {TEXT}")

    assert "This goes to 4 learners:" in home.heard
    assert f"A word from whoever runs this coach\n\n{TEXT}" in home.heard
    assert "3 learners who paused, stopped or can't be reached will not get it." in home.heard
    assert await home.store.count() == {"learners": 7, "attempts": 0, "inbox": 0, "outbox ready": 1}

    paper = Paper("paper")
    async with couriers(home, [paper]) as courier:
        await sent_what_is_due(home, courier)
        assert paper.sent == []
        preview = home.hears
        first = await home.taps("Send to 4")
        home.hears = preview
        again = await home.taps("Send to 4")
        assert first[0].text == "On its way to 4 learners. /admin broadcast shows how far it is."
        assert again[0].text.startswith("That was sent already")
        await home.store.record("stops", Address("paper", "bob", "bob"), Changes(await _paused(home, "bob")), [], home.clock())
        await sent_what_is_due(home, courier)

    assert Counter(chat for chat, _ in paper.sent) <= Counter(["ann", "bob", "cleo"])
    assert {"ann", "cleo"} <= {chat for chat, _ in paper.sent}
    assert {text for _, text in paper.sent} == {
        "A word from whoever runs this coach\n\nTomorrow from 6 to 7 UTC\nI move to *another* machine."
    }
    await home.says("/admin broadcast")
    assert re.search(r"23 Nov 12:00 UTC, sent: [23] of 4 got it, 1 wait, [01] don't get it\.\nTomorrow", home.heard)

    home.clock.move(hours=20)
    async with couriers(home, [paper]) as courier:
        await sent_what_is_due(home, courier)
    assert [chat for chat, _ in paper.sent].count("night") == 1
    assert max(Counter(chat for chat, _ in paper.sent).values()) == 1


async def _paused(home: World, name: str) -> Learner:
    learner = (await home.store.recall_learner(name)).learner
    assert learner is not None
    return replace(learner, paused_until=date.max)


async def test_what_is_not_sent_yet_can_be_stopped_and_a_draft_dropped(home: World) -> None:
    await _joins(home, "ann")
    await home.says("/admin broadcast hello")
    await home.taps("Don't send")
    assert home.heard == "It is sent to nobody."
    await home.says("/admin broadcast hello again")
    await home.taps("Send to 1")
    await home.taps("Stop it")
    assert home.heard == "Stopped: who has not got it yet will not."

    paper = Paper("paper")
    async with couriers(home, [paper]) as courier:
        await sent_what_is_due(home, courier)
    assert paper.sent == []
    await home.says("/admin broadcast")
    assert "stopped: 0 of 1 got it, 0 wait, 1 don't get it" in home.heard


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("/admin broadcast hello", "There is nobody to send it to"),
        (f"/admin broadcast {'x' * 3001}", "That is 3,001 characters; 3,000 are the most"),
        ("/admin send nothing", "I don't have that message"),
        ("/admin stop nothing", "I don't have that message"),
        ("/admin drop", "I don't have that message"),
        ("/admin dance", "For you alone"),
    ],
)
async def test_what_an_owner_says_that_cannot_be_done_is_one_sentence(library: Library, database: Path, said: str, told: str) -> None:
    store = await Database.open(f"sqlite:///{database}")
    coach = Coach(store, library, PlainGrader(), now=FakeClock(), owners=KNOWN)
    (reply,) = await coach.handle(Message("1", OWNER, said, MONDAY))
    await coach.close()
    await store.close()

    assert reply.text.startswith(told)


async def test_two_processes_that_send_it_out_at_once_owe_it_once(home: World, url: str) -> None:
    for name in ("ann", "bob"):
        await _joins(home, name)
    await home.says("/admin broadcast hello")
    press = next(choice.text for row in home.hears[0].choices for choice in row if choice.label.startswith("Send"))
    other = await Database.open(url)
    there = Coach(other, home.library, PlainGrader(), now=home.clock, owners=KNOWN)

    await asyncio.gather(
        home.coach.handle(Message("t1", OWNER, press, home.clock())), there.handle(Message("t2", OWNER, press, home.clock()))
    )  # fmt: skip

    assert [one.owed for one in await home.store.broadcasts(3)] == [2]
    await there.close()
    await other.close()
