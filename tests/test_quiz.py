"""The quiz of a server as things really happen: the real discord.py client against a strict Discord on loopback."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from peers.discord import Channel, DiscordServer, Guild, Interaction, Message, Person
from test_discord import CONTRACT, Stage, at_work, process, shown, use
from worlds import FakeClock, World, kept, world

from adapters.discord.commands import being_typed, spoken
from adapters.discord.quiz import embeds, given
from bot import Address, Choice, Place, Reply, Span, Style, units
from bot.content import Library, Rubric
from bot.database import Database
from bot.grading.plain import PlainGrader
from bot.grading.reader import ReaderGrader
from bot.model import Grade
from bot.rounds import Entry, Hidden, Setup, Total

GOOD = (
    "Of all the posts we deleted, the share that really broke the rules: TP / (TP + FP). It is hurt by false positives only, missed "
    "ones do not enter it. Raising the threshold usually raises it and costs recall."
)
WEAK = "It is hurt by false positives only, missed ones do not enter it."


class Counting:
    """The plain grader, with a list of what it read. A reply with "poison" in it can't be graded."""

    def __init__(self) -> None:
        self.name = "plain 1"
        self.read: list[str] = []
        self.held = asyncio.Event()
        self.held.set()
        self._plain = PlainGrader()

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        self.read.append(reply)
        await self.held.wait()
        if "poison" in reply:
            raise ValueError(reply)
        return await self._plain.grade(rubric, reply)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def grader() -> Counting:
    return Counting()


@pytest.fixture
async def server(clock: FakeClock) -> AsyncIterator[DiscordServer]:
    async with DiscordServer(contract=CONTRACT, now=lambda: clock().timestamp()) as running:
        yield running
        assert running.violations == []


@pytest.fixture
async def home(library: Library, database: Path, clock: FakeClock, grader: Counting) -> AsyncIterator[World]:
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


@pytest.fixture
def boss(server: DiscordServer, guild: Guild) -> Person:
    """Somebody who may manage the server."""
    boss = server.person("Boss", guilds=(guild,))
    guild.role("Staff", permissions=["manage_guild"], members=[boss])
    return boss


def read(message: Message) -> str:
    """What a person reads of an embed, and of what stands above it."""
    parts = [message.content, *(embed.get(key, "") for embed in message.embeds for key in ("title", "description"))]
    return "\n".join(shown(part) for part in parts if part)


async def posted(stage: Stage, channel: Channel, count: int = 1) -> list[Message]:
    """What stands in a channel for everybody, once it is so many messages."""

    def there() -> list[Message]:
        return [message for message in channel.sent if not message.ephemeral]

    await stage.server.wait_for(lambda: len(there()) >= count, what=f"{count} posts in {channel!r}")
    return there()


async def start(stage: Stage, person: Person, channel: Channel, **options: object) -> Message:
    """The question of a new round, as it stands in the channel."""
    before = len([message for message in channel.sent if not message.ephemeral])
    said = await use(person, "quiz start", channel, **{"topic": "precision", **options})
    assert "on its way" in shown(said.content) and said.ephemeral
    return (await posted(stage, channel, before + 1))[-1]


async def answer(person: Person, question: Message, text: str) -> Interaction:
    """Types a reply into the form behind Answer; returns when it was said what became of it."""
    form = await person.presses(question, "Answer")
    assert form.ack == "modal", form.text
    sent = await person.submits(form, text=text)
    await sent.answered()
    return sent


async def closes(stage: Stage, channel: Channel, count: int = 2, **later: float) -> Message:
    """The time of every open round is over; returns the last of so many posts in the channel."""
    await stage.comes_to(stage.home.clock() + (timedelta(**later) if later else timedelta(minutes=10)))
    return (await posted(stage, channel, count))[-1]


async def feedback(person: Person, reveal: Message) -> Message:
    return await (await person.presses(reveal, "My feedback")).answered()


# ---------------------------------------------------------------------------------------------- a whole round


