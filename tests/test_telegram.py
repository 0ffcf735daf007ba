"""The Telegram adapter as things really happen: the real client, real HTTP and a strict Bot API server on loopback."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import re
import signal
import socket
import sqlite3
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import httpx
import pytest
import structlog
from aiohttp import web
from peers.telegram import TOKEN, BotApiServer, Group, Message, Person, Tap, telegram_contract
from worlds import FakeClock, World, couriers, world

from adapters.telegram import SHORT_DESCRIPTION, Telegram
from adapters.web import serve_web
from bot import COMMANDS, Address, Choice, Pace, Reply, Span, Style, units
from bot.commands import BY_NAME, Called, understand
from bot.content import Library, Rubric
from bot.deliveries import Courier
from bot.errors import SettingsError
from bot.logs import configure
from bot.model import Changes, Finding, Grade, Verdict
from bot.outbox import Lane, Owed

CONTRACT = telegram_contract()
FAST = Pace(per_second=1e4, per_chat=1e4, burst=100, group_per_minute=1e5, in_flight=4)
MORNING = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


class Echo:
    """A grader that finds a reply's own words to be its first point, and nothing in one that begins with "nothing".

    A reply with "slowly" in it is graded when `go` is set; one with "poison" can't be graded at all.
    """

    name = "echo 1"

    def __init__(self) -> None:
        self.replies: list[str] = []
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        self.replies.append(reply)
        self.begun.set()
        if "slowly" in reply:
            await self.go.wait()
        if "poison" in reply:
            return None  # type: ignore[return-value]  # no grade at all: a grader that breaks its word
        first, *rest = [Verdict(point.id, Finding.MISSING) for point in rubric.points]
        if not reply.startswith("nothing"):
            first = Verdict(first.point, Finding.COVERED, reply, 0, len(reply), 1.0)
        return Grade(50, (first, *rest), (), self.name)


@dataclass(repr=False)
class Stage:
    """A coach at work on Telegram."""

    server: BotApiServer
    home: World
    adapter: Telegram
    courier: Courier

    async def attempts(self) -> int:
        return (await self.home.store.count())["attempts"]

    async def owes(self, state: str, number: int = 1) -> None:
        """Waits until so many messages are in this state of the outbox."""
        async with asyncio.timeout(20):
            while (await self.home.store.count()).get(f"outbox {state}", 0) < number:
                await asyncio.sleep(0.005)

    async def retries(self) -> timedelta:
        """Moves the clock to the time at which a failed message is tried again; returns how long that is."""
        now = self.home.clock()
        async with asyncio.timeout(20):
            while (due := await self.home.store.next_at(["telegram"])) is None or due <= now:
                await asyncio.sleep(0.005)
        self.home.clock.at = due
        self.courier.wake()
        return due - now

    async def comes_to(self, at: datetime) -> None:
        """It is `at`, and the coach looks at what is due."""
        self.home.clock.at = at
        await self.home.coach.deliver_due(["telegram"])
        self.courier.wake()
        await self.courier.drained()


class Home(World):
    """A world of few words: asyncio draws whatever a fixture gives, and drawing every question takes long."""

    __repr__ = object.__repr__


@asynccontextmanager
async def at_work(home: World, server: BotApiServer, **options: Any) -> AsyncIterator[Stage]:
    """The adapter and its courier, running."""
    adapter = Telegram(home.coach, TOKEN, api=api(server), pace=FAST, now=home.clock, **options)
    async with couriers(home, [adapter]) as courier:
        await adapter.start()
        running = asyncio.create_task(adapter.run())
        try:
            yield Stage(server, home, adapter, courier)
        finally:
            await adapter.stop()
            await running


def api(server: BotApiServer) -> str:
    return server.url.removesuffix("/bot")


async def ask(person: Person, text: str, *, chat: Group | None = None, reply_to: Message | None = None) -> Message:
    """What the coach says to this line, as its first message."""
    await person.says(text, chat=chat, reply_to=reply_to)
    return await person.next_message(chat=chat)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def grader() -> Echo:
    return Echo()


@pytest.fixture
async def server(clock: FakeClock) -> AsyncIterator[BotApiServer]:
    async with BotApiServer(contract=CONTRACT, now=lambda: clock().timestamp()) as running:
        yield running
        assert running.violations == []


@pytest.fixture
async def home(library: Library, database: Path, clock: FakeClock, grader: Echo) -> AsyncIterator[World]:
    async with world(library, database, clock=clock, grader=grader) as running:
        yield Home(**vars(running))


@pytest.fixture
async def stage(home: World, server: BotApiServer) -> AsyncIterator[Stage]:
    async with at_work(home, server) as running:
        yield running


@pytest.fixture
def ann(server: BotApiServer) -> Person:
    return server.person("Ann", started=True)


@pytest.fixture
def bob(server: BotApiServer) -> Person:
    return server.person("Bob", started=True)


# ---------------------------------------------------------------------------------------------- introducing itself


async def test_the_commands_and_the_short_description_are_set_at_start(stage: Stage) -> None:
    listed = [{"command": one.name, "description": one.summary} for one in COMMANDS if one.listed]

    assert stage.server.commands == listed
    assert stage.server.bot.descriptions[("short_description", "")] == SHORT_DESCRIPTION


async def test_a_coach_that_may_not_introduce_itself_still_answers(home: World, server: BotApiServer, ann: Person) -> None:
    server.fault("setMy*", status=429, retry_after=600, times=None)
    async with at_work(home, server):
        assert "How this works" in (await ask(ann, "/help")).text


# ---------------------------------------------------------------------------------------------- words and pages


WORDS = [
    '<b>x</b> & "y"',
    "&lt;b&gt; &amp;amp; &#65;",
    "</i></b> <script>",
    "*bold* _it_ ~s~ [a](tg://user?id=1)",
    "||spoiler|| `code` \\* a < b > c",
]


async def test_a_learners_words_come_back_letter_by_letter(stage: Stage, ann: Person) -> None:
    """Neither HTML nor Markdown in a learner's words becomes formatting: in a grade they are quoted in one way only."""
    for words in WORDS:
        await ask(ann, "/next precision")
        graded = await ask(ann, words)

        assert f"“{words}”" in graded.text
        assert graded.styled("italic") == [f"“{words}”"]
        assert all(words not in bold for bold in graded.styled("bold"))
        assert not [graded.styled(kind) for kind in ("text_link", "spoiler", "strikethrough", "text_mention") if graded.styled(kind)]


async def test_formatting_that_a_learner_applied_is_left_out(stage: Stage, ann: Person) -> None:
    await ask(ann, "/next precision")
    entities = [{"type": "bold", "offset": 0, "length": 4}]
    said = {"message_id": 4711, "from": ann.json, "chat": ann.chat().json, "date": stage.server.date()}
    stage.server.emit(stage.server.bot, "message", said | {"text": "bold <words>", "entities": entities})

    assert (await ann.next_message()).styled("italic") == ["“bold <words>”"]


