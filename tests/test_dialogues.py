"""Conversations as they happen, each told once and held through the terminal, through Telegram and through Discord."""

from __future__ import annotations

import asyncio
import io
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from peers.discord import TOKEN as DISCORD_TOKEN
from peers.discord import DiscordServer, discord_contract
from peers.discord import Message as DiscordMessage
from peers.telegram import TOKEN, BotApiServer, telegram_contract
from peers.telegram_world import Message
from worlds import FakeClock, World, couriers, world

from adapters.console import Console
from adapters.discord import Discord
from adapters.telegram import Telegram
from bot import Pace
from bot.content import Library
from bot.deliveries import Courier

FAST = Pace(per_second=1e4, per_chat=1e4, burst=100, group_per_minute=1e5, in_flight=4)


class Player(Protocol):
    """Somebody who talks with the coach on some platform; both return everything that the coach answers, on one line."""

    clock: FakeClock

    async def says(self, text: str) -> str: ...

    async def taps(self, label: str) -> str: ...


class AtTelegram:
    """A person in a private chat, behind the real client and the real adapter."""

    def __init__(self, server: BotApiServer, home: World, courier: Courier) -> None:
        self.clock = home.clock
        self._person = server.person("Ann")
        self._courier = courier
        self._seen: list[Message] = []

    async def says(self, text: str) -> str:
        self.clock.move(seconds=30)
        await self._person.says(text)
        return await self._hears()

    async def taps(self, label: str) -> str:
        self.clock.move(seconds=30)
        message = next(one for one in reversed(self._seen) if label in one.buttons)
        tap = await self._person.taps(message, label)
        heard = await self._hears()
        await tap.answered()
        return heard

    async def _hears(self) -> str:
        fresh = [await self._person.next_message()]
        await self._courier.drained()
        fresh += [await self._person.next_message() for _ in self._person.unread()]
        self._seen += fresh
        return " ".join(f"{one.text} {' '.join(f'[{label}]' for label in one.buttons)}" for one in fresh)


class AtDiscord:
    """A person who writes to the bot in private, behind the real client and the real adapter."""

    def __init__(self, server: DiscordServer, home: World, courier: Courier) -> None:
        self.clock = home.clock
        self._person = server.person("Ann", guilds=(server.guild("Study"),))
        self._courier = courier
        self._seen: list[DiscordMessage] = []

    async def says(self, text: str) -> str:
        self.clock.move(seconds=30)
        for start in range(0, len(text), 2000):
            await self._person.dm(text[start : start + 2000])
        return await self._hears()

    async def taps(self, label: str) -> str:
        self.clock.move(seconds=30)
        message = next(one for one in reversed(self._seen) if label in one.buttons)
        await self._person.presses(message, label)
        return await self._hears()

    async def _hears(self) -> str:
        fresh = [await self._person.next_message()]
        await self._courier.drained()
        fresh += [await self._person.next_message() for _ in self._person.unread()]
        self._seen += fresh
        return " ".join(f"{_plain(one.content)} {' '.join(f'[{label}]' for label in one.buttons)}" for one in fresh)


def _plain(markdown: str) -> str:
    """Discord's Markdown as it is read, without its marks."""
    return re.sub(r"\\([^0-9A-Za-z\s])|\*+|`+", lambda match: match.group(1) or "", markdown)


class _Screen(io.TextIOBase):
    """What the terminal shows, and an event for every prompt."""

    def __init__(self) -> None:
        self.text = ""
        self.prompted = asyncio.Event()

    def write(self, text: str) -> int:
        self.text += text
        if text.endswith("you> "):
            self.prompted.set()
        return len(text)