async def test_a_round_from_its_question_to_everybodys_feedback(
    stage: Stage, ann: Person, bob: Person, guild: Guild, library: Library, grader: Counting
) -> None:
    question = await start(stage, ann, guild.general, minutes=10)
    closing_at = int((stage.home.clock() + timedelta(minutes=10)).timestamp())
    assert "Quiz · Model evaluation · level 2" in read(question)
    assert f"Closes <t:{closing_at}:R>" in question.embeds[0]["description"]
    assert question.buttons == ["Answer"] and question.pinged == set()

    wrong = library.questions["precision"].misconceptions[0]
    sent = await answer(bob, question, wrong.phrasings[0])
    assert sent.ephemeral and "Your reply is in" in shown(sent.reply.content) and sent.reply.buttons == []
    await answer(ann, question, GOOD)
    reveal = await closes(stage, guild.general)
    text = read(reveal)

    assert "The answer · Precision" in text and library.questions["precision"].answer.splitlines()[0] in text
    assert "Ranking · 2 replies\n🥇 Ann · " in text and "\n2. Bob · " not in text and "\n🥈 Bob · " in text
    assert "Missed most · by " in text
    assert "The most common mistake · 1 of 2\n❌ " in text and wrong.correction in text
    assert reveal.buttons == ["My feedback"]
    mine, his = await feedback(ann, reveal), await feedback(bob, reveal)
    assert "You came 1st of 2." in shown(mine.content) and "Raising the threshold usually" in shown(mine.content) and mine.ephemeral
    assert "You came 2nd of 2." in shown(his.content) and wrong.correction[:60] in shown(his.content)
    assert sorted(grader.read) == sorted([wrong.phrasings[0], GOOD])


async def test_a_second_reply_replaces_the_first_until_the_close(
    stage: Stage, ann: Person, bob: Person, guild: Guild, database: Path
) -> None:
    question = await start(stage, ann, guild.general)
    await answer(bob, question, WEAK)
    again = await answer(bob, question, GOOD)
    assert "replaces the first" in shown(again.reply.content)
    reveal = await closes(stage, guild.general)

    assert "Bob" in read(reveal) and "Raising the threshold usually" in shown((await feedback(bob, reveal)).content)
    with closing(sqlite3.connect(database)) as kept:
        assert kept.execute("SELECT text FROM entry").fetchall() == [(GOOD,)]
        assert kept.execute("SELECT text FROM attempt").fetchall() == [(GOOD,)]


async def test_a_reply_that_comes_too_late_is_told_so_kindly(stage: Stage, ann: Person, bob: Person, guild: Guild) -> None:
    """A form that was opened in time and sent after the close, and a press after it, which opens no form any more."""
    question = await start(stage, ann, guild.general)
    form = await bob.presses(question, "Answer")
    stage.home.clock.move(minutes=10)
    sent = await bob.submits(form, text=GOOD)
    assert "closed before your reply came" in shown((await sent.answered()).content)
    pressed = await bob.presses(question, "Answer")
    assert pressed.ack == "message" and pressed.ephemeral and "closed before" in shown(pressed.reply.content)
    reveal = await closes(stage, guild.general)

    assert "Nobody replied this time" in read(reveal) and reveal.buttons == []
    late = await bob.presses(question, "Answer")
    assert "closed before" in shown(late.reply.content)


async def test_the_reply_of_one_alone_is_ranked_and_kept_to_themselves(stage: Stage, ann: Person, bob: Person, guild: Guild) -> None:
    """Everybody would know who missed what."""
    question = await start(stage, ann, guild.general)
    await answer(bob, question, WEAK)
    reveal = await closes(stage, guild.general)

    assert "Ranking · 1 reply\n🥇 Bob" in read(reveal) and "Missed most" not in read(reveal) and "common mistake" not in read(reveal)
    assert "You came" not in shown((await feedback(bob, reveal)).content)
    assert "did not reply in this round" in shown((await feedback(ann, reveal)).content)
    assert "Nobody yet" in shown((await use(ann, "quiz board", guild.general)).content)


async def test_a_reply_that_can_not_be_graded_holds_up_nobody(stage: Stage, ann: Person, bob: Person, guild: Guild) -> None:
    question = await start(stage, ann, guild.general)
    await answer(ann, question, "poison words")
    await answer(bob, question, WEAK)
    reveal = await closes(stage, guild.general)

    assert "🥇 Bob" in read(reveal) and "❔ Ann · not graded" in read(reveal)
    assert "I can't tell how good this reply is" in shown((await feedback(ann, reveal)).content)


async def test_words_without_a_word_are_not_a_reply(stage: Stage, ann: Person, guild: Guild) -> None:
    question = await start(stage, ann, guild.general)
    sent = await answer(ann, question, "...")

    assert "I need words" in shown(sent.reply.content)
    assert "0 replies" in shown((await use(ann, "quiz status", guild.general)).content)


async def test_a_reply_is_an_attempt_of_its_learner_and_asks_nobody_for_a_question_a_day(
    stage: Stage, ann: Person, bob: Person, guild: Guild
) -> None:
    question = await start(stage, ann, guild.general)
    await answer(bob, question, GOOD)
    await closes(stage, guild.general)

    assert "1 reply graded" in shown((await use(bob, "progress", guild.general)).content)
    assert "1 day in a row" in shown((await use(bob, "streak", guild.general)).content)
    await stage.comes_to(stage.home.clock() + timedelta(days=1))
    assert stage.server.sent(bob) == []