def _long(style: Style, piece: str, times: int) -> Reply:
    reply = Reply((Span("A head", Style.BOLD), Span("\n\n"), Span(piece * times, style), Span("\nThe end.")))
    return reply.with_choices([Choice("Next question", "/next")])


LONG = {
    "sentences": _long(Style.PLAIN, "A sentence & another one <of> words. ", 300),
    "bold": _long(Style.BOLD, "bold <b>words</b> ", 600),
    "a code block": _long(Style.BLOCK, "x = a < b && c > d\n", 700),
    "emoji": _long(Style.QUOTE, "😀", 5000),
    "no place to cut": _long(Style.CODE, "&" * 5000, 1),
}


async def test_a_long_reply_is_cut_into_pages_that_each_stand_alone(stage: Stage, ann: Person) -> None:
    """No page exceeds 4096 UTF-16 units, none is cut inside a tag, no word is lost, and the buttons are under the last."""
    kinds = {Style.BOLD: "bold", Style.BLOCK: "pre", Style.QUOTE: "italic", Style.CODE: "code"}
    for what, reply in LONG.items():
        before = len(stage.server.sent(ann))
        await stage.adapter.send(Address("telegram", str(ann.id), str(ann.id)), reply, what)
        cut = stage.server.sent(ann)[before:]
        kind = kinds.get(reply.spans[2].style)

        assert len(cut) > 1, what
        assert all(units(page.text) <= 4096 for page in cut), what
        assert "".join("".join(page.text.split()) for page in cut) == "".join(reply.text.split()), what
        assert [page.buttons for page in cut] == [[]] * (len(cut) - 1) + [["Next question"]], what
        assert kind is None or all(page.styled(kind) for page in cut if page.text not in ("A head", "The end.")), what


async def test_pages_that_arrived_are_not_sent_again_with_those_that_did_not(stage: Stage, ann: Person) -> None:
    stage.server.fault("sendMessage", skip=1, status=502)
    address = Address("telegram", str(ann.id), str(ann.id))
    owed = Owed("long", address, Lane.REPLY, "reply", _long(Style.PLAIN, "Words and words. ", 600))
    await stage.home.store.record("k", address, Changes(), [owed], stage.home.clock())
    stage.courier.wake()
    await stage.retries()
    await stage.owes("sent")

    assert len(stage.server.sent(ann)) == len({page.text for page in stage.server.sent(ann)}) == 3


# ---------------------------------------------------------------------------------------------- typing


async def test_the_coach_is_seen_typing_while_it_grades(stage: Stage, ann: Person, grader: Echo) -> None:
    await ask(ann, "/next precision")
    await ann.says("I think slowly")
    await asyncio.wait_for(grader.begun.wait(), 20)

    assert await stage.server.wait_for(lambda: stage.server.actions) == [(ann.id, "typing")]
    assert ann.unread() == []

    grader.go.set()
    assert "50/100" in (await ann.next_message()).text


async def test_a_command_shows_no_typing(stage: Stage, ann: Person) -> None:
    await ask(ann, "/help")

    assert stage.server.called("sendChatAction") == []


async def test_a_reply_is_graded_where_typing_can_not_be_shown(stage: Stage, ann: Person) -> None:
    stage.server.fault("sendChatAction", times=None, status=500)
    await ask(ann, "/next precision")

    assert "50/100" in (await ask(ann, "words")).text


async def test_a_crowd_that_is_shown_typing_holds_up_no_message(stage: Stage, grader: Echo) -> None:
    """The client's connections are few, and one whose request is given up in the middle may be lost to all who come later."""
    hold = asyncio.Event()
    shown = stage.server.fault("sendChatAction", times=None, hold=hold)
    crowd = [stage.server.person("Quentin") for _ in range(60)]
    for person in crowd:
        await person.says("/next precision")
    for person in crowd:
        await person.next_message()
        await person.says("I think slowly")
    await stage.server.wait_for(lambda: len(grader.replies) == len(crowd))

    grader.go.set()
    assert all(["50/100" in (await person.next_message()).text for person in crowd])
    assert 0 < len(shown.hits) < 30
    hold.set()


# ---------------------------------------------------------------------------------------------- buttons


def press(server: BotApiServer, person: Person, message: Message, data: str, *, old: bool = False) -> Tap:
    """A press of a button that this message needn't have; of one that Telegram no longer shows to bots where `old`."""
    tap = Tap(f"{len(server.taps) + 1}", person, message, server.bot, data)
    server.taps[tap.id] = tap
    shown = {"chat": message.chat.json, "message_id": message.message_id, "date": 0} if old else message.json()
    query = {"id": tap.id, "from": person.json, "chat_instance": message.chat.instance, "message": shown, "data": data}
    server.emit(server.bot, "callback_query", query)
    return tap


STALE = {
    "/frobnicate 7": "I don't know /frobnicate",
    "/hint gone": "closed already",
    "/skip gone": "closed already",
    "/answer gone": "No question is open",
    "/deeper gone": "no further question",
    "/zone Atlantis/Capital": "I know no place like",
    "/track nothing": "What are you preparing for?",
}


async def test_a_press_of_an_unknown_or_stale_button_is_answered(stage: Stage, ann: Person) -> None:
    question = await ask(ann, "/next precision")
    for data, answer in STALE.items():
        tap = press(stage.server, ann, question, data)
        assert answer in (await ann.next_message()).text
        assert await tap.answered()

    assert await stage.attempts() == 0


async def test_a_button_a_month_old_still_works(stage: Stage, ann: Person) -> None:
    """Telegram tells then only where the message stood, not what it said."""
    question = await ask(ann, "/help")
    stage.home.clock.move(days=31)
    tap = press(stage.server, ann, question, "/next precision", old=True)

    assert (await ann.next_message()).text.startswith("Question")
    assert await tap.answered()


async def test_somebody_elses_button_in_a_group_is_answered_and_touches_nothing(stage: Stage, ann: Person, bob: Person) -> None:
    group = stage.server.group("Study", [ann, bob])
    question = await ask(ann, "/next precision", chat=group)
    assert await bob.next_message(chat=group) is question
    for label, answer in {"Hint": "closed already", "Skip": "closed already", "Show answer": "No question is open"}.items():
        tap = await bob.taps(question, label)
        assert answer in (await bob.next_message(chat=group)).text
        assert await tap.answered()
    await ann.taps(question, "Hint")
    await stage.server.wait_for(lambda: "Hint 1" in group.sent[-1].text)


async def test_a_press_too_old_to_be_answered_is_handled_all_the_same(stage: Stage, ann: Person) -> None:
    question = await ask(ann, "/next precision")
    stage.server.fault("answerCallbackQuery", status=400, description="Bad Request: query is too old")
    await ann.taps(question, "Hint")

    assert "Hint 1" in (await ann.next_message()).text


