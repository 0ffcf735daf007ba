"""The Discord adapter as things really happen: discord.py itself, real HTTP and WebSocket, and a strict Discord on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from peers.discord import TOKEN, Channel, DiscordServer, Guild, Interaction, Message, Person, discord_contract
from worlds import FakeClock, World, couriers, kept_in, world

from adapters.discord import Discord
from adapters.discord.commands import definitions, spoken
from adapters.discord.drawing import buttons, drawn, filled_in, markdown, said_by
from bot import COMMANDS, Address, Choice, Pace, Reply, Span, Style, units
from bot import phrases as _phrases
from bot.content import Library, Rubric
from bot.deliveries import Courier
from bot.errors import AddressGone, SendLater, SendRefused, SendUnclear, SettingsError
from bot.model import Asked, Attempt, Finding, Grade, Occasion, Verdict

CONTRACT = discord_contract()
FAST = Pace(per_second=1e4, per_chat=1e4, burst=100, group_per_minute=1e5, in_flight=8)
phrases: Any = _phrases


class Echo:
    """A grader that finds a reply's own words to be its first point.

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
        return Grade(50, (Verdict(first.point, Finding.COVERED, reply, 0, len(reply), 1.0), *rest), (), self.name)


@dataclass
class Stage:
    """A coach at work on Discord."""

    server: DiscordServer
    home: World
    adapter: Discord
    courier: Courier
    running: asyncio.Task[None]

    async def comes_to(self, at: datetime) -> None:
        """It is `at`, and the coach looks at what is due."""
        self.home.clock.at = at
        await self.home.coach.deliver_due(["discord"])
        self.courier.wake()
        await self.courier.drained()

    async def retries(self) -> None:
        """Moves the clock to the time at which a failed message is tried again."""
        async with asyncio.timeout(90):
            while not (await self.home.store.count()).get("outbox retry"):
                await asyncio.sleep(0.02)
        due = await self.home.store.next_at(["discord"])
        assert due is not None
        self.home.clock.at = due
        self.courier.wake()

    async def attempts(self) -> int:
        return (await self.home.store.count())["attempts"]


@asynccontextmanager
async def at_work(home: World, server: DiscordServer, **options: Any) -> AsyncIterator[Stage]:
    """The adapter and its courier, running and connected."""
    options = {"pace": FAST, "now": home.clock, "identify_pause": 0.0, **options}
    adapter = Discord(home.coach, TOKEN, api=server.api, **options)
    async with couriers(home, [adapter]) as courier:
        await adapter.start()
        running = asyncio.create_task(adapter.run())
        await server.connected()
        try:
            yield Stage(server, home, adapter, courier, running)
        finally:
            await adapter.stop()
            await asyncio.gather(running, return_exceptions=True)


def shown(content: str) -> str:
    """A message's Markdown as a person reads it."""
    return _read(content)[0]


def styled(content: str, style: str) -> list[str]:
    """What stands in a message in bold ("**"), italic ("*"), code ("`") or a block ("```")."""
    return _read(content)[1].get(style, [])


_MARKUP = re.compile(r"```\n(?P<block>.*?)\n```|(?P<ticks>`)(?P<code>[^`]+)`|\\(?P<plain>[^0-9A-Za-z\s])|(?P<mark>\*\*|\*)", re.DOTALL)


def _read(content: str) -> tuple[str, dict[str, list[str]]]:
    text, found, opened, end = "", {}, {}, 0  # type: str, dict[str, list[str]], dict[str, int], int
    for match in _MARKUP.finditer(content):
        text += content[end : match.start()]
        end = match.end()
        if match["mark"]:
            if match["mark"] in opened:
                found.setdefault(match["mark"], []).append(text[opened.pop(match["mark"]) :])
            else:
                opened[match["mark"]] = len(text)
        elif match["plain"]:
            text += match["plain"]
        else:
            style = "`" if match["ticks"] else "```"
            found.setdefault(style, []).append(match["code"] or match["block"] or "")
            text += found[style][-1]
    assert not opened, f"a mark was left open in {content!r}"
    return (text + content[end:]).replace("\u200b", ""), found


def noted(cache: Path) -> Path:
    """The file in which the adapter notes what it knows of Discord."""
    (file,) = cache.glob("discord-*.json")
    return file


def chats_noted(cache: Path) -> int:
    return sum(len(json.loads(file.read_text())["chats"]) for file in cache.glob("discord-*.json"))


async def ask(person: Person, text: str) -> Message:
    """What the coach says to this line in private, as its first message."""
    await person.dm(text)
    return await person.next_message()


async def use(person: Person, command: str, channel: Channel | None = None, **options: Any) -> Message:
    """What the coach answers to a slash command."""
    return await (await person.slash(command, channel=channel, **options)).answered()


async def reply_to(person: Person, message: Message, text: str) -> Interaction:
    """Types a reply into the form that the message's button opens."""
    form = await person.presses(message, "Reply")
    assert form.ack == "modal"
    return await person.submits(form, text=text)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def grader() -> Echo:
    return Echo()


@pytest.fixture
async def server(clock: FakeClock) -> AsyncIterator[DiscordServer]:
    async with DiscordServer(contract=CONTRACT, now=lambda: clock().timestamp()) as running:
        yield running
        assert running.violations == []


@pytest.fixture
async def home(library: Library, database: Path, clock: FakeClock, grader: Echo) -> AsyncIterator[World]:
    async with world(library, database, clock=clock, grader=grader) as running:
        yield running


@pytest.fixture
async def stage(home: World, server: DiscordServer) -> AsyncIterator[Stage]:
    async with at_work(home, server) as running:
        yield running


@pytest.fixture
def guild(server: DiscordServer) -> Guild:
    return server.guild("Study")


@pytest.fixture
def ann(server: DiscordServer, guild: Guild) -> Person:
    return server.person("Ann", guilds=(guild,))


@pytest.fixture
def bob(server: DiscordServer, guild: Guild) -> Person:
    return server.person("Bob", guilds=(guild,))


# ---------------------------------------------------------------------------------------------- commands


async def test_every_listed_command_is_a_slash_command_everywhere(stage: Stage, ann: Person, guild: Guild) -> None:
    """With its description, in servers and in private, for servers and for people who installed the app."""
    known = {command["name"]: command for command in stage.server.commands[None]}

    assert {name: one["description"] for name, one in known.items()} == {one.name: one.summary for one in COMMANDS if one.listed}
    assert all(one["contexts"] == [0, 1, 2] and one["integration_types"] == [0, 1] for one in known.values())
    assert ann.commands() == ann.commands(guild.general) == list(known)