# ---------------------------------------------------------------------------------------------- many, and what goes wrong


async def test_fifty_members_answer_one_round_at_once(
    stage: Stage, server: DiscordServer, guild: Guild, ann: Person, grader: Counting, library: Library
) -> None:
    """Every reply is graded once, there is one reveal, and nobody's words ever reach anybody, whatever the bot sent."""
    people = [server.person(f"Member {number}", guilds=(guild,)) for number in range(50)]
    question = await start(stage, ann, guild.general)
    texts = [f"{GOOD if number % 2 else WEAK} I said zebra{number:02d}." for number in range(50)]
    sent = await asyncio.gather(*(answer(person, question, text) for person, text in zip(people, texts, strict=True)))

    assert all("Your reply is in" in shown(one.reply.content) and one.ack_seconds is not None for one in sent)
    assert "50 replies" in shown((await use(ann, "quiz status", guild.general)).content)
    model = library.questions["precision"].answer[:40]
    assert not any(secret in json.dumps(call.body) for call in server.calls for secret in ("zebra", model))
    reveal = await closes(stage, guild.general)
    await server.settled()

    assert Counter(grader.read) == dict.fromkeys(texts, 1)
    assert [model in message.text for message in guild.general.sent if not message.ephemeral] == [False, True]
    assert "Ranking · 50 replies" in read(reveal) and "and 40 more" in read(reveal)
    assert not any("zebra" in json.dumps(call.body) for call in server.calls)
    assert "zebra" not in server.seen_by(ann) + server.wire_text(guild.general)
    assert await stage.attempts() == 50
    own = await feedback(people[7], reveal)
    assert " of 50." in shown(own.content) and own.ephemeral
    assert "nobody" not in {entry.name for entry in await stage.home.store.entries(_id(question))}


def _id(question: Message) -> str:
    (part,) = question.parts
    return str(part["custom_id"]).rpartition(" ")[2]


async def test_a_grader_that_takes_its_time_holds_up_no_answer(
    stage: Stage, ann: Person, bob: Person, guild: Guild, grader: Counting
) -> None:
    """Replies are acknowledged and replaced while others are being graded; the reveal waits for all of them."""
    question = await start(stage, ann, guild.general)
    grader.held.clear()
    await answer(ann, question, WEAK)
    await stage.home.coach.deliver_due(["discord"])
    await stage.server.wait_for(lambda: grader.read, what="the grading to begin")
    await answer(ann, question, GOOD)
    await answer(bob, question, WEAK)
    await stage.comes_to(stage.home.clock() + timedelta(minutes=10))
    assert len([message for message in guild.general.sent if not message.ephemeral]) == 1
    grader.held.set()
    reveal = (await posted(stage, guild.general, 2))[-1]

    assert "🥇 Ann" in read(reveal) and "🥈 Bob" in read(reveal)
    assert "Raising the threshold usually" in shown((await feedback(ann, reveal)).content)


async def test_rounds_of_many_servers_close_at_one_minute_and_one_that_fails_stops_none(
    stage: Stage, server: DiscordServer, ann: Person
) -> None:
    guilds = [server.guild(f"Server {number}", members=[ann]) for number in range(8)]
    await stage.server.settled()
    questions = [await start(stage, ann, one.general) for one in guilds]
    await asyncio.gather(*(answer(ann, question, WEAK) for question in questions))
    forbidden = server.fault(f"POST /channels/{guilds[0].general.id}/messages", times=None, status=403, code=50013)
    broken = server.fault(f"POST /channels/{guilds[1].general.id}/messages", times=1, status=500)
    await stage.comes_to(stage.home.clock() + timedelta(minutes=10))
    for one in guilds[1:]:
        assert "The answer" in read((await posted(stage, one.general, 2))[1])
    assert len(broken.hits) == 1 and len(forbidden.hits) == 1

    forbidden.cancel()
    await stage.comes_to(stage.home.clock() + timedelta(minutes=10))
    assert "The answer" in read((await posted(stage, guilds[0].general, 2))[1])
    await stage.comes_to(stage.home.clock() + timedelta(hours=1))
    assert all(len([message for message in one.general.sent if not message.ephemeral]) == 2 for one in guilds)