async def test_a_press_is_answered_at_the_second_try(stage: Stage, ann: Person) -> None:
    question = await ask(ann, "/next precision")
    stage.server.fault("answerCallbackQuery", status=502)
    tap = await ann.taps(question, "Hint")

    assert await tap.answered()


async def test_a_reply_does_not_wait_for_the_press_to_be_answered(stage: Stage, ann: Person) -> None:
    question = await ask(ann, "/next precision")
    go = asyncio.Event()
    stage.server.fault("answerCallbackQuery", hold=go)
    tap = await ann.taps(question, "Hint")
    assert "Hint 1" in (await ann.next_message()).text
    go.set()

    assert await tap.answered()


async def test_a_button_pressed_twice_does_its_work_once(stage: Stage, ann: Person) -> None:
    question = await ask(ann, "/next precision")
    taps = [await ann.taps(question, "Skip"), await ann.taps(question, "Skip")]
    heard = [(await ann.next_message()).text for _ in taps]
    assert "Skipped" in heard[0] and "closed already" in heard[1]

    await ask(ann, "/next precision")
    graded = await ask(ann, "words")
    taps += [await ann.taps(graded, "Go deeper"), await ann.taps(graded, "Go deeper")]
    heard = [(await ann.next_message()).text for _ in range(2)]
    assert heard[0].startswith("Follow-up") and "just above" in heard[1]

    stage.home.clock.move(seconds=10)
    taps += [await ann.taps(graded, "Next question"), await ann.taps(graded, "Next question")]
    heard = [(await ann.next_message()).text for _ in range(2)]
    assert heard[0].startswith("Question") and "just above" in heard[1]
    assert await stage.attempts() == 1
    assert all([await tap.answered() for tap in taps])


async def test_a_press_happens_when_the_coachs_clock_says(home: World, server: BotApiServer, ann: Person) -> None:
    """Telegram gives a press no time of its own."""
    home.clock.at = datetime(2020, 2, 29, 6, 30, tzinfo=UTC)
    async with at_work(home, server):
        welcome = await ask(ann, "/start")
        await ann.taps(welcome, "Berlin")

        assert "Berlin, where it is 07:30" in (await ann.next_message()).text


def _said_by(replies: tuple[Reply, ...]) -> list[Choice]:
    return [choice for reply in replies for row in reply.choices for choice in row]


async def test_every_button_that_the_coach_ever_shows_fits_and_is_understood(library: Library, database: Path) -> None:
    """Every command with and without words, every zone and every question's whole course: at most 64 bytes a button."""
    shown = [Choice(zone, f"/zone {zone}") for zone in available_timezones()]
    async with world(library, database, grader=Echo(), url="sqlite://") as home:
        for name in (*BY_NAME, "hepl", "x" * 32):
            for words in ("", "gone", "é" * 200):
                shown += _said_by(await home.says(f"/{name} {words}"))
        for line in ("/zone IST", "/zone CST", "/pause 5", "/daily off", "/next quantum", "/streak", "/cancel"):
            shown += _said_by(await home.says(line))
        for language in ("", "en", "de", "es", "pt-br", "hi", "zh-hans", "ru", "fr", "ar", "ja"):
            shown += _said_by(await home.says("/start", language=language))
        for line in ("Berlin", "9:00", "/track all", "3"):
            shown += _said_by(await home.says(line))
        for question in library.questions:
            for line in (f"/next {question}", "/hint", "nothing", "/deeper"):
                shown += _said_by(await home.says(line))
        shown += _said_by(await home.says("idk"))

    assert len(library.questions) >= 55 and len(shown) > 1000
    assert {"Hint", "Another hint", "Skip", "Show answer", "Go deeper", "Model answer", "Resume now"} <= {one.label for one in shown}
    for one in shown:
        assert 1 <= len(one.text.encode()) <= 64
        assert 1 <= len(one.label) <= 64
        assert isinstance(understand(one.text), Called)


# ---------------------------------------------------------------------------------------------- other things than text


async def test_what_is_not_text_gets_one_clear_sentence(stage: Stage, ann: Person) -> None:
    """A caption is not read as a reply or as a command, and the question stays open."""
    await ask(ann, "/next precision")
    sent = {
        "photo": ann.sends_photo,
        "photo again": lambda: ann.sends_photo(caption="precision is TP / (TP + FP)"),
        "sticker": ann.sends_sticker,
        "document": lambda: ann.sends_document(b"%PDF", "cv.pdf", caption="/skip"),
    }
    for name, send in sent.items():
        await send()
        assert (await ann.next_message()).text == f"I can't read a {name.removesuffix(' again')} yet. Please type your reply."
    await ann.sends_voice()
    assert (await ann.next_message()).text == "I can't hear voice notes here yet. Please type your reply."

    assert "50/100" in (await ask(ann, "and the question is still open")).text
    assert await stage.attempts() == 1


async def test_an_edited_message_and_a_pinned_one_say_nothing(stage: Stage, ann: Person) -> None:
    await ask(ann, "/next precision")
    said = await ann.says("words")
    graded = await ann.next_message()
    await ann.edits(said, "better words")
    service = said.json() | {"message_id": 4711, "pinned_message": graded.json()}
    stage.server.emit(stage.server.bot, "message", {key: value for key, value in service.items() if key != "text"})

    assert "How this works" in (await ask(ann, "/help")).text
    assert await stage.attempts() == 1


# ---------------------------------------------------------------------------------------------- groups


async def test_a_command_in_a_group_is_answered_there(stage: Stage, ann: Person) -> None:
    group = stage.server.group("Study", [ann])
    for name in ("/next", "/next@coach_test_bot", "/NEXT@Coach_Test_Bot", "@coach_test_bot /next"):
        stage.home.clock.move(seconds=10)
        assert (await ask(ann, f"{name} precision", chat=group)).text.startswith("Question")

    assert ann.unread() == []


@pytest.mark.parametrize("admin", [False, True], ids=["in privacy mode", "as an administrator who reads everything"])
async def test_what_is_not_meant_for_the_coach_is_ignored_in_a_group(stage: Stage, ann: Person, bob: Person, admin: bool) -> None:
    group = stage.server.group("Study", [ann, bob], admin=admin)
    question = await ask(ann, "/next precision", chat=group)
    said = await bob.says("what do you think?", chat=group)
    for text in ("/next@other_bot", "words among people", "@someone_else words", "coach_test_bot", "mail me@coach_test_bot2"):
        await ann.says(text, chat=group)
    await ann.says("words to Bob", chat=group, reply_to=said)
    await ann.sends_photo(chat=group, caption="our whiteboard")
    await ann.sends_sticker(chat=group)
    await bob.adds_bot(group)

    assert "How this works" in (await ask(ann, "/help@coach_test_bot", chat=group)).text
    assert group.sent[0] is question and len(group.sent) == 2
    assert await stage.attempts() == 0