async def test_commands_are_registered_only_when_they_changed(home: World, server: DiscordServer, tmp_path: Path) -> None:
    async with at_work(home, server, cache=tmp_path):
        pass
    async with at_work(home, server, cache=tmp_path):
        pass
    assert [sync.changed for sync in server.syncs] == [True]

    file = noted(tmp_path)
    file.write_text(json.dumps({**json.loads(file.read_text()), "commands": "those of another version"}))
    async with at_work(home, server, cache=tmp_path):
        pass
    file.write_text("{broken")
    async with at_work(home, server, cache=tmp_path):
        pass
    assert len(server.syncs) == 3


async def test_a_coach_that_can_not_register_its_commands_still_answers(home: World, server: DiscordServer, ann: Person) -> None:
    server.fault("PUT /applications/*", status=403, code=50001)
    async with at_work(home, server):
        assert "How this works" in shown((await ask(ann, "/help")).content)


async def test_a_command_in_private_is_answered_there(stage: Stage, ann: Person) -> None:
    used = await ann.slash("next", topic="precision")
    question = await used.answered()

    assert used.ack == "defer" and not used.ephemeral
    assert "Question · Model evaluation" in shown(question.content)
    assert question.buttons == ["Hint", "Skip", "Show answer", "Sure", "Think so", "Guessing"]


async def test_a_command_in_a_server_is_for_ones_own_eyes(stage: Stage, ann: Person, bob: Person, guild: Guild) -> None:
    used = await ann.slash("next", channel=guild.general, topic="precision")
    question = await used.answered()

    assert used.ack == "defer" and used.ephemeral
    assert question.buttons == ["Hint", "Skip", "Show answer", "Sure", "Think so", "Guessing", "Reply"]
    assert stage.server.public_text(guild.general) == stage.server.seen_by(bob) == ""
    assert stage.server.sent(ann) == []


async def test_the_app_works_from_ones_own_account_where_the_bot_is_not(stage: Stage, server: DiscordServer) -> None:
    eve = server.person("Eve", installed=True)
    elsewhere = server.guild("Elsewhere", members=[eve], bot=False)
    answer = await use(eve, "streak", elsewhere.general)

    assert "No streak yet" in shown(answer.content) and answer.ephemeral


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "/daily"),
        ({"time": "7:30 pm"}, "/daily 7:30 pm"),
        ({"zone": "Asia/Tokyo"}, "/zone Asia/Tokyo"),
        ({"zone": "Asia/Tokyo", "time": "09:00"}, "/daily 09:00 Asia/Tokyo"),
    ],
)
def test_a_slash_command_is_the_line_that_would_have_been_typed(options: dict[str, str], line: str) -> None:
    assert spoken({"name": "daily", "options": [{"name": name, "value": value} for name, value in options.items()]}) == line


async def test_arguments_reach_the_coach(stage: Stage, ann: Person) -> None:
    assert "07:30, Tokyo time" in shown((await use(ann, "daily", time="7:30", zone="Asia/Tokyo")).content)
    assert "back on Saturday" in shown((await use(ann, "pause", days=5)).content)
    assert "Your zone is Berlin" in shown((await use(ann, "daily", zone="Europe/Berlin")).content)


@pytest.mark.parametrize(
    ("command", "option", "typed", "first"),
    [
        ("next", "topic", "", "fundamentals"),
        ("next", "topic", "evalu", "evaluation"),
        ("next", "topic", "precis", "precision"),
        ("next", "topic", "presicion", "precision"),
        ("daily", "zone", "berl", "Europe/Berlin"),
        ("daily", "zone", "New Y", "America/New_York"),
        ("daily", "zone", "munich", "Europe/Berlin"),
        ("daily", "zone", "", "Europe/London"),
    ],
)
async def test_topics_and_zones_are_offered_while_they_are_typed(
    stage: Stage, ann: Person, command: str, option: str, typed: str, first: str
) -> None:
    offered = await ann.autocomplete(command, option, typed)

    assert first in str(offered[0].value)
    assert len(offered) <= 25


@pytest.mark.parametrize("typed", ["a", "e", "é" * 50, "[(*", "@everyone", "qqqqqq"])
async def test_whatever_is_typed_the_offer_is_one_that_discord_takes(stage: Stage, ann: Person, typed: str) -> None:
    for command, option in (("next", "topic"), ("daily", "zone")):
        assert len(await ann.autocomplete(command, option, typed)) <= 25


def test_definitions_keep_to_the_limits() -> None:
    for one in definitions():
        assert 1 <= len(one["description"]) <= 100 and re.fullmatch(r"[-_a-z0-9]{1,32}", one["name"])


async def test_a_command_that_is_no_longer_known_is_answered_politely(stage: Stage, ann: Person) -> None:
    stage.server.commands[None].append({**stage.server.commands[None][0], "id": "1", "name": "hnit"})

    assert "Did you mean /hint?" in shown((await use(ann, "hnit")).content)


# ---------------------------------------------------------------------------------------------- replies


async def test_a_reply_in_a_server_is_typed_into_a_form_and_seen_by_nobody_else(
    stage: Stage, ann: Person, bob: Person, guild: Guild, grader: Echo
) -> None:
    question = await use(ann, "next", guild.general, topic="precision")
    sent = await reply_to(ann, question, "my private words")
    graded = await sent.answered()

    assert sent.ephemeral and "50/100" in shown(graded.content) and "Next question" in graded.buttons
    assert grader.replies == ["my private words"]
    assert "my private words" not in stage.server.public_text(guild.general) + stage.server.seen_by(bob)


async def test_what_is_written_in_a_server_is_never_read(stage: Stage, ann: Person, guild: Guild, grader: Echo) -> None:
    """No privileged intent is asked for, and not even the plain one for messages in servers."""
    await use(ann, "next", guild.general, topic="precision")
    await ann.says(f"precision is TP over all flagged {stage.server.bot.mention}", channel=guild.general)
    await stage.server.settled()

    assert grader.replies == []
    assert stage.server.gateway.identifies[0]["intents"] == 1 << 0 | 1 << 12


async def test_the_set_up_works_in_a_server_and_the_daily_question_comes_in_private(stage: Stage, ann: Person, guild: Guild) -> None:
    message = await use(ann, "start", guild.general)
    typed = await reply_to(ann, message, "berlin")
    message = await typed.answered()
    for label in ("09:00", "Everything, senior level: start"):
        stage.home.clock.move(seconds=5)
        message = await (await ann.presses(message, label)).answered()
    assert "Question" in shown(message.content) and stage.server.sent(ann) == []

    await stage.comes_to(datetime(2026, 11, 24, 8, 0, tzinfo=UTC))
    daily = await ann.next_message()
    assert "Question of the day" in shown(daily.content) and daily.channel is ann.channel
    assert daily.buttons == ["Hint", "Skip", "Show answer", "Sure", "Think so", "Guessing"]