async def test_what_was_taken_before_a_crash_is_in_the_ranking_of_a_round_that_closed_meanwhile(
    home: World, server: DiscordServer, ann: Person, bob: Person, guild: Guild
) -> None:
    """The reveal waits for a reply that was sent in time and is handled only after the restart."""
    async with at_work(home, server) as stage:
        question = await start(stage, ann, guild.general)
        await answer(ann, question, WEAK)
    key = str(server.snowflake())
    said = {
        "user": str(bob.id), "text": f"/quiz reply {_id(question)}", "private": False, "language": "en-US",
        "place": [str(guild.id), str(guild.general.id), []], "name": "Bob", "given": {"reply": GOOD},
    }  # fmt: skip
    await home.store.take("discord", [(key, json.dumps(said))], home.clock())
    home.clock.move(minutes=11)
    await home.coach.deliver_due(["discord"])
    assert (await home.store.count()).get("outbox ready", 0) == 0
    async with at_work(home, server) as stage:
        await stage.server.wait_for(lambda: server.sent(bob), what="what became of Bob's reply")
        reveal = await closes(stage, guild.general, seconds=1)

        assert "🥇 Bob" in read(reveal) and "🥈 Ann" in read(reveal)
        assert "Your reply is in" in shown(server.sent(bob)[0].content)


async def test_a_reply_that_can_never_be_handled_is_waited_for_half_a_minute(stage: Stage, ann: Person, guild: Guild) -> None:
    question = await start(stage, ann, guild.general)
    await stage.home.coach.take("discord", [("1", json.dumps({"text": f"/quiz reply {_id(question)}"}))])
    await stage.comes_to(stage.home.clock() + timedelta(minutes=10))
    assert len(stage.server.sent(guild.general)) == 2  # the answer to the command, and the question
    await closes(stage, guild.general, seconds=31)


async def test_a_process_that_was_killed_between_open_and_close_loses_nothing(database: Path, library: Library) -> None:
    """It is down when the round closes, and the next one reveals it, with the replies; once."""
    ReaderGrader.load(library, kept()).judge(library.questions["precision"], GOOD)  # what this reads is kept for the two
    async with DiscordServer(contract=CONTRACT) as server:
        guild = server.guild("Study")
        people = [server.person(name, guilds=(guild,)) for name in ("Ann", "Bob", "Cleo")]
        async with process(server, database) as first:
            await server.connected(timeout=60)
            await use(people[0], "quiz start", guild.general, topic="precision")
            await server.wait_for(lambda: [m for m in guild.general.sent if not m.ephemeral], what="the question")
            question = next(message for message in guild.general.sent if not message.ephemeral)
            for person, text in zip(people, (WEAK, GOOD, WEAK), strict=True):
                await answer(person, question, text)
            first.kill()
            await first.communicate()
        with closing(sqlite3.connect(database)) as stored, stored:
            moved = stored.execute("UPDATE round SET closes_at = datetime('now', '-1 minute'), due_at = datetime('now', '-1 minute')")
            assert moved.rowcount == 1
        async with process(server, database) as second:
            await server.connected(timeout=60)
            await server.wait_for(lambda: len([m for m in guild.general.sent if not m.ephemeral]) > 1, 60, "the reveal")
            reveal = [message for message in guild.general.sent if not message.ephemeral][1]
            assert "Ranking · 3 replies\n🥇 Bob" in read(reveal)
            assert "You came 1st of 3" in shown((await feedback(people[1], reveal)).content)
            assert "You came" in shown((await feedback(people[0], reveal)).content)
            await server.settled()
            assert len([message for message in guild.general.sent if not message.ephemeral]) == 2
            second.kill()
            await second.communicate()
    assert server.violations == []


async def test_a_reveal_that_was_cut_off_in_the_middle_of_sending_is_there_once(
    home: World, server: DiscordServer, ann: Person, guild: Guild
) -> None:
    """Discord took it and the coach never heard: the next run repeats it under the same nonce."""
    async with at_work(home, server) as stage:
        question = await start(stage, ann, guild.general)
        await answer(ann, question, WEAK)
        server.fault("POST /channels/*/messages", when="after", cut=True)
        await closes(stage, guild.general)
    home.clock.move(seconds=5)
    async with at_work(home, server):
        await server.wait_for(lambda: len(server.called("POST /channels/*/messages")) >= 3, what="the repetition")
        await server.settled()

    assert len([message for message in guild.general.sent if not message.ephemeral]) == 2


# ---------------------------------------------------------------------------------------------- status and the early close


async def test_status_says_how_many_have_replied(stage: Stage, ann: Person, bob: Person, guild: Guild) -> None:
    assert "No question is open in this server" in shown((await use(ann, "quiz status", guild.general)).content)
    question = await start(stage, ann, guild.general)
    await answer(bob, question, WEAK)
    other = guild.channel("other")

    assert "1 reply, yours among them, closes" in (await use(bob, "quiz status", guild.general)).content
    assert f"{guild.general.mention}: 1 reply, closes <t:" in (await use(ann, "quiz status", other)).content