async def test_a_mention_and_a_reply_to_the_coach_are_replies_to_the_question(stage: Stage, ann: Person, grader: Echo) -> None:
    group = stage.server.group("Study", [ann])
    await ask(ann, "/next precision", chat=group)
    assert "50/100" in (await ask(ann, "@Coach_Test_Bot my words", chat=group)).text
    question = await ask(ann, "/next recall", chat=group)
    assert "50/100" in (await ask(ann, "other words", chat=group, reply_to=question)).text

    assert grader.replies == ["my words", "other words"]


async def test_a_picture_for_the_coach_in_a_group_is_answered(stage: Stage, ann: Person) -> None:
    group = stage.server.group("Study", [ann], admin=True)
    await ann.sends_photo(chat=group, caption="@coach_test_bot look")

    assert "I can't read a photo yet" in (await ann.next_message(chat=group)).text


async def test_start_in_a_group_points_to_the_private_chat(stage: Stage, ann: Person) -> None:
    group = stage.server.group("Study", [ann])

    assert (await ask(ann, "/start@coach_test_bot", chat=group)).text == "/start is for the two of us: write to me in private."


async def test_what_is_asked_in_a_group_is_graded_in_private_too(stage: Stage, ann: Person) -> None:
    """A learner is one person wherever they write."""
    group = stage.server.group("Study", [ann])
    await ask(ann, "/next precision", chat=group)

    assert "50/100" in (await ask(ann, "words")).text


@pytest.mark.parametrize(
    "said",
    ["/next", "/start", "@coach_test_bot hello", "/daily 09:00 UTC"],
)
async def test_the_daily_question_never_goes_to_a_group(stage: Stage, ann: Person, said: str) -> None:
    """Not even to somebody who has never written in private."""
    group = stage.server.group("Study", [ann])
    await ask(ann, said, chat=group)
    for day in range(2):
        await stage.comes_to(MORNING + day * DAY)

    assert len(group.sent) == 1


async def test_a_group_is_nobodys_home(stage: Stage, ann: Person) -> None:
    group = stage.server.group("Study", [ann])
    await ask(ann, "/next", chat=group)
    learner = (await stage.home.store.recall(Address("telegram", str(ann.id), str(group.id)))).learner

    assert learner is None or learner.home.chat != str(group.id)


async def test_a_learner_in_a_group_gets_the_daily_question_in_private(stage: Stage, ann: Person) -> None:
    group = stage.server.group("Study", [ann])
    await ask(ann, "/daily 09:00 UTC")
    await ask(ann, "/next", chat=group)
    await stage.comes_to(MORNING)

    assert (await ann.next_message()).text.startswith("Question of the day")
    assert len(group.sent) == 1


async def test_a_group_that_threw_the_coach_out_costs_nobody_their_daily_question(stage: Stage, ann: Person, bob: Person) -> None:
    group = stage.server.group("Study", [ann, bob])
    await ask(ann, "/daily 09:00 UTC")
    stage.server.fault("sendMessage", chat=group, forbidden=True)
    await ann.says("/next", chat=group)
    await stage.owes("gone")
    await bob.removes_bot(group)
    await stage.comes_to(MORNING)

    assert (await ann.next_message(timeout=0.5)).text.startswith("Question of the day")


# ---------------------------------------------------------------------------------------------- order


async def test_a_slow_grade_of_one_learner_delays_nobody_else(stage: Stage, ann: Person, bob: Person, grader: Echo) -> None:
    await ask(ann, "/next precision")
    await ask(bob, "/next precision")
    await ann.says("I think slowly")
    await asyncio.wait_for(grader.begun.wait(), 20)

    assert "50/100" in (await ask(bob, "words")).text
    assert ann.unread() == []

    grader.go.set()
    assert "50/100" in (await ann.next_message()).text


async def test_one_learners_messages_are_answered_in_their_order(stage: Stage, ann: Person, grader: Echo) -> None:
    """Also where they were sent within a second, a press between them, and the first one takes long."""
    question = await ask(ann, "/next precision")
    await ann.says("I think slowly")
    await ann.taps(question, "Hint")
    await ann.says("/help")
    await ann.says("/next recall")
    await ann.says("a second one")
    await asyncio.wait_for(grader.begun.wait(), 20)
    grader.go.set()
    heard = [(await ann.next_message()).text for _ in range(5)]

    assert "slowly" in heard[0] and "closed already" in heard[1] and "How this works" in heard[2]
    assert heard[3].startswith("Question") and "a second one" in heard[4]


async def test_many_lines_at_once_are_answered_in_their_order(stage: Stage, ann: Person) -> None:
    for number in range(12):
        await ann.says(f"/zone nowhere{number}")
    heard = [(await ann.next_message()).text for _ in range(12)]

    assert [int(re.findall(r"nowhere(\d+)", text)[0]) for text in heard] == list(range(12))


# ---------------------------------------------------------------------------------------------- twice, and never


async def test_an_update_delivered_twice_is_answered_once(stage: Stage, ann: Person, grader: Echo) -> None:
    await ask(ann, "/next precision")
    await ann.says("I think slowly")
    update = stage.server.updates[-1]
    await asyncio.wait_for(grader.begun.wait(), 20)
    stage.server.redeliver(update)
    await stage.server.wait_for(lambda: not stage.server.bot.again)
    grader.go.set()
    assert "50/100" in (await ann.next_message()).text
    stage.server.redeliver(update)
    await stage.server.wait_for(lambda: not stage.server.bot.again)

    assert "How this works" in (await ask(ann, "/help")).text
    assert await stage.attempts() == 1


async def test_an_update_delivered_again_after_a_restart_is_answered_once(
    library: Library, database: Path, clock: FakeClock, server: BotApiServer, ann: Person
) -> None:
    async with world(library, database, clock=clock, grader=Echo()) as home, at_work(home, server):
        question = await ask(ann, "/next precision")
        tap = await ann.taps(question, "Hint")
        await ann.next_message()
        await tap.answered()
        await ask(ann, "words")
    async with world(library, database, clock=clock, grader=Echo()) as home:
        for update in server.updates:
            server.redeliver(update)
        async with at_work(home, server) as stage:
            assert "How this works" in (await ask(ann, "/help")).text
            assert await stage.attempts() == 1
            assert len(server.sent(ann)) == 4