async def test_whoever_tries_a_command_in_a_server_is_not_written_to_in_private(stage: Stage, ann: Person, guild: Guild) -> None:
    await use(ann, "next", guild.general)
    await use(ann, "streak", guild.general)
    await stage.comes_to(stage.home.clock() + timedelta(days=1))

    assert stage.server.sent(ann) == []


@pytest.mark.parametrize(
    ("name", "answer"),
    [("cat.png", "I can't read a photo yet"), ("notes.txt", "I can't read a file yet"), ("clip.mp4", "I can't read a video yet")],
)
async def test_what_is_no_text_is_named(stage: Stage, ann: Person, name: str, answer: str) -> None:
    await ann.dm("", files=[(name, b"\0")])

    assert answer in shown((await ann.next_message()).content)


async def test_the_coach_is_seen_typing_while_it_grades(stage: Stage, ann: Person, grader: Echo) -> None:
    await ask(ann, "/next precision")
    await ann.dm("I think slowly")
    await stage.server.wait_for(lambda: stage.server.typing == [ann.channel])
    assert ann.unread() == []

    grader.go.set()
    assert "50/100" in shown((await ann.next_message()).content)


async def test_a_turn_that_fails_is_apologised_for_where_it_was_asked(stage: Stage, ann: Person, guild: Guild) -> None:
    question = await use(ann, "next", guild.general, topic="precision")
    sent = await reply_to(ann, question, "poison")

    assert "Something went wrong on my side" in shown((await sent.answered()).content)
    assert (await stage.home.store.count())["inbox"] == 0


# ---------------------------------------------------------------------------------------------- words


WORDS = [
    "*bold* **b** _it_ __u__ ~~s~~ ||spoiler|| `code` ```block```",
    "[free](https://evil.example) <https://x.example> https://y.example/a_b",
    "@everyone @here <@1> <@&2> <#3> </help:4> <t:0:R> <:x:5> :smile:",
    "# not a title",
    "> not a quote >>> at all",
    "1. not - a list",
    "a \\* \\\\ \\` b",
    "a < b > c & d_e_f*g",
]


@pytest.mark.parametrize("words", WORDS)
async def test_a_learners_words_come_back_letter_by_letter_and_call_nobody(
    stage: Stage, ann: Person, bob: Person, guild: Guild, words: str
) -> None:
    """Neither Markdown nor a mention in them works: in a grade they are quoted in italics and nothing else."""
    words = words.replace("<@1>", bob.mention)
    question = await use(ann, "next", guild.general, topic="precision")
    graded = await (await reply_to(ann, question, words)).answered()

    quoted = phrases.shorten(words, 90)
    assert f"“{quoted}”" in shown(graded.content)
    assert styled(graded.content, "*") == [f"“{quoted}”"]
    assert not styled(graded.content, "```")
    assert not re.search(r"(?<!\\)(?:\[|<[@#/t:]|@everyone)|https?://", graded.content)
    assert bob.pinged_by == [] and not graded.pings.everyone


async def test_every_message_calls_nobody_and_previews_nothing(stage: Stage, ann: Person, guild: Guild) -> None:
    await ask(ann, "/next precision")
    await ask(ann, "@everyone look at https://x.example")
    await use(ann, "help", guild.general)
    bodies = [call.body for call in stage.server.calls if call.body and "content" in call.body]

    assert len(bodies) == 3
    assert all(body["allowed_mentions"] == {"parse": []} and body["flags"] & 4 for body in bodies)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\u200b\r\x00"), max_size=60)
PIECES = st.text(st.sampled_from(list("ab *_`~|[]()<>@#:-+.1\n\\é😀")), max_size=60)


@given(st.lists(st.builds(Span, TEXT | PIECES, st.sampled_from([Style.PLAIN, Style.BOLD, Style.ITALIC, Style.QUOTE])), max_size=6))
def test_whatever_is_drawn_reads_as_it_was_written(spans: list[Span]) -> None:
    assert shown(markdown(spans)) == "".join(span.text for span in spans)


@given(
    st.lists(st.builds(Span, st.builds(lambda text, n: text * n, PIECES, st.integers(1, 300)), st.sampled_from(list(Style))), max_size=4)
)
def test_no_page_is_longer_than_discord_takes_and_no_word_is_lost(spans: list[Span]) -> None:
    cut = drawn(spans)

    assert all(0 < units(page) <= 2000 for page in cut)
    if not any(span.style in (Style.BLOCK, Style.CODE, Style.CHANNEL, Style.GROUP, Style.MOMENT) for span in spans):
        assert "".join("".join(shown(page).split()) for page in cut) == "".join("".join(span.text for span in spans).split())


@pytest.mark.parametrize("style", list(Style))
async def test_a_long_reply_is_cut_into_pages_with_the_buttons_under_the_last(
    stage: Stage, ann: Person, guild: Guild, style: Style
) -> None:
    long = Reply((Span("A head", Style.BOLD), Span("\n\n"), Span("x = a_b * c\n" * 400, style), Span("\nThe end.")))
    long = long.with_choices([Choice("Next question", "/next")])
    await stage.adapter.send(Address("discord", str(ann.id), str(ann.id)), long, "long")
    pages = stage.server.sent(ann)

    assert len(pages) > 2
    assert [page.buttons for page in pages] == [[]] * (len(pages) - 1) + [["Next question"]]
    assert "".join("".join(shown(page.content).split()) for page in pages) == "".join(long.text.split())


async def test_every_question_is_within_the_limits_of_discord(
    stage: Stage, ann: Person, guild: Guild, library: Library, clock: FakeClock
) -> None:
    """Question, follow-ups, hints, model answer and the longest possible grade, in private and in a server."""
    person = Address("discord", str(ann.id), str(ann.id))
    for number, question in enumerate(library.questions.values()):
        asked = Asked(f"a{number}", "ann", question.id, Occasion.CHOSEN, clock())
        replies = [phrases.question(replace(asked, wording=n), question, library) for n in range(5)]
        for rubric in (question, *question.followups):
            verdicts = tuple(Verdict(point.id, Finding.PARTLY, "*" * 400, 0, 400, 1.0) for point in rubric.points)
            grade = Grade(10, verdicts, (), "echo 1")
            attempt = Attempt(f"t{number}", "ann", asked.id, question.id, "", "*" * 400, clock(), 0, grade)
            replies += [phrases.model_answer(rubric), phrases.graded(attempt, rubric, question.title, deeper=True)]
        replies += [phrases.hint(1, hint, asked) for hint in question.hints]
        for reply in replies:
            for text in drawn(reply.spans):
                assert units(text) <= 2000
        await stage.adapter.send(person, replies[-1], f"q{number}")
    assert len(stage.server.sent(ann)) >= len(library.questions) >= 55