async def test_a_round_is_ended_early_by_its_starter_and_by_moderators_only(
    stage: Stage, server: DiscordServer, ann: Person, bob: Person, guild: Guild
) -> None:
    mod = server.person("Mod", guilds=(guild,))
    guild.role("Mods", permissions=["manage_messages"], members=[mod])
    await start(stage, ann, guild.general)
    assert "Only whoever started it" in shown((await use(bob, "quiz close", guild.general)).content)
    assert "Closed with 0 replies" in shown((await use(ann, "quiz close", guild.general)).content)
    await closes(stage, guild.general, seconds=1)

    question = await start(stage, ann, guild.general)
    await answer(bob, question, WEAK)
    stage.home.clock.move(seconds=1)
    assert "Closed with 1 reply" in shown((await use(mod, "quiz close", guild.general)).content)
    assert "closed before" in shown((await bob.presses(question, "Answer")).reply.content)
    reveal = await closes(stage, guild.general, 4, seconds=1)
    assert "🥇 Bob" in read(reveal)
    assert "No question is open in this channel" in shown((await use(mod, "quiz close", guild.general)).content)


async def test_one_round_a_channel_at_a_time(stage: Stage, ann: Person, bob: Person, guild: Guild) -> None:
    await start(stage, ann, guild.general)
    assert "open in this channel already" in shown((await use(bob, "quiz start", guild.general)).content)
    await start(stage, bob, guild.channel("other"))


@pytest.mark.parametrize(
    ("options", "answer"),
    [({"topic": "basket weaving xyz"}, "no question on basket weaving"), ({"topic": "evaluation", "level": "Staff"}, "on its way")],
)
async def test_what_is_asked_for_is_asked_or_refused_clearly(
    stage: Stage, ann: Person, guild: Guild, options: dict[str, object], answer: str
) -> None:
    assert answer in shown((await use(ann, "quiz start", guild.general, **options)).content)


# ---------------------------------------------------------------------------------------------- the board


async def played(stage: Stage, starter: Person, channel: Channel, replies: Sequence[tuple[Person, str]]) -> Message:
    """A whole round with these replies."""
    question = await start(stage, starter, channel)
    for person, text in replies:
        await answer(person, question, text)
    return await closes(stage, channel, len([message for message in channel.sent if not message.ephemeral]) + 1)


async def test_the_board_ranks_members_of_this_server(stage: Stage, server: DiscordServer, ann: Person, bob: Person, guild: Guild) -> None:
    elsewhere = server.guild("Elsewhere", members=[ann, bob])
    await played(stage, ann, guild.general, [(ann, WEAK), (bob, GOOD)])
    await played(stage, ann, guild.general, [(ann, WEAK), (bob, GOOD)])
    board = shown((await use(ann, "quiz board", guild.general)).content)

    assert board.index("🥇 Bob") < board.index("🥈 Ann") and "in 2 rounds" in board
    assert "Nobody yet" in shown((await use(ann, "quiz board", elsewhere.general)).content)
    stage.home.clock.move(days=7)
    assert "Nobody yet" in shown((await use(ann, "quiz board", guild.general)).content)
    assert "Bob" in shown((await use(ann, "quiz board", guild.general, period="This month")).content)
    stage.home.clock.move(days=40)
    assert "Nobody yet" in shown((await use(ann, "quiz board", guild.general, period="This month")).content)
    assert "Of all time" in shown((await use(ann, "quiz board", guild.general, period="Of all time")).content)


async def test_ties_share_a_place_on_the_reveal_and_on_the_board(
    stage: Stage, server: DiscordServer, ann: Person, bob: Person, guild: Guild
) -> None:
    cleo = server.person("Cleo", guilds=(guild,))
    reveal = await played(stage, ann, guild.general, [(ann, GOOD), (bob, GOOD), (cleo, WEAK)])
    board = shown((await use(ann, "quiz board", guild.general)).content)

    for text in (read(reveal), board):
        assert "🥇 Ann" in text and "🥇 Bob" in text and "🥉 Cleo" in text and "🥈" not in text


async def test_who_left_is_on_no_board_and_their_round_goes_on(
    stage: Stage, server: DiscordServer, ann: Person, bob: Person, guild: Guild
) -> None:
    question = await start(stage, ann, guild.general)
    await answer(bob, question, GOOD)
    await answer(ann, question, WEAK)
    bob.leaves(guild)
    reveal = await closes(stage, guild.general)

    assert "🥇 Bob" in read(reveal) and "🥈 Ann" in read(reveal)
    board = shown((await use(ann, "quiz board", guild.general)).content)
    assert "🥇 Ann" in board and "Bob" not in board