async def test_an_update_that_was_taken_and_not_handled_is_handled_after_the_restart(
    library: Library, database: Path, clock: FakeClock, server: BotApiServer, ann: Person, bob: Person
) -> None:
    """The process may be killed at any moment after Telegram was told that the update arrived."""
    async with world(library, database, clock=clock, grader=Echo()) as home:
        async with at_work(home, server):
            await ask(ann, "/next precision")
        await ann.says("my words")
        await bob.says("/help")
        raw = [(str(update["update_id"]), json.dumps(update)) for update in server.updates[-2:]]
        await home.coach.take("telegram", raw)
        server.bot.queue.clear()
    async with world(library, database, clock=clock, grader=Echo()) as home, at_work(home, server) as stage:
        assert "50/100" in (await ann.next_message()).text
        assert "How this works" in (await bob.next_message()).text
        await stage.courier.drained()
        assert await stage.home.store.waiting("telegram") == []
        assert len(server.sent(bob)) == 1


def rename(database: Path, table: str, name: str) -> None:
    """Takes a table away from under the coach, or gives it back."""
    with closing(sqlite3.connect(database)) as file:
        file.execute(f"ALTER TABLE {table} RENAME TO {name}")
        file.commit()


async def test_an_update_is_not_confirmed_before_it_is_kept(stage: Stage, database: Path, ann: Person) -> None:
    """While the database is away Telegram keeps the updates; afterwards they are handled."""
    await stage.server.wait_for(lambda: stage.server.bot.poll)
    await asyncio.to_thread(rename, database, "inbox", "away")
    await ann.says("/help")
    await stage.server.wait_for(lambda: not stage.adapter.connected)
    assert len(stage.server.bot.queue) == 1

    await asyncio.to_thread(rename, database, "away", "inbox")
    assert "How this works" in (await ann.next_message()).text


async def test_a_message_that_breaks_the_coach_gets_an_apology_and_stops_nothing(stage: Stage, ann: Person) -> None:
    await ask(ann, "/next precision")

    assert "Something went wrong on my side" in (await ask(ann, "poison")).text
    assert "50/100" in (await ask(ann, "words")).text


async def test_an_update_that_the_library_can_not_read_ends_nothing(stage: Stage, ann: Person) -> None:
    await stage.server.wait_for(lambda: stage.server.bot.poll)
    stage.server.emit(stage.server.bot, "message", {"message_id": 1})
    await stage.server.wait_for(lambda: not stage.adapter.connected)
    stage.server.bot.queue.clear()

    assert "How this works" in (await ask(ann, "/help")).text


# ---------------------------------------------------------------------------------------------- connecting


@pytest.mark.parametrize("token", ["1000000001:AAanother_token_that_nobody_knows_of_1", "no-token", "1:with space", "1:AA\n", "1:AA/../x"])
async def test_a_wrong_token_is_told_in_a_sentence_without_it(server: BotApiServer, token: str) -> None:
    with pytest.raises(SettingsError, match="COACH_TELEGRAM_TOKEN") as caught:
        await _start_and_stop(Telegram(None, token, api=api(server)))  # type: ignore[arg-type]

    assert token.strip() not in "".join(traceback.format_exception(caught.value))


async def _start_and_stop(adapter: Telegram) -> None:
    try:
        async with asyncio.timeout(20):
            await adapter.start()
    finally:
        await adapter.stop()


async def test_a_token_that_is_revoked_ends_the_adapter_with_a_sentence(home: World, server: BotApiServer, ann: Person) -> None:
    adapter = Telegram(home.coach, TOKEN, api=api(server), pace=FAST)
    async with couriers(home, [adapter]):
        await adapter.start()
        running = asyncio.create_task(adapter.run())
        await ask(ann, "/help")
        server.revoke()
        await ann.says("/help")
        with pytest.raises(SettingsError, match="Telegram refuses COACH_TELEGRAM_TOKEN"):
            await asyncio.wait_for(running, 20)
        await adapter.stop()


FAILURES: dict[str, dict[str, Any]] = {
    "another program polls": {"status": 409},
    "500": {"status": 500},
    "a proxy's page": {"status": 502, "malformed": True},
    "half an answer": {"malformed": True},
    "cut": {"cut": True},
    "cut in the middle": {"when": "middle"},
    "flood limit": {"retry_after": 1},
}


async def test_polling_goes_on_after_a_failure(stage: Stage, ann: Person) -> None:
    for what, fault in FAILURES.items():
        await stage.server.wait_for(lambda: stage.server.bot.poll)
        broken = stage.server.fault("getUpdates", **fault)
        for line in ("/help", "/topics"):  # the one that is open carries the first
            await ask(ann, line)

        assert len(broken.hits) == 1, what
        await stage.server.wait_for(lambda: stage.adapter.connected)


async def test_a_second_program_with_the_same_token_is_waited_out(stage: Stage, ann: Person) -> None:
    await stage.server.wait_for(lambda: stage.server.bot.poll)
    async with httpx.AsyncClient(verify=False) as other:
        taken = await other.get(f"{stage.server.url}{TOKEN}/getUpdates", params={"timeout": 0})
        assert taken.status_code == 200
        await stage.server.wait_for(lambda: not stage.adapter.connected)

    assert "How this works" in (await ask(ann, "/help")).text
    assert any(call.status == 409 for call in stage.server.called("getUpdates"))


async def test_telegram_may_come_after_the_coach_and_go_away_for_a_while(home: World, server: BotApiServer, ann: Person) -> None:
    adapter = Telegram(home.coach, TOKEN, api=api(server), pace=FAST, now=home.clock)
    await server.stop()
    async with couriers(home, [adapter]):
        starting = asyncio.create_task(adapter.start())
        await asyncio.sleep(0)
        await server.start()
        await asyncio.wait_for(starting, 10)
        running = asyncio.create_task(adapter.run())
        assert "How this works" in (await ask(ann, "/help")).text
        await server.stop()
        await server.start()
        assert "How this works" in (await ask(ann, "/help")).text
        await adapter.stop()
        await running


@pytest.mark.parametrize("hanging", [False, True], ids=["away", "hanging"])
async def test_stopping_does_not_wait_for_a_telegram_that_never_answered(home: World, server: BotApiServer, hanging: bool) -> None:
    fault = server.fault("getMe", times=None, **({"hold": asyncio.Event()} if hanging else {"status": 503}))
    adapter = Telegram(home.coach, TOKEN, api=api(server))

    async def whole() -> None:
        await adapter.start()
        await adapter.run()

    living = asyncio.create_task(whole())
    await asyncio.wait_for(fault.reached.wait(), 20)
    async with asyncio.timeout(3):
        await adapter.stop()
        await living


async def test_polling_begins_with_the_end_of_a_webhook(home: World, server: BotApiServer, ann: Person) -> None:
    async with httpx.AsyncClient(verify=False) as before:
        await before.get(f"{server.url}{TOKEN}/setWebhook", params={"url": "https://coach.example.org/telegram"})
    async with at_work(home, server):
        assert "How this works" in (await ask(ann, "/help")).text


async def test_nothing_but_messages_presses_and_blocks_is_asked_for(stage: Stage) -> None:
    await stage.server.wait_for(lambda: stage.server.called("getUpdates"))

    assert stage.server.bot.allowed == {"message", "callback_query", "my_chat_member"}