# ---------------------------------------------------------------------------------------------- buttons


def test_more_buttons_than_there_is_room_for() -> None:
    """Five in a row, five rows, labels of 80 characters, and no custom id twice."""
    rows = buttons([[Choice(f"{n} " + "x" * 90, f"/next {n % 20}")] for n in range(40)], reply=True)
    parts = [part for row in rows for part in row["components"]]

    assert len(rows) == 5 and all(len(row["components"]) <= 5 for row in rows) and parts[-1]["label"] == "Reply"
    assert all(len(part["label"]) <= 80 for part in parts)
    assert len({part["custom_id"] for part in parts}) == len(parts) == 21
    assert [said_by(part["custom_id"]) for part in parts[:-1]] == [f"/next {n}" for n in range(20)]
    assert [len(row["components"]) for row in buttons([[Choice("a", "a")] * 3] * 2, reply=False)] == [3, 3]


async def test_forty_choices_are_taken_by_discord(stage: Stage, ann: Person) -> None:
    reply = Reply((Span("Pick."),)).with_choices(*[[Choice(f"{n}" * 60, "/help")] for n in range(40)])
    await stage.adapter.send(Address("discord", str(ann.id), str(ann.id)), reply, "many")

    assert len(stage.server.sent(ann)[0].buttons) == 25


def test_the_longest_choice_fits_into_a_button() -> None:
    text = "é" * 32
    ((part,),) = [row["components"] for row in buttons([[Choice("x", text)]], reply=False)]

    assert len(part["custom_id"]) <= 100 and said_by(part["custom_id"]) == text
    assert said_by("quiz:answer") is None


async def press(stage: Stage, person: Person, message: Message, custom_id: str) -> Interaction:
    """A press of a button that the message needn't have any more."""
    row = {"type": 1, "components": [{"type": 2, "style": 2, "label": "Old", "custom_id": custom_id, "id": 9}]}
    message.components = [*message.components, row]
    return await person.presses(message, custom_id)


@pytest.mark.parametrize(
    ("custom_id", "answer"),
    [
        ("say:/hint gone", "closed already"),
        ("say:/frobnicate 7", "I don't know /frobnicate"),
        ("say:/deeper gone", "no further question"),
        ("say2:/answer gone", "No question is open"),
        ("vote:7", "from an earlier version of me"),
        ("say:", "from an earlier version of me"),
    ],
)
async def test_a_stale_or_unknown_button_is_answered(stage: Stage, ann: Person, guild: Guild, custom_id: str, answer: str) -> None:
    question = await use(ann, "next", guild.general, topic="precision")
    pressed = await press(stage, ann, question, custom_id)

    assert answer in shown((await pressed.answered()).content) and pressed.ephemeral
    assert await stage.attempts() == 0


async def test_buttons_and_the_form_live_through_a_restart(home: World, server: DiscordServer, ann: Person, guild: Guild) -> None:
    async with at_work(home, server):
        question = await use(ann, "next", guild.general, topic="precision")
        form = await ann.presses(question, "Reply")
        private = await ask(ann, "/settings")
    async with at_work(home, server):
        hint = await (await ann.presses(question, "Hint")).answered()
        assert "Hint 1" in shown(hint.content)
        assert "50/100" in shown((await (await ann.submits(form, text="some words")).answered()).content)
        pressed = await ann.presses(private, "Zone")
        assert pressed.ack == "defer update"
        assert "Where are you?" in shown((await ann.next_message()).content)


def test_a_form_of_either_kind_is_read() -> None:
    field = {"type": 4, "custom_id": "text", "value": "words"}
    assert filled_in([{"type": 18, "component": field}]) == filled_in([{"type": 1, "components": [field]}]) == "words"
    assert filled_in([]) == ""


# ---------------------------------------------------------------------------------------------- in time, and once


async def test_an_interaction_is_acknowledged_however_slow_grading_is(stage: Stage, ann: Person, guild: Guild, grader: Echo) -> None:
    question = await use(ann, "next", guild.general, topic="precision")
    sent = await reply_to(ann, question, "slowly now")
    await grader.begun.wait()
    assert sent.ack == "defer" and sent.deferred

    grader.go.set()
    assert "50/100" in shown((await sent.answered()).content)


async def test_fifty_replies_in_flight_are_acknowledged_in_time_and_graded_once(
    stage: Stage, server: DiscordServer, guild: Guild, grader: Echo
) -> None:
    """Nobody waits for anybody's grade: the slowest acknowledgement comes well within the three seconds."""
    people = [server.person(f"P{number}", guilds=(guild,)) for number in range(50)]
    questions = await asyncio.gather(*(use(one, "next", guild.general, topic="precision") for one in people))
    forms = [await one.presses(question, "Reply") for one, question in zip(people, questions, strict=True)]
    sent = await asyncio.gather(*(one.submits(form, text=f"slowly {one.name}") for one, form in zip(people, forms, strict=True)))
    seconds = sorted(one.ack_seconds or 99 for one in sent)
    print(f"acknowledged in {seconds[25]:.3f} s (median), {seconds[-1]:.3f} s (slowest of 50)")
    assert all(one.deferred and not one.failed for one in sent)  # the platform itself refuses what comes after three seconds

    late = await people[0].slash("help", channel=guild.general)
    assert late.ack_seconds is not None and not late.failed
    grader.go.set()
    graded = await asyncio.gather(*(one.answered(60) for one in sent))
    for one, message in zip(people, graded, strict=True):
        assert f"“slowly {one.name}”" in shown(message.content)
    assert await stage.attempts() == len(grader.replies) == 50


async def test_an_interaction_that_comes_twice_is_handled_once(stage: Stage, ann: Person, guild: Guild) -> None:
    used = await ann.slash("next", channel=guild.general, topic="precision")
    stage.server.emit("INTERACTION_CREATE", used.payload, guild=guild)
    await used.answered()
    stage.server.emit("INTERACTION_CREATE", used.payload, guild=guild)
    await use(ann, "streak", guild.general)
    await stage.server.settled()

    assert len(used.messages) == 1 and used.refused == []