async def test_where_discord_can_not_say_who_is_there_everybody_is(
    stage: Stage, server: DiscordServer, ann: Person, bob: Person, guild: Guild
) -> None:
    await played(stage, ann, guild.general, [(ann, WEAK), (bob, GOOD)])
    server.fault("GET /guilds/*/members/*", times=None, status=403, code=50001)

    assert "🥇 Bob" in shown((await use(ann, "quiz board", guild.general)).content)


async def test_hidden_members_are_a_member_and_on_no_board(stage: Stage, ann: Person, bob: Person, guild: Guild) -> None:
    assert "on no board" in shown((await use(bob, "quiz hide", guild.general)).content)
    reveal = await played(stage, ann, guild.general, [(ann, WEAK), (bob, GOOD)])
    board = shown((await use(ann, "quiz board", guild.general)).content)

    assert "🥇 a member · " in read(reveal) and "Bob" not in read(reveal)
    assert "🥇 Ann" in board and "Bob" not in board and "a member" not in board
    assert "You came 1st of 2" in shown((await feedback(bob, reveal)).content)
    assert "back on the boards" in shown((await use(bob, "quiz hide", guild.general)).content)
    assert "🥇 Bob" in shown((await use(ann, "quiz board", guild.general)).content)


async def test_a_name_reaches_nobody_and_formats_nothing(stage: Stage, server: DiscordServer, guild: Guild, ann: Person) -> None:
    for name in ("@everyone", "**[free](https://evil.example)**", "<@1> # x"):
        person = server.person(name, guilds=(guild,))
        reveal = await played(stage, ann, guild.general, [(person, WEAK)])
        assert f"🥇 {name} · " in read(reveal)
        assert not re.search(r"(?<!\\)[@\[]", reveal.embeds[0]["description"].partition("Ranking")[2])
        assert reveal.pinged == set() and not reveal.pings.everyone


# ---------------------------------------------------------------------------------------------- the daily question of a server


async def set_up(person: Person, where: Channel, **options: object) -> str:
    used = await person.slash("quiz setup", channel=where, options=options)
    return shown((await used.answered()).content)


async def test_the_daily_question_of_a_server(stage: Stage, server: DiscordServer, boss: Person, ann: Person, guild: Guild) -> None:
    """At its time, on its days, with its topics, for its minutes, calling its role and nobody else."""
    daily = guild.channel("daily")
    learners = guild.role("Learners", members=[ann], mentionable=True)
    text = await set_up(
        boss, guild.general, channel=daily, days="mon-fri", time="18:30", zone="Berlin", topics="evaluation", level="Regular",
        role=learners, minutes=30,
    )  # fmt: skip
    assert "weekdays at 18:30, Berlin time" in text and "Open for: 30 minutes" in text and "still need" not in text
    assert "Topics: Model evaluation" in text and "Level: 2, regular" in text

    due = datetime(2026, 11, 23, 17, 30, tzinfo=UTC)
    await stage.comes_to(due - timedelta(seconds=1))
    assert server.sent(daily) == []
    await stage.comes_to(due)
    question = (await posted(stage, daily))[0]
    assert "Question of the day · Model evaluation · level 2" in read(question)
    assert question.pinged == {ann} and question.pings.roles == [learners] and not question.pings.everyone
    assert f"<t:{int((due + timedelta(minutes=30)).timestamp())}:R>" in question.embeds[0]["description"]
    await answer(ann, question, WEAK)
    await stage.comes_to(due + timedelta(minutes=30))
    assert "🥇 Ann" in read((await posted(stage, daily, 2))[1])
    for day in range(1, 8):
        await stage.comes_to(due + timedelta(days=day))
        await stage.comes_to(due + timedelta(days=day, minutes=30))
    await posted(stage, daily, 12)
    asked = [read(message) for message in server.sent(daily) if "Question of the day" in read(message)]
    assert len(asked) == 1 + 5 == len(set(asked))  # Tuesday to Friday and Monday again


async def test_the_set_up_is_for_those_who_manage_the_server(stage: Stage, ann: Person, boss: Person, guild: Guild) -> None:
    assert "needs the Manage Server permission" in await set_up(ann, guild.general, time="09:00")
    assert "Daily question: off" in await set_up(boss, guild.general)
    assert await stage.home.store.setup("discord", str(guild.id)) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"days": "someday"}, "Which days?"),
        ({"time": "teatime"}, "At what time?"),
        ({"zone": "Narnia"}, "one city or time zone"),
        ({"topics": "evaluation, basket weaving xyz"}, "no such topic"),
    ],
)
async def test_what_can_not_be_understood_is_asked_for_and_nothing_changes(
    stage: Stage, boss: Person, guild: Guild, options: dict[str, str], said: str
) -> None:
    await set_up(boss, guild.general, time="09:00")
    before = await stage.home.store.setup("discord", str(guild.id))

    assert said in await set_up(boss, guild.general, **{**options, "minutes": 99})
    assert await stage.home.store.setup("discord", str(guild.id)) == before