# ---------------------------------------------------------------------------------------------- sending


async def test_a_flood_limit_is_obeyed_to_the_second(stage: Stage, ann: Person) -> None:
    stage.server.fault("sendMessage", retry_after=7)
    await ann.says("/help")
    pause = await stage.retries()

    assert pause == timedelta(seconds=7)
    assert "How this works" in (await ann.next_message()).text
    await stage.courier.drained()
    assert len(stage.server.called("sendMessage")) == 2


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"status": 502, "malformed": True}, {"status": 503, "times": 3}, {"cut": True}],
    ids=["500", "a proxy's page", "503 three times", "cut before it arrived"],
)
async def test_a_message_that_did_not_arrive_is_sent_again(stage: Stage, ann: Person, fault: dict[str, Any]) -> None:
    broken = stage.server.fault("sendMessage", **fault)
    await ann.says("/help")
    for _ in range(fault.get("times", 1)):
        await stage.retries()
        await stage.server.wait_for(lambda: all(call.done for call in broken.hits))

    assert "How this works" in (await ann.next_message()).text
    await stage.courier.drained()
    assert len(stage.server.sent(ann)) == 1


@pytest.mark.parametrize(
    "fault",
    [{"when": "after", "cut": True}, {"when": "middle"}, {"malformed": True}],
    ids=["cut after it arrived", "cut in the middle of the answer", "half an answer"],
)
async def test_a_message_of_which_nobody_knows_is_sent_once_more_at_most(stage: Stage, ann: Person, fault: dict[str, Any]) -> None:
    stage.server.fault("sendMessage", times=None, **fault)
    await ann.says("/help")
    await stage.retries()
    await stage.owes("dead")

    assert len(stage.server.sent(ann)) == 2


async def test_a_message_waits_for_a_connection(stage: Stage, ann: Person) -> None:
    await stage.server.stop()
    address = Address("telegram", str(ann.id), str(ann.id))
    await stage.home.says("/help", address=address)
    await stage.owes("retry")
    await stage.server.start()
    await stage.retries()

    assert "How this works" in (await ann.next_message()).text
    await stage.courier.drained()
    assert len(stage.server.sent(ann)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 403},
        {"status": 403, "description": "Forbidden: user is deactivated"},
        {"status": 403, "description": "Forbidden: bot can't initiate conversation with a user"},
        {"status": 400, "description": "Bad Request: chat not found"},
    ],
    ids=["blocked", "deactivated", "never started", "chat not found"],
)
async def test_somebody_who_can_not_be_reached_is_left_alone_until_they_write(
    stage: Stage, ann: Person, bob: Person, fault: dict[str, Any]
) -> None:
    for person in (ann, bob):
        await ask(person, "/daily 09:00 UTC")
    stage.server.fault("sendMessage", chat=ann, **fault)
    await stage.comes_to(MORNING)
    assert (await bob.next_message()).text.startswith("Question of the day")
    await stage.comes_to(MORNING + DAY)
    assert (await bob.next_message()).text.startswith("Question of the day")
    assert ann.unread() == []

    assert "How this works" in (await ask(ann, "/help")).text
    await stage.comes_to(MORNING + 2 * DAY)
    assert (await ann.next_message()).text.startswith("Question of the day")


async def test_blocking_the_coach_stops_the_daily_question_until_they_write(stage: Stage, ann: Person, bob: Person) -> None:
    for person in (ann, bob):
        await ask(person, "/daily 09:00 UTC")
    await ann.blocks_bot()
    await ask(bob, "/help")
    await stage.comes_to(MORNING)
    assert (await bob.next_message()).text.startswith("Question of the day")
    assert [call.status for call in stage.server.called("sendMessage") if call.number("chat_id") == ann.id] == [200]

    await ann.unblocks_bot()
    await ask(ann, "/help")
    await stage.comes_to(MORNING + DAY)
    assert (await ann.next_message()).text.startswith("Question of the day")


async def test_a_message_that_telegram_will_never_take_stops_no_later_one(stage: Stage, ann: Person) -> None:
    stage.server.fault("sendMessage", status=400, description="Bad Request: can't parse entities")
    await ann.says("/help")
    await stage.owes("dead")

    assert "What I ask about" in (await ask(ann, "/topics")).text


async def test_stopping_waits_for_the_message_that_is_being_sent(
    library: Library, database: Path, clock: FakeClock, server: BotApiServer, ann: Person
) -> None:
    """It would come a second time after the restart otherwise."""
    go = asyncio.Event()
    async with world(library, database, clock=clock, grader=Echo()) as home, at_work(home, server) as stage:
        held = server.fault("sendMessage", hold=go)
        await ann.says("/help")
        await asyncio.wait_for(held.reached.wait(), 20)
        stopping = asyncio.create_task(stage.adapter.stop())
        asyncio.get_running_loop().call_later(0.1, go.set)
        await asyncio.wait_for(stopping, 20)
    async with world(library, database, clock=clock, grader=Echo()) as home, at_work(home, server) as stage:
        clock.move(minutes=5)
        stage.courier.wake()
        assert "How this works" in (await ann.next_message()).text
        assert "What I ask about" in (await ask(ann, "/topics")).text
        assert len(server.sent(ann)) == 2


# ---------------------------------------------------------------------------------------------- by webhook


@pytest.fixture
async def hooked(home: World, server: BotApiServer) -> AsyncIterator[Hooked]:
    """A coach that is posted its updates."""
    adapter = Telegram(
        home.coach, TOKEN, api=api(server), pace=FAST, now=home.clock, webhook_url="https://coach.example.org", webhook_secret="se-cr_3t"
    )
    async with couriers(home, [adapter]) as courier, serve_web(0, adapter.routes()) as port, httpx.AsyncClient(verify=False) as telegram:
        await adapter.start()
        running = asyncio.create_task(adapter.run())
        await server.wait_for(lambda: server.bot.webhook)
        yield Hooked(server, home, adapter, courier, f"http://127.0.0.1:{port}", telegram)
        await adapter.stop()
        await running


@dataclass(repr=False)
class Hooked(Stage):
    """A coach that Telegram posts to; a test posts in its place."""

    base: str
    telegram: httpx.AsyncClient

    async def posts(self, body: object, secret: str | bytes | None = "se-cr_3t", path: str = "") -> int:
        """Posts as Telegram does; returns the status."""
        headers = [(b"Content-Type", b"application/json")]
        if secret is not None:
            headers.append((b"X-Telegram-Bot-Api-Secret-Token", secret if isinstance(secret, bytes) else secret.encode()))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = self.base + (path or f"/telegram/{self.adapter.webhook_path}")
        answer = await self.telegram.post(url, content=content, headers=headers)
        return answer.status_code