async def test_a_private_message_that_comes_twice_is_handled_once(stage: Stage, ann: Person, grader: Echo) -> None:
    await ask(ann, "/next precision")
    said = await ann.dm("words")
    said.announce("MESSAGE_CREATE")
    await ann.next_message()
    said.announce("MESSAGE_CREATE")
    await ask(ann, "/help")

    assert grader.replies == ["words"] and ann.unread() == []


async def test_one_persons_messages_are_handled_in_their_order(stage: Stage, ann: Person) -> None:
    for line in ("/next precision", "first words", "/next recall", "/hint"):
        await ann.dm(line)
        stage.home.clock.move(seconds=5)
    heard = [shown((await ann.next_message()).content) for _ in range(4)]

    assert [bool(re.search(wanted, text)) for wanted, text in zip(("Question", "50/100", "Question", "Hint 1"), heard, strict=True)] == [
        True
    ] * 4


async def test_what_was_taken_and_not_handled_is_handled_after_the_restart(
    home: World, server: DiscordServer, ann: Person, bob: Person, guild: Guild, grader: Echo
) -> None:
    """It is acknowledged before, and answered after, in the server where it was asked: the token is kept with it."""
    async with at_work(home, server) as stage:
        question = await use(bob, "next", guild.general, topic="precision")
        await reply_to(bob, question, "slowly")
        await grader.begun.wait()
        stopping = asyncio.create_task(stage.adapter.stop())
        await asyncio.sleep(0)
        used = await ann.slash("help", channel=guild.general)
        assert used.deferred
        grader.go.set()
        await stopping
        assert used.deferred
    async with at_work(home, server):
        answer = await used.answered()
        assert "How this works" in shown(answer.content) and answer.ephemeral


async def test_an_answer_whose_token_was_lost_goes_to_the_private_chat(stage: Stage, ann: Person, guild: Guild) -> None:
    """After a restart nobody knows the token of a reply that was owed."""
    owed = Reply((Span("Here you are."),)).with_choices([Choice("Next question", "/next")])
    await stage.adapter.send(Address("discord", str(ann.id), str(ann.id)), owed, "reply:discord:4711:0")

    (message,) = stage.server.sent(ann)
    assert message.content == "Here you are\\." or shown(message.content) == "Here you are."
    assert message.buttons == ["Next question"]


@pytest.mark.parametrize("how", ["refused", "old"])
async def test_an_answer_that_comes_after_its_token_goes_to_the_private_chat(
    stage: Stage, ann: Person, guild: Guild, grader: Echo, how: str
) -> None:
    question = await use(ann, "next", guild.general, topic="precision")
    sent = await reply_to(ann, question, "slowly")
    await grader.begun.wait()
    if how == "old":
        stage.home.clock.move(minutes=15)
    else:
        sent.expired = True
    grader.go.set()

    graded = await ann.next_message()
    assert "50/100" in shown(graded.content) and "Next question" in graded.buttons and "Reply" not in graded.buttons


async def test_an_interaction_that_came_too_late_is_answered_in_private(
    home: World, guild: Guild, ann: Person, server: DiscordServer
) -> None:
    """Replayed after an outage it can't be acknowledged any more; what was said in it is not lost."""
    async with at_work(home, server) as stage:
        question = await use(ann, "next", guild.general, topic="precision")
        form = await ann.presses(question, "Reply")
        server.deadline = 0.0
        sent = await ann.submits(form, text="words")
        assert sent.failed
        assert "50/100" in shown((await ann.next_message()).content)
        assert await stage.attempts() == 1


async def test_a_database_that_is_busy_for_a_while_costs_no_acknowledgement(
    stage: Stage, ann: Person, guild: Guild, database: Path
) -> None:
    with closing(sqlite3.connect(database, isolation_level=None, timeout=0)) as other:
        await _held(other)
        used = await ann.slash("help", channel=guild.general)
        assert used.ack == "defer" and used.deferred
        other.execute("ROLLBACK")
    assert "How this works" in shown((await used.answered()).content)


async def _held(other: sqlite3.Connection) -> None:
    """Takes the write lock as soon as nobody is in the middle of a transaction; waiting here would keep the coach from ending its own."""
    async with asyncio.timeout(20):
        while True:
            try:
                other.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                await asyncio.sleep(0.01)


async def test_a_database_that_is_away_is_told_and_a_private_message_waits_for_it(
    stage: Stage, ann: Person, guild: Guild, database: Path
) -> None:
    with closing(sqlite3.connect(database, isolation_level=None, timeout=0)) as other:
        await _held(other)
        used = await ann.slash("help", channel=guild.general)
        await ann.dm("/help")
        assert "try again in a minute" in shown((await used.answered(15)).content)
        other.execute("ROLLBACK")
    assert "How this works" in shown((await ann.next_message(15)).content)


# ---------------------------------------------------------------------------------------------- closed private messages


async def test_closed_private_messages_are_told_once_and_the_daily_question_rests(stage: Stage, ann: Person, guild: Guild) -> None:
    await use(ann, "daily", guild.general, time="09:00", zone="UTC")
    ann.closes_dms()
    await stage.comes_to(datetime(2026, 11, 24, 9, 0, tzinfo=UTC))
    await stage.comes_to(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))
    assert [call.code for call in stage.server.called("POST /channels/*/messages")] == [50007]

    used = await ann.slash("streak", channel=guild.general)
    told = await used.followed_up()
    assert "Privacy Settings" in told.content and told.ephemeral and "No streak" in shown(used.reply.content)

    await stage.comes_to(datetime(2026, 11, 26, 9, 0, tzinfo=UTC))
    assert len(stage.server.called("POST /channels/*/messages")) == 2
    again = await ann.slash("streak", channel=guild.general)
    await again.answered()
    await stage.server.settled()
    assert again.followups == []

    ann.opens_dms()
    await stage.comes_to(datetime(2026, 11, 27, 9, 0, tzinfo=UTC))
    assert "Question of the day" in shown((await ann.next_message()).content)


async def test_closed_private_messages_are_told_at_once_where_the_coach_was_just_used(
    home: World, server: DiscordServer, ann: Person, guild: Guild
) -> None:
    home.clock.at = datetime(2026, 11, 24, 8, 55, tzinfo=UTC)
    async with at_work(home, server) as stage:
        used = await ann.slash("daily", channel=guild.general, time="09:00", zone="UTC")
        await used.answered()
        ann.closes_dms()
        await stage.comes_to(datetime(2026, 11, 24, 9, 0, tzinfo=UTC))
        assert "Privacy Settings" in (await used.followed_up()).content