async def test_the_set_up_is_changed_part_by_part_and_switched_off(stage: Stage, boss: Person, guild: Guild) -> None:
    role = guild.role("Learners")
    await set_up(boss, guild.general, time="09:00", days="mon, wed", topics="evaluation, features", role=role)
    text = await set_up(boss, guild.general, level="Any", topics="all", role=guild.everyone)
    assert "Mon, Wed at 09:00, UTC time" in text and "Topics: all" in text and "Calls" not in text
    assert "Daily question: off" in await set_up(boss, guild.general, time="off")
    await stage.comes_to(stage.home.clock() + timedelta(days=10))

    assert [message for message in guild.general.sent if not message.ephemeral] == []


async def test_each_permission_that_is_missing_is_named_at_set_up(stage: Stage, boss: Person, guild: Guild) -> None:
    role = guild.role("Learners")
    guild.general.denies("mention_everyone")
    daily = guild.channel("daily", deny=["send_messages", "embed_links"])
    await stage.server.settled()
    text = await set_up(boss, guild.general, channel=daily, time="09:00", role=role)
    assert text.endswith("I still need: \n• Send Messages\n• Embed Links"), text
    assert "• Mention @everyone, @here and All Roles" in await set_up(boss, guild.general, channel=guild.general)
    secret = guild.channel("secret", only=[boss])
    await stage.server.settled()
    assert "• View Channel" in await set_up(boss, guild.general, channel=secret)
    daily.allows("send_messages", "embed_links")
    await stage.server.settled()
    assert "still need" not in await set_up(boss, guild.general, channel=daily)


async def test_a_round_is_not_started_where_it_could_not_be_posted(stage: Stage, ann: Person, guild: Guild) -> None:
    guild.general.denies("embed_links")
    await stage.server.settled()
    said = await use(ann, "quiz start", guild.general)

    assert "• Embed Links" in shown(said.content)
    assert await stage.home.store.rounds_open("discord", str(guild.id)) == []


async def test_permissions_that_vanish_are_named_to_whom_set_it_up_once(stage: Stage, boss: Person, ann: Person, guild: Guild) -> None:
    await set_up(boss, guild.general, time="13:00")
    guild.general.denies("send_messages")
    await stage.server.settled()
    for day in range(3):
        await stage.comes_to(datetime(2026, 11, 23 + day, 13, 0, tzinfo=UTC))
    told = [shown(message.content) for message in stage.server.sent(boss)]
    assert len(told) == 1 and told[0].endswith("I still need: \n• Send Messages\nThe question was not asked."), told
    assert stage.server.sent(ann) == []

    guild.general.allows("send_messages")
    await stage.server.settled()
    await stage.comes_to(datetime(2026, 11, 26, 13, 0, tzinfo=UTC))
    (question,) = await posted(stage, guild.general)
    await answer(ann, question, WEAK)
    guild.general.denies("send_messages")
    await stage.server.settled()
    await stage.comes_to(datetime(2026, 11, 26, 13, 10, tzinfo=UTC))
    await stage.server.wait_for(lambda: len(stage.server.sent(boss)) == 2, what="the second notice")
    assert "every ten minutes" in shown(stage.server.sent(boss)[1].content)
    await stage.courier.drained()
    guild.general.allows("send_messages")
    await stage.server.settled()
    reveal = await closes(stage, guild.general)
    assert "🥇 Ann" in read(reveal)


async def test_a_channel_that_is_deleted_is_told_to_whom_started_there(stage: Stage, ann: Person, guild: Guild) -> None:
    other = guild.channel("other")
    await start(stage, ann, other)
    other.deletes()
    await stage.server.settled()
    await stage.comes_to(stage.home.clock() + timedelta(minutes=10))

    assert "gone, or closed to me" in shown((await ann.next_message()).content)


# ---------------------------------------------------------------------------------------------- the border


async def test_a_quiz_belongs_in_a_server(stage: Stage, server: DiscordServer, ann: Person) -> None:
    """In private, and in a server where only somebody's own account brought the app, it is told politely."""
    eve = server.person("Eve", installed=True)
    elsewhere = server.guild("Elsewhere", members=[eve], bot=False)

    assert "belongs in a server" in shown((await use(ann, "quiz start")).content)
    assert "belongs in a server" in shown((await use(eve, "quiz start", elsewhere.general)).content)
    await ann.dm("/quiz start")
    assert "belongs in a server" in shown((await ann.next_message(10)).content)