class AtTerminal:
    """A person at the keyboard of the real terminal adapter."""

    def __init__(self, home: World, keyboard: int, screen: _Screen) -> None:
        self.clock = home.clock
        self._keyboard = keyboard
        self._screen = screen
        self._numbers: dict[str, str] = {}

    async def says(self, text: str) -> str:
        self.clock.move(seconds=30)
        self._screen.text = ""
        os.write(self._keyboard, text.encode() + b"\n")
        return await self.hears()

    async def hears(self) -> str:
        await asyncio.wait_for(self._screen.prompted.wait(), 20)
        self._screen.prompted.clear()
        flat = _flat(self._screen.text)
        self._numbers = {label: number for number, label in re.findall(r"\[(\d+)\] (.+?)(?= \[\d+\]| you>)", flat)}
        return re.sub(r"\[\d+\] (.+?)(?= \[\d+\]| you>)", r"[\1]", flat)

    async def taps(self, label: str) -> str:
        return await self.says(self._numbers[label])


def _flat(text: str) -> str:
    return " ".join(text.split())


@asynccontextmanager
async def at_telegram(home: World) -> AsyncIterator[Player]:
    async with BotApiServer(contract=telegram_contract(), now=lambda: home.clock().timestamp()) as server:
        adapter = Telegram(home.coach, TOKEN, api=server.url.removesuffix("/bot"), pace=FAST, now=home.clock)
        async with couriers(home, [adapter]) as courier:
            await adapter.start()
            running = asyncio.create_task(adapter.run())
            try:
                yield AtTelegram(server, home, courier)
            finally:
                await adapter.stop()
                await running
        assert server.violations == []


@asynccontextmanager
async def at_discord(home: World) -> AsyncIterator[Player]:
    async with DiscordServer(contract=discord_contract(), now=lambda: home.clock().timestamp()) as server:
        adapter = Discord(home.coach, DISCORD_TOKEN, api=server.api, pace=FAST, now=home.clock)
        async with couriers(home, [adapter]) as courier:
            await adapter.start()
            running = asyncio.create_task(adapter.run())
            await server.connected()
            try:
                yield AtDiscord(server, home, courier)
            finally:
                await adapter.stop()
                await running
        assert server.violations == []


@asynccontextmanager
async def at_terminal(home: World) -> AsyncIterator[Player]:
    there, keyboard = os.pipe()
    screen = _Screen()
    with os.fdopen(there) as stdin:
        adapter = Console(home.coach, stdin=stdin, stdout=screen, now=home.clock)
        async with couriers(home, [adapter]):
            talking = asyncio.create_task(adapter.converse(begin=False))
            player = AtTerminal(home, keyboard, screen)
            await player.hears()
            yield player
            os.close(keyboard)
            await talking


@pytest.fixture(params=["terminal", "telegram", "discord"])
async def player(request: pytest.FixtureRequest, library: Library, database: Path) -> AsyncIterator[Player]:
    async with world(library, database) as home:
        place: Any = {"terminal": at_terminal, "telegram": at_telegram, "discord": at_discord}[request.param]
        async with place(home) as someone:
            yield someone


async def test_three_taps_reach_the_first_question_and_a_reply_is_graded_with_its_evidence(player: Player) -> None:
    """The whole of a first day."""
    heard = await player.says("/start")
    assert "I am your interview coach" in heard
    assert "[Berlin]" in heard
    heard = await player.taps("Berlin")
    assert "Berlin, where it is 13:0" in heard
    assert "What are you preparing for?" in await player.taps("09:00")
    heard = await player.taps("Everything, senior level: start")
    assert heard.startswith("Question · ")
    assert "level 3" in heard
    heard = await player.says("/next precision")
    assert "Question · Model evaluation" in heard
    heard = await player.says("precision is TP / (TP + FP): of everything we flagged, the share that really is positive")
    assert re.search(r"\b\d{1,3}/100", heard)
    assert "✅ Precision is the share" in heard
    assert re.search(r"“[^”]*(flagged|TP)[^”]*”", heard)
    assert "Next time:" in heard
    assert "[Go deeper]" in heard
    heard = await player.taps("Go deeper")
    assert heard.startswith("Follow-up")
    assert "/100" in await player.says("recall falls when the threshold rises because fewer items are flagged")
    assert "1 day in a row" in await player.says("/streak")
    assert "Model evaluation" in await player.says("/progress")


async def test_hints_come_one_by_one_and_the_answer_on_request(player: Player) -> None:
    await player.says("/next recall")
    assert "Hint 1:" in await player.taps("Hint")
    assert "Hint 2:" in await player.taps("Another hint")
    assert "That was the last hint" in await player.says("/hint")
    assert "Model answer" in await player.says("/answer")
    assert "No question is open" in await player.says("TP over TP plus FN")