async def test_that_somebody_is_to_be_told_survives_a_restart(home: World, server: DiscordServer, ann: Person, guild: Guild) -> None:
    async with at_work(home, server) as stage:
        await use(ann, "daily", guild.general, time="09:00", zone="UTC")
        ann.closes_dms()
        await stage.comes_to(datetime(2026, 11, 24, 9, 0, tzinfo=UTC))
    async with at_work(home, server):
        used = await ann.slash("streak", channel=guild.general)
        assert "Privacy Settings" in (await used.followed_up()).content


async def test_whoever_left_every_shared_server_is_gone(stage: Stage, ann: Person, guild: Guild) -> None:
    await ask(ann, "/help")
    ann.leaves(guild)
    with pytest.raises(AddressGone):
        await stage.adapter.send(Address("discord", str(ann.id), str(ann.id)), Reply((Span("hi"),)), "k")
    with pytest.raises(AddressGone):
        await stage.adapter.send(Address("discord", "12345", "12345"), Reply((Span("hi"),)), "k2")


# ---------------------------------------------------------------------------------------------- faults of a request


HELLO = Reply((Span("hello"),))


@pytest.mark.parametrize(
    "fault",
    [
        {"cut": True},
        {"cut": True, "when": "after"},
        {"when": "middle"},
        {"malformed": True},
        {"status": 503},
        {"retry_after": 0.01},
        {"retry_after": 0.01, "everywhere": True},
        {"retry_after": 100, "via": False},
        {"status": 502, "when": "after"},
    ],
    ids=str,
)
async def test_a_message_arrives_once_whatever_happens_to_the_request(stage: Stage, ann: Person, fault: dict[str, Any]) -> None:
    """A retry has the nonce of the first try, so that Discord takes it once."""
    address = Address("discord", str(ann.id), str(ann.id))
    stage.server.fault("POST /channels/*/messages", **fault)
    for _ in range(3):
        try:
            await stage.adapter.send(address, HELLO, "k")
            break
        except SendLater:
            continue

    assert [message.content for message in stage.server.sent(ann)] == ["hello"]
    assert len(str(stage.server.sent(ann)[0].nonce)) <= 25


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 400, "code": 50035}, SendRefused),
        ({"status": 403, "code": 50001}, SendRefused),
        ({"status": 404, "code": 10003}, SendLater),
        ({"status": 401}, SendLater),
    ],
    ids=str,
)
async def test_a_refusal_in_the_engines_own_words(stage: Stage, ann: Person, fault: dict[str, Any], error: type[Exception]) -> None:
    stage.server.fault("POST /channels/*/messages", **fault)
    with pytest.raises(error):
        await stage.adapter.send(Address("discord", str(ann.id), str(ann.id)), HELLO, "k")


@pytest.mark.parametrize("fault", [{"cut": True}, {"cut": True, "when": "after"}, {"status": 503}, {"malformed": True}], ids=str)
async def test_an_answer_in_a_server_arrives_once_whatever_happens(
    stage: Stage, ann: Person, guild: Guild, fault: dict[str, Any], grader: Echo
) -> None:
    """The answer takes the place of "thinking", and doing that twice is doing it once."""
    stage.server.fault("PATCH /webhooks/*", **fault)
    used = await ann.slash("help", channel=guild.general)
    await stage.retries()

    assert "How this works" in shown((await used.answered()).content)
    await stage.courier.drained()
    assert len(used.messages) == 1 and stage.server.sent(ann) == []


async def test_a_further_page_of_which_nobody_knows_whether_it_arrived(stage: Stage, ann: Person, guild: Guild, grader: Echo) -> None:
    question = await use(ann, "next", guild.general, topic="precision")
    sent = await reply_to(ann, question, "slowly")
    key = f"reply:discord:{sent.id}"
    await grader.begun.wait()
    address = Address("discord", str(ann.id), str(ann.id))
    await stage.adapter.send(address, HELLO, f"{key}:8")
    stage.server.fault("POST /webhooks/*", cut=True, when="after")
    with pytest.raises(SendUnclear):
        await stage.adapter.send(address, HELLO, f"{key}:9")
    grader.go.set()


async def test_pages_that_arrived_are_not_sent_again_with_those_that_did_not(stage: Stage, ann: Person) -> None:
    long = Reply((Span("Words and words. " * 300),))
    stage.server.fault("POST /channels/*/messages", skip=1, status=503)
    address = Address("discord", str(ann.id), str(ann.id))
    with pytest.raises(SendLater):
        await stage.adapter.send(address, long, "long")
    stage.home.clock.move(hours=1)
    await stage.adapter.send(address, long, "long")

    assert [message.repeats for message in stage.server.sent(ann)] == [0, 0, 0]


async def test_an_acknowledgement_that_got_lost_is_tried_again(stage: Stage, ann: Person, guild: Guild) -> None:
    stage.server.fault("POST /interactions/*", cut=True, when="after")
    used = await ann.slash("help", channel=guild.general)

    assert "How this works" in shown((await used.answered()).content)
    stage.server.fault("POST /interactions/*", cut=True)
    used = await ann.slash("help", channel=guild.general)
    assert "How this works" in shown((await used.answered()).content)


async def test_nothing_is_sent_after_the_stop(stage: Stage, ann: Person) -> None:
    await stage.adapter.stop()
    with pytest.raises(SendLater):
        await stage.adapter.send(Address("discord", str(ann.id), str(ann.id)), HELLO, "k")
    assert not stage.adapter.connected


# ---------------------------------------------------------------------------------------------- faults of the connection


async def test_reconnect_and_resume_lose_nothing(stage: Stage, ann: Person, grader: Echo) -> None:
    await ask(ann, "/next precision")
    stage.server.gateway.reconnect()
    await ann.dm("words")

    assert "50/100" in shown((await ann.next_message()).content)
    await stage.server.connected()
    assert grader.replies == ["words"] and len(stage.server.gateway.identifies) == 1


@pytest.mark.parametrize("code", [None, 4000, 1001])
async def test_a_lost_socket_loses_nothing(stage: Stage, ann: Person, code: int | None) -> None:
    await ask(ann, "/next precision")
    stage.server.gateway.drop(code)
    await stage.server.wait_for(lambda: not stage.server.gateway.ready)
    await ann.dm("words")

    assert "50/100" in shown((await ann.next_message()).content)