async def test_the_webhook_is_set_with_its_secret(hooked: Hooked) -> None:
    await hooked.server.settled()  # the answer has arrived
    hook = hooked.server.bot.webhook
    assert hook is not None

    assert (hook.url, hook.secret) == (f"https://coach.example.org/telegram/{hooked.adapter.webhook_path}", "se-cr_3t")
    assert hooked.server.bot.allowed == {"message", "callback_query", "my_chat_member"}
    assert TOKEN.split(":")[1] not in hook.url
    assert hooked.server.called("getUpdates") == []
    assert hooked.adapter.connected


async def test_a_forged_update_is_turned_away(hooked: Hooked, ann: Person) -> None:
    await ann.says("/help")
    for secret in (None, "", "forged", "se-cr_3", b"se-cr_\xff"):
        assert await hooked.posts(hooked.server.updates[-1], secret) == 403, secret

    assert (await hooked.home.store.count())["learners"] == 0


BODIES: list[object] = [
    b"", b"no", b"\xff\xfe", b"[" * 99_999, b'{"update_id": Infinity}', [], {}, 7, {"update_id": "x"}, {"update_id": None},
]  # fmt: skip


async def test_a_body_that_is_no_update_is_refused(hooked: Hooked) -> None:
    for body in BODIES:
        assert await hooked.posts(body) == 400, body


async def test_only_the_one_path_is_there(hooked: Hooked, ann: Person) -> None:
    await ann.says("/help")

    assert await hooked.posts(hooked.server.updates[-1], path="/telegram/guessed") == 404
    assert await hooked.posts(b"x" * 2_000_000) in (400, 413)


async def test_an_update_posted_twice_is_handled_once(hooked: Hooked, ann: Person) -> None:
    await ann.says("/next precision")
    await hooked.posts(hooked.server.updates[-1])
    await ann.next_message()
    await ann.says("words")
    posted = await asyncio.gather(*(hooked.posts(hooked.server.updates[-1]) for _ in range(3)))
    assert "50/100" in (await ann.next_message()).text
    posted.append(await hooked.posts(hooked.server.updates[-1]))
    await ann.says("/help")
    await hooked.posts(hooked.server.updates[-1])

    assert posted == [200] * 4
    assert "How this works" in (await ann.next_message()).text
    assert await hooked.attempts() == 1


async def test_telegram_is_told_that_an_update_arrived_when_it_is_kept_and_not_before(
    hooked: Hooked, ann: Person, grader: Echo, database: Path
) -> None:
    await ann.says("/next precision")
    await hooked.posts(hooked.server.updates[-1])
    await ann.next_message()
    await ann.says("I think slowly")
    update = hooked.server.updates[-1]
    await asyncio.to_thread(rename, database, "inbox", "away")
    assert await hooked.posts(update) == 503

    await asyncio.to_thread(rename, database, "away", "inbox")
    assert await hooked.posts(update) == 200
    assert await hooked.home.store.waiting("telegram") == [(str(update["update_id"]), json.dumps(update))]
    grader.go.set()
    assert "50/100" in (await ann.next_message()).text
    await hooked.courier.drained()
    assert await hooked.home.store.waiting("telegram") == []


async def test_an_update_that_nobody_understands_is_dropped(hooked: Hooked, ann: Person) -> None:
    assert await hooked.posts({"update_id": 5, "message": {"message_id": 1}}) == 200
    assert await hooked.posts({"update_id": 6, "a_later_invention": {}}) == 200
    await ann.says("/help")
    await hooked.posts(hooked.server.updates[-1])
    await ann.next_message()
    await hooked.courier.drained()

    assert await hooked.home.store.waiting("telegram") == []