async def test_settings_by_command(player: Player) -> None:
    await player.says("/next")
    assert "every day at 07:30, Tokyo time" in await player.says("/daily 7:30 tokyo")
    assert "Which one do you mean?" in await player.says("/daily 8:00 IST")
    assert "Your zone is Kolkata" in await player.taps("Kolkata")
    assert "Paused. Your daily question is back on Saturday" in await player.says("/pause 5")
    heard = await player.says("/settings")
    assert "Daily question: 08:00 (paused until 28 November)" in heard
    assert "Welcome back" in await player.says("/resume")
    assert "No daily question any more" in await player.says("/daily off")


async def test_a_city_typed_during_the_set_up(player: Player) -> None:
    await player.says("/start")
    assert "I know no place like" in await player.says("Xyzzyville")
    assert "New York, where it is 07:0" in await player.says("Amercia/New York")
    assert "What are you preparing for?" in await player.says("7 pm")
    assert "And at which level?" in await player.taps("Data science")
    assert "level" in await player.taps("Staff")
    assert "19:00" in await player.says("/settings")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("🙂🙂🙂", "I need words to grade"),
        ("???", "I need words to grade"),
        ("I don't know", "A hint, or the answer?"),
        ("/hnit", "Did you mean /hint?"),
        ("/frobnicate now", "I don't know /frobnicate"),
        ("/daily sometime", "Give me a time"),
        ("/daily 25:99", "Give me a time"),
        ("/pause forever", "How many days?"),
        ("/level 9", "A level is a number from 1"),
        ("/next quantum gastronomy", "I have nothing on “quantum gastronomy"),
        ("/zone Nowhereistan", "I know no place like"),
        ("/deeper nonsense", "no further question"),
        ("/hint gone", "closed already"),
        ("/answer gone", "No question is open"),
        ("<b>bold</b> & [a](http://x) *b* `c` @everyone", "/100"),
    ],
)
async def test_odd_input_gets_a_clear_sentence_and_keeps_the_question_open(player: Player, said: str, answer: str) -> None:
    await player.says("/next precision")
    heard = await player.says(said)
    assert answer.replace("“", "").replace("”", "") in heard.replace("“", "").replace("”", "")
    if answer != "/100":
        assert "/100" in await player.says("precision is TP / (TP + FP)")


async def test_a_very_long_reply_is_graded_and_the_cut_is_told(player: Player) -> None:
    await player.says("/next precision")
    heard = await player.says("precision is TP / (TP + FP). " + "and so it goes on and on " * 150)
    assert "✅" in heard


async def test_a_reply_with_nothing_open(player: Player) -> None:
    await player.says("/help")
    assert "No question is open right now" in await player.says("overfitting is when the model memorises")


async def test_a_button_pressed_twice(player: Player) -> None:
    await player.says("/next precision")
    assert "Skipped" in await player.taps("Skip")
    assert "No question is open" in await player.says("/skip")


async def test_a_learner_looks_back_plans_ahead_and_leaves(player: Player) -> None:
    """Everything that is kept is shown, planned with, and in the end forgotten."""
    await player.says("/daily 09:00 Berlin")
    assert "You rest on Saturdays and Sundays" in await player.says("/rest sat sun")
    await player.says("/next precision")
    await player.says("precision is TP / (TP + FP): of everything we flagged, the share that really is positive")
    assert "1 reply → 1" in await player.says("/streak why")
    heard = await player.says("/progress")
    assert "Model evaluation:" in heard
    assert "Due today:" in heard
    assert "[Something weak]" in heard
    assert "Your first week" in await player.says("/week")
    assert "Your interview: Friday 15 January" in await player.says("/interview 2027-01-15")
    assert "All that I keep of you" in await player.says("/export")
    assert "[Delete everything]" in await player.says("/forget")
    assert "I know nothing of you any more" in await player.taps("Delete everything")
    assert "Nothing graded yet" in await player.says("/progress")