async def test_an_invalid_session_loses_no_private_message(stage: Stage, ann: Person, grader: Echo) -> None:
    """What came between two sessions is not repeated by the gateway: it is read from the chat, in its order, once."""
    await ask(ann, "/next precision")
    stage.server.gateway.invalidate(resumable=False)
    await ann.dm("words")
    assert "50/100" in shown((await ann.next_message()).content)
    assert len(stage.server.gateway.identifies) == 2
    assert "How this works" in shown((await ask(ann, "/help")).content)
    await stage.server.settled()

    assert grader.replies == ["words"] and ann.unread() == []


async def test_silence_is_noticed(home: World, clock: FakeClock) -> None:
    async with DiscordServer(contract=CONTRACT, now=lambda: clock().timestamp(), heartbeat=0.1) as server:
        ann = server.person("Ann", guilds=(server.guild("Study"),))
        async with at_work(home, server, heartbeat_timeout=0.3):
            server.gateway.acks = False
            await server.wait_for(lambda: server.gateway.resumes, 10)
            server.gateway.acks = True
            assert "How this works" in shown((await ask(ann, "/help")).content)


async def test_a_payload_that_nobody_can_read_ends_nothing(stage: Stage, ann: Person, grader: Echo) -> None:
    """The library gives up; a new client signs in, and what came meanwhile is read."""
    question = await ask(ann, "/next precision")
    stage.server.gateway.garble()
    await ann.dm("words")
    assert "50/100" in shown((await ann.next_message(10)).content)
    await stage.server.connected()
    pressed = await ann.presses(question, "Hint")

    assert pressed.ack == "defer update" and not stage.running.done()
    assert grader.replies == ["words"] and len(stage.server.gateway.identifies) == 2


async def test_a_discord_that_is_down_for_a_while(stage: Stage, ann: Person) -> None:
    await ask(ann, "/next precision")
    await stage.server.stop()
    await stage.server.start()
    await stage.server.connected(timeout=30)

    assert "50/100" in shown((await ask(ann, "words")).content)


async def test_what_was_written_while_the_coach_was_down_is_read_after_the_restart(
    home: World, server: DiscordServer, ann: Person, bob: Person, tmp_path: Path, grader: Echo
) -> None:
    async with at_work(home, server, cache=tmp_path):
        await ask(ann, "/next precision")
        await ask(bob, "/help")
    await ann.dm("words")
    home.clock.move(seconds=10)
    await ann.dm("/streak")
    async with at_work(home, server, cache=tmp_path):
        assert "50/100" in shown((await ann.next_message()).content)
        assert "1 day in a row" in shown((await ann.next_message()).content)
    async with at_work(home, server, cache=tmp_path):
        await server.settled()

    assert grader.replies == ["words"] and ann.unread() == []
    assert [message.content for message in server.sent(bob)] == [server.sent(bob)[0].content]


async def test_what_was_written_meanwhile_is_read_also_where_the_files_of_the_last_process_are_lost(
    home: World, server: DiscordServer, ann: Person, guild: Guild
) -> None:
    """Another machine, or an empty cache: how far each chat was read is in the database. Bob's was opened by the coach."""
    bob = server.person("Bob", guilds=(guild,))
    async with at_work(home, server) as stage:
        await ask(ann, "/help")
        await use(bob, "/daily", guild.channels[0], time="09:00")
        await stage.comes_to(datetime(2026, 11, 24, 9, 0, tzinfo=UTC))
        for person in (ann, bob):
            assert "Question of the day" in shown((await person.next_message()).content)
    for person in (ann, bob):
        await person.dm("/streak")
    async with at_work(home, server):
        for person in (ann, bob):
            assert "No streak yet" in shown((await person.next_message()).content)


async def test_a_message_whose_fate_is_unknown_is_looked_for_in_the_chat_when_its_nonce_is_too_old(
    home: World, server: DiscordServer, ann: Person
) -> None:
    """The process is cut off when Discord has taken the message, and comes back ten minutes later."""
    async with at_work(home, server) as stage:
        await ask(ann, "/next precision")
        cut = server.fault("POST /channels/*/messages", cut=True, when="after", times=None)
        await ann.dm("/hint")
        await stage.retries()
        await server.wait_for(lambda: len(cut.hits) > 1, 90, "the second try")
    cut.cancel()
    home.clock.move(minutes=10)
    async with at_work(home, server) as stage:
        await stage.courier.drained()
        await ask(ann, "/help")

    assert sum("Hint" in shown(message.content).split("\n")[0] for message in server.sent(ann)) == 1
    assert (await home.store.count()).get("outbox retry", 0) == 0


async def test_more_messages_than_one_page_of_history_are_all_read(
    library: Library, database: Path, clock: FakeClock, server: DiscordServer, ann: Person, tmp_path: Path
) -> None:
    async with world(library, database, clock=clock, most_a_minute=200) as home:
        async with at_work(home, server, cache=tmp_path):
            await ask(ann, "/help")
        for _ in range(101):
            await ann.dm("/streak")
        async with at_work(home, server, cache=tmp_path):
            for _ in range(101):
                await ann.next_message(20)
            await ann.quiet(0.02)


async def test_a_chat_that_can_not_be_read_keeps_nobody_waiting(home: World, server: DiscordServer, ann: Person, tmp_path: Path) -> None:
    async with at_work(home, server, cache=tmp_path):
        await ask(ann, "/help")
    server.fault("GET /channels/*/messages", times=None, status=403, code=50001)
    async with at_work(home, server, cache=tmp_path):
        assert "How this works" in shown((await ask(ann, "/help")).content)


async def test_private_messages_and_servers_on_several_shards(home: World, server: DiscordServer, ann: Person) -> None:
    server.shards = 2
    guilds = [server.guild("Study", members=[ann]) for _ in range(2)]
    while {(one.id >> 22) % 2 for one in guilds} != {0, 1}:
        home.clock.move(seconds=0.001)
        guilds.append(server.guild("Study", members=[ann]))
    async with at_work(home, server):
        await server.connected(2)
        for one in guilds:
            assert "No streak" in shown((await use(ann, "streak", one.general)).content)
        assert "How this works" in shown((await ask(ann, "/help")).content)


async def test_logs_hold_ids_only(home: World, server: DiscordServer, ann: Person, guild: Guild) -> None:
    """Neither words nor names nor tokens, whatever goes wrong."""
    with structlog.testing.capture_logs() as logs:
        async with at_work(home, server):
            question = await use(ann, "next", guild.general, topic="precision")
            server.fault("PATCH /webhooks/*", status=404, code=10015)
            sent = await reply_to(ann, question, "poison words")
            assert "went wrong" in shown((await ann.next_message()).content)
            server.fault("POST /interactions/*", status=404, code=10062)
            await ann.slash("help", wait=False)
            await ann.next_message()
            server.gateway.garble()
            await server.wait_for(lambda: len(server.gateway.identifies) == 2)
    assert {"turn failed", "not acknowledged", "connection ended"} <= {entry["event"] for entry in logs}
    assert not any(secret in str(logs) for secret in ("poison", "Ann", sent.token, TOKEN))