async def test_an_update_posted_before_the_coach_has_started_is_handled_when_it_has(
    home: World, server: BotApiServer, ann: Person, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits in the inbox, and no turn is begun that would have to fail."""
    adapter = Telegram(home.coach, TOKEN, api=api(server), pace=FAST, webhook_url="https://coach.example.org", webhook_secret="s")
    async with couriers(home, [adapter]) as courier, serve_web(0, adapter.routes()) as port, httpx.AsyncClient(verify=False) as telegram:
        stage = Hooked(server, home, adapter, courier, f"http://127.0.0.1:{port}", telegram)
        await ann.says("/help")
        assert await stage.posts(server.updates[-1], "s") == 200
        await adapter.start()
        assert "How this works" in (await ann.next_message()).text
        await adapter.stop()
        assert len(server.sent(ann)) == 1
    gc.collect()  # a task whose failure nobody looked at complains when it is thrown away
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_a_conversation_by_webhook(home: World, server: BotApiServer, ann: Person) -> None:
    """Telegram posts to the coach's own port, in order, and again where it was not taken."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    adapter = Telegram(home.coach, TOKEN, api=api(server), pace=FAST, now=home.clock, webhook_url=f"http://127.0.0.1:{port}")
    async with couriers(home, [adapter]), serve_web(port, adapter.routes()) as listening:
        assert listening == port
        await adapter.start()
        running = asyncio.create_task(adapter.run())
        question = await ask(ann, "/next precision")
        await ann.taps(question, "Hint")
        assert "Hint 1" in (await ann.next_message()).text
        assert "50/100" in (await ask(ann, "words")).text
        await adapter.stop()
        await running


async def test_a_port_that_is_taken_is_told_in_a_sentence() -> None:
    async def nothing(request: web.Request) -> web.Response:
        return web.Response()

    async with serve_web(0, [web.get("/", nothing)]) as port:
        with pytest.raises(SettingsError, match=f"COACH_PORT {port} can't be used"):
            async with serve_web(port, [web.get("/", nothing)]):
                pass
    async with serve_web(0, []) as port:
        assert port == 0


async def test_a_secret_that_telegram_would_not_take_is_told_at_once(home: World) -> None:
    with pytest.raises(SettingsError, match="COACH_TELEGRAM_WEBHOOK_SECRET") as caught:
        Telegram(home.coach, TOKEN, webhook_url="https://coach.example.org", webhook_secret="not allowed!")

    assert "not allowed!" not in str(caught.value)


# ---------------------------------------------------------------------------------------------- the daily question


async def test_the_daily_question_arrives_at_its_time_and_is_followed_up_once(stage: Stage, ann: Person) -> None:
    await ask(ann, "/daily 10:30 Berlin")
    due = MORNING + timedelta(minutes=30)
    await stage.comes_to(due - timedelta(seconds=1))
    assert ann.unread() == []

    await stage.comes_to(due)
    daily = await ann.next_message()
    assert daily.text.startswith("Question of the day")
    assert daily.buttons == ["Hint", "Skip", "Show answer", "Sure", "Think so", "Guessing"]
    stage.home.clock.move(minutes=5)
    assert "50/100" in (await ask(ann, "nothing that was asked for")).text
    follow_up = await ann.next_message()
    assert follow_up.text.startswith("Follow-up")
    assert follow_up.buttons == ["Skip", "Show answer"]
    stage.home.clock.move(minutes=1)
    assert "follow-up" in (await ask(ann, "nothing again")).text

    await stage.comes_to(due + timedelta(hours=5))
    assert ann.unread() == []
    await stage.comes_to(due + DAY)
    assert (await ann.next_message()).text.startswith("Question of the day")


async def test_the_daily_question_is_not_lost_while_telegram_is_away(stage: Stage, ann: Person) -> None:
    await ask(ann, "/daily 09:00 UTC")
    stage.server.fault("sendMessage", status=503)
    stage.home.clock.at = MORNING
    await stage.home.coach.deliver_due(["telegram"])
    await stage.retries()

    assert (await ann.next_message()).text.startswith("Question of the day")
    await stage.courier.drained()
    assert len(stage.server.sent(ann)) == 2


# ---------------------------------------------------------------------------------------------- what is logged


@contextmanager
def talkative() -> Iterator[None]:
    """Logs as `coach run` writes them, as talkative as they can be set."""
    root, level, quiet = logging.getLogger(), logging.getLogger().level, logging.getLogger("httpx").level
    handlers = list(root.handlers)
    configure("debug", json=True)
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.getLogger("httpx").setLevel(quiet)


async def test_nothing_but_ids_is_logged(
    capfd: pytest.CaptureFixture[str], library: Library, database: Path, clock: FakeClock, server: BotApiServer
) -> None:
    """Not in a good hour and not in a bad one: no word, no name, no token."""
    zoe = server.person("Zoefirstname", username="zoe_username", started=True)
    group = server.group("Grouptitle", [zoe], admin=True)
    with talkative():
        async with world(library, database, clock=clock, grader=Echo()) as home, at_work(home, server) as stage:
            await ask(zoe, "/next precision")
            graded = await ask(zoe, "wordsofalearner")
            await ask(zoe, "/next recall")
            assert "went wrong" in (await ask(zoe, "poison wordsofalearner")).text
            await zoe.taps(graded, "Go deeper")
            await zoe.next_message()
            await ask(zoe, "/zone wordsofalearner")
            await zoe.says("wordsofalearner", chat=group)
            await ask(zoe, "@coach_test_bot wordsofalearner", chat=group)
            for cut in (False, True):
                server.fault("sendMessage", cut=cut, malformed=not cut)
                await zoe.says("/zone wordsofalearner")
                await stage.retries()
                await zoe.next_message()
                await stage.courier.drained()
                for _ in zoe.unread():
                    await zoe.next_message()
            for status, state in ((400, "dead"), (403, "gone")):
                server.fault("sendMessage", status=status, description=f"{status}: refused")
                await zoe.says("/zone wordsofalearner")
                await stage.owes(state)
            await stage.courier.drained()
            await ask(zoe, "/help wordsofalearner")
            await server.wait_for(lambda: server.bot.poll)
            server.fault("getUpdates", times=2, malformed=True)
            await ask(zoe, "/zone wordsofalearner")
            await ask(zoe, "/zone wordsofalearner")
            await server.wait_for(lambda: stage.adapter.connected and server.bot.poll)
            server.emit(server.bot, "message", {"message_id": 1, "text": "wordsofalearner", "from": zoe.json})
            await server.wait_for(lambda: not stage.adapter.connected)
            server.bot.queue.clear()
            await ask(zoe, "/help")
    said = "".join(capfd.readouterr())

    assert "turn failed" in said and "no updates" in said and "message given up" in said and "address gone" in said
    for secret in ("wordsofalearner", "Zoefirstname", "zoe_username", "Grouptitle", TOKEN, TOKEN.split(":")[1]):
        assert secret not in said


# ---------------------------------------------------------------------------------------------- the whole process


@asynccontextmanager
async def process(server: BotApiServer, database: Path, token: str = TOKEN) -> AsyncIterator[asyncio.subprocess.Process]:
    """`coach run`, with logs as talkative as they can be set."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COACH_", "PTB_"))}
    env |= {
        "COACH_TELEGRAM_TOKEN": token, "COACH_TELEGRAM_API": api(server), "COACH_DATABASE": f"sqlite:///{database}",
        "COACH_LOG": "debug",
    }  # fmt: skip
    pipe = asyncio.subprocess.PIPE
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters", "run", cwd=Path(__file__).parents[1], env=env, stdout=pipe, stderr=pipe
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.communicate()


async def test_the_process_serves_until_sigterm_and_no_second_one_beside_it(database: Path) -> None:
    async with BotApiServer(contract=CONTRACT) as server:
        zoe = server.person("Zoefirstname")
        async with process(server, database) as first:
            await zoe.says("/help")
            assert "How this works" in (await zoe.next_message(20)).text
            async with process(server, database) as second:
                out, err = (text.decode() for text in await asyncio.wait_for(second.communicate(), 20))
                assert second.returncode == 1
                assert out == ""
                assert err.startswith("coach: another coach is using ") and err.count("\n") == 1
            assert "I know no place like" in (await ask(zoe, "/zone wordsofalearner")).text
            first.send_signal(signal.SIGTERM)
            out, err = (text.decode() for text in await asyncio.wait_for(first.communicate(), 5))

    assert first.returncode == 0
    assert out == f"The coach serves Telegram; its data is in {database}. Ctrl-C or SIGTERM stops it.\n"
    assert not any(secret in err for secret in (TOKEN.split(":")[1], "wordsofalearner", "Zoefirstname", "Traceback"))
    assert server.violations == []


async def test_a_process_that_was_killed_is_continued_by_the_next(database: Path) -> None:
    """Nothing is lost and nothing is said twice, whatever it was doing."""
    async with BotApiServer(contract=CONTRACT) as server:
        ann = server.person("Ann")
        held = server.fault("sendMessage", hold=asyncio.Event())
        async with process(server, database) as first:
            await ann.says("/help")
            await asyncio.wait_for(held.reached.wait(), 20)
            await ann.says("/topics")
            await server.wait_for(lambda: not server.bot.queue)
            first.kill()
            await first.communicate()
        async with process(server, database) as second:
            assert "How this works" in (await ann.next_message(20)).text
            assert "What I ask about" in (await ann.next_message()).text
            assert "No streak yet" in (await ask(ann, "/streak")).text
            second.send_signal(signal.SIGTERM)
            await asyncio.wait_for(second.communicate(), 20)

    assert second.returncode == 0


async def test_a_process_with_a_wrong_token_says_so_in_a_sentence(database: Path) -> None:
    wrong = "1000000001:AAanother_token_that_nobody_knows_of_1"
    async with BotApiServer() as server, process(server, database, wrong) as started:
        _, err = await asyncio.wait_for(started.communicate(), 20)

    assert started.returncode == 1
    assert err.decode() == "coach: Telegram refuses COACH_TELEGRAM_TOKEN: ask @BotFather for the right one\n"