async def test_a_button_of_a_round_that_nobody_knows(stage: Stage, ann: Person, guild: Guild) -> None:
    question = await start(stage, ann, guild.general)
    question.components[0]["components"][0]["custom_id"] = "ask:/quiz reply nobody"

    assert "don't know that round" in shown((await ann.presses(question, "Answer")).reply.content)


async def test_topics_and_zones_are_offered(stage: Stage, boss: Person, guild: Guild) -> None:
    topics = await boss.autocomplete("quiz start", "topic", "precis", channel=guild.general)
    zones = await boss.autocomplete("quiz setup", "zone", "berl", channel=guild.general)
    sections = await boss.autocomplete("quiz setup", "topics", "eval", channel=guild.general)

    assert topics[0].value == "precision" and zones[0].value == "Europe/Berlin" and [one.value for one in sections] == ["evaluation"]


def test_a_subcommand_is_a_line_with_what_was_filled_in_beside_it() -> None:
    options = [{"name": "topic", "value": "@everyone"}, {"name": "minutes", "value": 5}, {"name": "role", "value": "7", "focused": True}]
    data = {"name": "quiz", "options": [{"type": 1, "name": "start", "options": options}]}

    assert spoken(data) == "/quiz start"
    assert given(data, "1") == {"topic": "@everyone", "minutes": "5", "role": "7"}
    assert given(data, "7")["role"] == ""
    assert being_typed(data) == ("", "7")


def test_a_post_is_cut_into_embeds_that_discord_takes() -> None:
    long = Reply((Span("Head", Style.BOLD), Span("\n\n" + "*" * 9000), Span(" end", Style.BOLD)), ((Choice("a", "b"),),))
    made = embeds(long)

    assert made[0]["title"] == "Head" and "title" not in made[1]
    assert all(units(one["description"]) <= 4096 for one in made)
    assert "".join(one["description"] for one in made).count("\\*") == 9000
    assert "title" not in embeds(Reply((Span("x" * 300, Style.BOLD),)))[0]


async def test_what_is_kept_of_rounds_comes_back_as_it_was(database: Path, library: Library, clock: FakeClock) -> None:
    setup = Setup(
        "discord", "s", "c", Address("discord", "1", "2"), frozenset([0, 6]), 5, "Asia/Tokyo", frozenset(["a", "b"]), 3, "9", 7, True,
        clock(),
    )  # fmt: skip
    async with world(library, database, clock=clock) as one:
        await one.says("/quiz start", place=Place("s", "c"), given={"topic": "precision"}, name="Ann")
        (opened,) = await one.store.rounds_open("console", "s")
        await one.says(f"/quiz reply {opened.id}", place=Place("s", "c"), given={"reply": GOOD}, name="Ann")
        entry = await one.store.entry(opened.id, "ann")
        assert entry == Entry(opened.id, "ann", "Ann", GOOD, clock())
        assert await one.store.begin(clock(), setup, None, None, clock()) is False
        await one.coach.deliver_due(["console"])
        async with asyncio.timeout(10):
            while (marked := await one.store.entry(opened.id, "ann")) is None or marked.grade is None:
                await asyncio.sleep(0.005)
        assert marked.grade == PlainGrader().judge(library.questions["precision"], GOOD)
        await _write(one.store, setup, Hidden("discord", "1"))
    async with world(library, database, clock=clock) as again:
        assert await again.store.round(opened.id) == opened
        assert await again.store.setup("discord", "s") == setup
        assert await again.store.hidden("discord", ["1", "2"]) == {"1"}
        assert await again.store.totals("console", "s", None) == []


async def _write(store: Database, *things: object) -> None:
    from bot.model import Changes

    await store.record("k1", Address("discord", "1", "1"), Changes(also=things), [], datetime(2026, 11, 23, tzinfo=UTC))


async def test_a_database_from_before_keeps_its_learners_and_gains_rounds(database: Path, library: Library) -> None:
    from alembic import command
    from sqlalchemy import create_engine

    from bot import migrations

    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        command.upgrade(migrations._config(connection), "0001")
    engine.dispose()
    with closing(sqlite3.connect(database)) as old, old:
        old.execute(
            "INSERT INTO learner VALUES ('a1', '2026-01-01 00:00:00', 'console', 'ann', 'ann', 'UTC', 540, '', 3, NULL, '', 1, NULL)"
        )
        old.execute("INSERT INTO address VALUES ('console', 'ann', 'ann', 'a1')")
    async with world(library, database) as home:
        await home.says("/quiz start", place=Place("s", "c"))

        assert (await home.store.recall(home.address)).learner is not None
        assert len(await home.store.rounds_open("console", "s")) == 1
        assert await home.store.totals("console", "s", None) == list[Total]()