async def test_a_wrong_token_is_told_in_a_sentence(home: World, server: DiscordServer) -> None:
    adapter = Discord(home.coach, "wrong", api=server.api)
    with pytest.raises(SettingsError, match="Discord refuses COACH_DISCORD_TOKEN"):
        await adapter.start()
    await adapter.stop()
    with pytest.raises(SettingsError, match="is not a token"):
        Discord(home.coach, "two words")


@pytest.mark.parametrize(
    ("code", "sentence"), [(4004, "refuses COACH_DISCORD_TOKEN"), (4014, "what this bot asks"), (4013, "what this bot asks")]
)
async def test_a_refusal_while_running_is_told_in_a_sentence(stage: Stage, code: int, sentence: str) -> None:
    stage.server.gateway.drop(code)
    with pytest.raises(SettingsError, match=sentence):
        await asyncio.wait_for(stage.running, 10)


async def test_a_discord_that_is_away_at_the_start_is_waited_for(home: World, server: DiscordServer, ann: Person) -> None:
    server.fault("GET /users/@me", times=2, status=503)
    server.fault("GET /gateway/bot", times=1, status=503)
    async with at_work(home, server):
        assert "How this works" in shown((await ask(ann, "/help")).content)


async def test_a_coach_is_stopped_while_discord_is_away(home: World, server: DiscordServer) -> None:
    away = server.fault("GET /users/@me", times=None, status=503)
    adapter = Discord(home.coach, TOKEN, api=server.api)
    starting = asyncio.create_task(adapter.start())
    await away.reached.wait()
    await asyncio.wait_for(adapter.stop(), 20)
    await asyncio.wait_for(starting, 20)


async def test_a_coach_is_stopped_while_the_gateway_is_away(home: World, server: DiscordServer) -> None:
    away = server.fault("WS *", times=None, status=503)
    adapter = Discord(home.coach, TOKEN, api=server.api)
    await adapter.start()
    running = asyncio.create_task(adapter.run())
    await away.reached.wait()
    await asyncio.wait_for(adapter.stop(), 10)
    await asyncio.wait_for(running, 20)


# ---------------------------------------------------------------------------------------------- the process


@asynccontextmanager
async def process(server: DiscordServer, database: Path, token: str = TOKEN) -> AsyncIterator[asyncio.subprocess.Process]:
    """`coach run` on Discord."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("COACH_")}
    settings = {
        "COACH_DISCORD_TOKEN": token, "COACH_DISCORD_API": server.api, "COACH_DATABASE": f"sqlite:///{database}",
        "COACH_CACHE": str(database.parent / "cache"), "COACH_LOG": "debug",
    }  # fmt: skip
    pipe = asyncio.subprocess.PIPE
    with kept_in(database.parent / "cache"):
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "adapters", "run", env={**own, **settings}, stdout=pipe, stderr=pipe, cwd=Path(__file__).parents[1]
        )
        try:
            yield started
        finally:
            if started.returncode is None:
                started.kill()
                await started.communicate()


async def test_the_process_serves_until_sigterm(database: Path) -> None:
    async with DiscordServer(contract=CONTRACT) as server:
        zoe = server.person("Zoefirstname", guilds=(server.guild("Study"),))
        async with process(server, database) as started:
            await server.connected(timeout=30)
            assert "How this works" in shown((await ask(zoe, "/help")).content)
            await ask(zoe, "/zone wordsofalearner")
            started.send_signal(signal.SIGTERM)
            out, err = (text.decode() for text in await asyncio.wait_for(started.communicate(), 10))

    assert started.returncode == 0
    assert out.startswith("The coach serves Discord; its data is in ")
    assert not any(secret in err for secret in (TOKEN, "wordsofalearner", "Zoefirstname", "Traceback"))
    assert server.violations == []


async def test_a_process_that_was_killed_is_continued_by_the_next(database: Path) -> None:
    """Between taking and handling, between handling and sending, and in the middle of sending: once each, and nothing lost."""
    async with DiscordServer(contract=CONTRACT) as server:
        guild = server.guild("Study")
        people = [server.person(name, guilds=(guild,)) for name in ("Ann", "Bob", "Cleo", "Dan")]
        ann, bob, cleo, dan = people
        async with process(server, database) as first:
            await server.connected(timeout=30)
            for person in people:
                await ask(person, "/help")
            async with asyncio.timeout(10):  # the file of chats is written within a second
                while chats_noted(database.parent / "cache") < len(people):
                    await asyncio.sleep(0.05)
            faults = [
                server.fault("POST /channels/*/messages", hold=asyncio.Event(), cut=True, when="after"),
                server.fault("PATCH /webhooks/*", hold=asyncio.Event(), cut=True),
                server.fault("POST /interactions/*", skip=1, hold=asyncio.Event(), cut=True),
            ]
            await ann.dm("/topics")
            await bob.slash("topics", channel=guild.general)
            await cleo.slash("topics", channel=guild.general, wait=False)
            await asyncio.gather(*(asyncio.wait_for(fault.reached.wait(), 10) for fault in faults))
            first.kill()
            await first.communicate()
        await dan.dm("/topics")
        async with process(server, database) as second:
            await server.connected(timeout=30)
            for person in people:
                assert "What I ask about" in shown((await person.next_message(20)).content)
            for person in people:
                assert "No streak yet" in shown((await ask(person, "/streak")).content)
            second.send_signal(signal.SIGTERM)
            await asyncio.wait_for(second.communicate(), 10)

    assert second.returncode == 0 and len(server.syncs) == 1
    assert server.violations == []


async def test_a_process_with_a_wrong_token_says_so_in_a_sentence(database: Path) -> None:
    async with DiscordServer() as server, process(server, database, "another") as started:
        _, err = await asyncio.wait_for(started.communicate(), 30)

    assert started.returncode == 1
    assert err.decode() == "coach: Discord refuses COACH_DISCORD_TOKEN: take the right one from the Bot page of your application\n"


async def test_discord_is_loaded_only_where_it_is_wanted() -> None:
    code = "import sys, adapters.__main__, bot; sys.exit('discord' in sys.modules)"
    assert await (await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=Path(__file__).parents[1])).wait() == 0
