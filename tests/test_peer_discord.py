"""The loopback Discord is as strict as the real one: each rule is shown with the real client over real HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import io
import logging
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import discord
import pytest
from discord import app_commands, ui
from peers.discord import TOKEN, Channel, DiscordServer, Guild, Person, discord_contract

CONTRACT = discord_contract()
SECRET = "my private answer"


class Form(ui.Modal, title="Your answer"):
    answer: ui.TextInput[Form] = ui.TextInput(label="Answer", custom_id="answer", style=discord.TextStyle.long, max_length=300)

    async def on_submit(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_message(f"you wrote: {self.answer.value}", ephemeral=True)


class Panel(ui.View):
    """A quiz question: an answer in a form, a choice, an update and a deferred update."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @ui.button(label="Answer", custom_id="quiz:answer")
    async def answer(self, interaction: discord.Interaction, button: ui.Button[Panel]) -> None:
        await interaction.response.send_modal(Form())

    @ui.button(label="Close", custom_id="quiz:close")
    async def close(self, interaction: discord.Interaction, button: ui.Button[Panel]) -> None:
        await interaction.response.edit_message(content="closed", embed=None, view=None)

    @ui.button(label="Later", custom_id="quiz:later")
    async def later(self, interaction: discord.Interaction, button: ui.Button[Panel]) -> None:
        await interaction.response.defer()
        await interaction.edit_original_response(content="edited later")
        await interaction.followup.send("and more", ephemeral=True)

    @ui.button(label="Off", custom_id="quiz:off", disabled=True)
    async def off(self, interaction: discord.Interaction, button: ui.Button[Panel]) -> None: ...

    @ui.select(
        custom_id="quiz:pick",
        max_values=2,
        options=[discord.SelectOption(label="First", value="a"), discord.SelectOption(label="Second", value="b")],
    )
    async def pick(self, interaction: discord.Interaction, select: ui.Select[Panel]) -> None:
        await interaction.response.send_message(f"picked {select.values}", ephemeral=True)


def build(tree: app_commands.CommandTree[Any], gate: asyncio.Event) -> None:
    """The commands of the bot under test."""
    quiz = app_commands.Group(name="quiz", description="quizzes", guild_only=True)

    @quiz.command(name="start", description="open a question")
    @app_commands.choices(level=[app_commands.Choice(name="Easy", value=1), app_commands.Choice(name="Hard", value=2)])
    async def start(
        interaction: discord.Interaction,
        topic: str,
        minutes: app_commands.Range[int, 1, 60],
        level: int = 1,
        role: discord.Role | None = None,
        where: discord.TextChannel | None = None,
        who: discord.Member | None = None,
    ) -> None:
        named = " ".join(str(part) for part in (level, role, where, who) if part)
        embed = discord.Embed(title="Question", description=topic)
        await interaction.response.send_message(f"{topic} for {minutes} {named}", embed=embed, view=Panel())

    @tree.command(description="set the time")
    @app_commands.allowed_installs(guilds=True, users=True)
    async def daily(interaction: discord.Interaction, time: str, note: str = "") -> None:
        answer = await interaction.response.send_message(f"daily at {time}", ephemeral=True)
        assert isinstance(answer.resource, discord.InteractionMessage) and answer.resource.content == f"daily at {time}"

    @daily.autocomplete("time")
    async def times(interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=f"{h:02}:00", value=f"{h:02}:00") for h in range(24) if f"{h:02}".startswith(current)]

    @tree.command(description="grade slowly")
    async def grade(interaction: discord.Interaction, secret: bool = False, follow: bool = False) -> None:
        await interaction.response.defer(ephemeral=secret, thinking=True)
        await gate.wait()
        if follow:
            await interaction.followup.send("first follow-up")
        else:
            await interaction.edit_original_response(content=SECRET)
        await interaction.followup.send("second", files=[discord.File(io.BytesIO(b"report"), "r.txt")])

    @tree.command(description="answer with a file")
    async def report(interaction: discord.Interaction) -> None:
        await interaction.response.send_message(file=discord.File(io.BytesIO(b"a,b"), "week.csv"))
        await interaction.delete_original_response()

    @tree.command(description="never answer")
    async def sleep(interaction: discord.Interaction) -> None:
        await gate.wait()
        await interaction.response.send_message("too late")

    @tree.command(description="answer twice")
    async def twice(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("one")
        interaction.response._response_type = None
        await interaction.response.send_message("two")

    @tree.command(description="for the owner", name="admin")
    @app_commands.default_permissions(manage_guild=True)
    async def admin(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("yes")

    tree.add_command(quiz)


class Coach(discord.Client):
    """The bot under test: it remembers what it heard and echoes messages."""

    running: asyncio.Task[None]

    def __init__(self, intents: discord.Intents) -> None:
        super().__init__(intents=intents, guild_ready_timeout=0.05, allowed_mentions=None)
        self.gate = asyncio.Event()
        self.tree = app_commands.CommandTree(self)
        build(self.tree, self.gate)
        self.heard: list[str] = []
        self.said: list[str] = []
        self.errors: list[Exception] = []
        self.up = asyncio.Event()

        @self.tree.error
        async def failed(interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
            self.errors.append(getattr(error, "original", error))

    async def setup_hook(self) -> None:
        await self.tree.sync()
        self.add_view(Panel())

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None: ...

    async def on_ready(self) -> None:
        self.heard.append("ready")
        self.up.set()

    async def on_resumed(self) -> None:
        self.heard.append("resumed")

    async def on_member_join(self, member: discord.Member) -> None:
        self.heard.append(f"join {member.display_name}")

    async def on_message(self, message: discord.Message) -> None:
        if message.author == self.user:
            return
        self.said.append(message.content)
        if message.content.startswith("echo"):
            await message.channel.send(message.content, nonce=message.id % 10**9)


@asynccontextmanager
async def online(server: DiscordServer, intents: discord.Intents | None = None) -> AsyncIterator[Coach]:
    """The bot, connected."""
    with server.redirect_client():
        bot = Coach(intents or discord.Intents(guilds=True, guild_messages=True, dm_messages=True))
        task = bot.running = asyncio.create_task(bot.start(TOKEN))
        try:
            waiting = asyncio.create_task(bot.up.wait())
            await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=10)
            waiting.cancel()
            if task.done():
                await task
            yield bot
        finally:
            await bot.close()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def quiet_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="discord")


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer(contract=CONTRACT) as running:
        yield running


@pytest.fixture
def alice(server: DiscordServer) -> Person:
    return server.person("Alice")


@pytest.fixture
def bob(server: DiscordServer) -> Person:
    return server.person("Bob")


@pytest.fixture
def guild(server: DiscordServer, alice: Person, bob: Person) -> Guild:
    return server.guild("Study", members=[alice, bob], channels=("quiz", "general"))


@pytest.fixture
def quiz(guild: Guild) -> Channel:
    return guild.channels[0]


@pytest.fixture
async def bot(server: DiscordServer, guild: Guild) -> AsyncIterator[Coach]:
    """The bot; afterwards all its requests must have kept to the API description."""
    async with online(server) as running:
        yield running
        assert server.violations == []


@asynccontextmanager
async def signed_in(server: DiscordServer) -> AsyncIterator[discord.Client]:
    """The real REST client alone, without a gateway connection."""
    with server.redirect_client():
        client = discord.Client(intents=discord.Intents.none())
        await client.login(TOKEN)
        try:
            yield client
        finally:
            await client.close()


@pytest.fixture
async def rest(server: DiscordServer, guild: Guild) -> AsyncIterator[discord.Client]:
    async with signed_in(server) as client:
        yield client


def there(client: discord.Client, channel: Channel) -> discord.PartialMessageable:
    return client.get_partial_messageable(channel.id, guild_id=channel.guild.id if channel.guild else None)


async def refusal(what: Awaitable[Any]) -> discord.HTTPException:
    with pytest.raises(discord.HTTPException) as caught:
        await what
    return caught.value


# Coming online


async def test_a_client_gets_ready(server: DiscordServer, guild: Guild, bot: Coach) -> None:
    """Login, IDENTIFY, READY and GUILD_CREATE tell the client who and where it is, and its commands are registered."""
    assert bot.user is not None and bot.user.id == server.bot.id
    assert [g.name for g in bot.guilds] == ["Study"] and [c.name for c in bot.guilds[0].text_channels] == ["quiz", "general"]
    assert [sync.changed for sync in server.syncs] == [True] and "quiz" in server.syncs[0].names
    await bot.tree.sync()
    assert [sync.changed for sync in server.syncs] == [True, False]
    assert bot.guilds[0].text_channels[0].permissions_for(bot.guilds[0].me).send_messages
    assert server.gateway.identifies[0]["intents"] == bot.intents.value


async def test_a_sharded_client_asks_where_the_gateway_is(server: DiscordServer) -> None:
    """Servers are dealt to shards by their id; private messages reach shard 0."""
    server.shards = 2
    alice = server.person("Alice")
    guilds: list[Guild] = []
    while {(guild.id >> 22) % 2 for guild in guilds} != {0, 1}:
        guilds.append(server.guild("Study", members=[alice]))
        await asyncio.sleep(0.002)

    class Sharded(discord.AutoShardedClient):
        async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None: ...

    with server.redirect_client():
        client = Sharded(intents=discord.Intents(guilds=True, dm_messages=True), guild_ready_timeout=0.05)
        task = asyncio.create_task(client.start(TOKEN))
        await server.connected(2)
        waiting = asyncio.ensure_future(client.wait_for("message", timeout=5))
        await asyncio.sleep(0)  # let it listen
        await alice.dm("hello")
        assert (await waiting).content == "hello"
        assert {g.shard_id for g in client.guilds} == {0, 1} and len(client.guilds) == len(guilds)
        await client.close()
        await asyncio.gather(task, return_exceptions=True)
    assert [identify["shard"] for identify in server.gateway.identifies] == [[0, 2], [1, 2]]
    assert server.called("GET /gateway/bot")


async def test_a_wrong_token_is_refused(server: DiscordServer) -> None:
    """401 on REST, 4004 on the gateway."""
    with server.redirect_client():
        client = discord.Client(intents=discord.Intents.none())
        with pytest.raises(discord.LoginFailure):
            await client.start("wrong")
        await client.close()
        async with aiohttp.ClientSession() as session, session.ws_connect(server.gateway_url) as ws:
            await ws.receive_json()
            await ws.send_json({"op": 2, "d": {"token": "wrong", "intents": 0}})
            await ws.receive()
            assert ws.close_code == 4004 == server.gateway.closed[-1]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"op": 99, "d": None}, 4001),
        ("nonsense", 4002),
        ({"op": 3, "d": {}}, 4003),
        ({"op": 2, "d": {"token": TOKEN, "intents": 0, "shard": [2, 2]}}, 4010),
        ({"op": 2, "d": {"token": TOKEN, "intents": 1 << 40}}, 4013),
        ({"op": 2, "d": {"token": TOKEN, "intents": 1 << 15}}, 4014),
    ],
)
async def test_the_gateway_closes_on_mistakes(server: DiscordServer, payload: Any, code: int) -> None:
    """Each mistake has its close code."""
    async with aiohttp.ClientSession() as session, session.ws_connect(server.gateway_url) as ws:
        assert (await ws.receive_json())["op"] == 10
        await (ws.send_str(payload) if isinstance(payload, str) else ws.send_json(payload))
        await ws.receive()
        assert ws.close_code == code


async def test_privileged_intents_must_be_switched_on(guild: Guild, server: DiscordServer) -> None:
    """discord.py says so, and with the switch on members are told of."""
    with pytest.raises(discord.PrivilegedIntentsRequired):
        async with online(server, discord.Intents(guilds=True, members=True)):
            pass
    async with DiscordServer(privileged=("members",)) as open_server:
        alice = open_server.person("Alice")
        study = open_server.guild("Study", members=[alice])
        async with online(open_server, discord.Intents(guilds=True, members=True)) as bot:
            assert bot.guilds[0].get_member(alice.id) is not None
            open_server.person("Carol").joins(study)
            await open_server.wait_for(lambda: "join Carol" in bot.heard)


# Commands


async def test_a_command_with_every_kind_of_option(
    server: DiscordServer, guild: Guild, quiz: Channel, alice: Person, bob: Person, bot: Coach
) -> None:
    """A subcommand gets its options; the answer is public and its view's buttons and options can be read."""
    role = guild.role("Quizmaster", members=[bob])
    seen = await alice.slash(
        "quiz start", channel=quiz, topic="evaluation", minutes=10, level="Hard", role=role, where=guild.channels[1], who=bob
    )
    assert seen.ack == "message" and seen.ack_seconds is not None and 0 < seen.ack_seconds < 1 and not seen.ephemeral
    assert seen.reply.content == "evaluation for 10 2 Quizmaster general bob"
    assert seen.reply.buttons == ["Answer", "Close", "Later", "Off"] and seen.reply.options == ["First", "Second"]
    assert "Question" in server.public_text(quiz) and "Question" in server.seen_by(bob)
    assert "quiz:answer" in server.wire_text(quiz)
    assert await bob.next_message(channel=quiz) is seen.reply
    assert bob.pinged_by == []


async def test_a_client_sends_only_what_it_may(server: DiscordServer, quiz: Channel, alice: Person, bot: Coach) -> None:
    """Unknown, missing and impossible options, and commands that aren't offered there, never reach the bot."""
    before = len(server.interactions)
    for wrong in (
        {"minutes": 10},
        {"topic": "x", "minutes": 61},
        {"topic": "x", "minutes": "1"},
        {"topic": "x", "minutes": 1, "level": "Odd"},
    ):
        with pytest.raises(ValueError):
            await alice.slash("quiz start", channel=quiz, options=wrong)
    with pytest.raises(LookupError):
        await alice.slash("quiz start", topic="x", minutes=1)  # it is for servers only
    with pytest.raises(LookupError):
        await alice.slash("admin", channel=quiz)
    with pytest.raises(LookupError):
        await alice.slash("quiz stop", channel=quiz)
    assert len(server.interactions) == before
    assert "admin" not in alice.commands(quiz) and "quiz" in alice.commands(quiz)


async def test_a_command_in_private_and_from_ones_own_account(server: DiscordServer, bot: Coach, alice: Person) -> None:
    """In private an interaction names its person; whoever added the app may use it in servers where the bot isn't."""
    seen = await alice.slash("daily", time="07:00")
    assert seen.ephemeral and seen.reply.content == "daily at 07:00"
    assert seen.payload["context"] == 1 and seen.payload["user"]["id"] == str(alice.id) and seen.owners == {"0": "0"}
    alice.installs()
    elsewhere = server.guild("Elsewhere", members=[alice], bot=False)
    seen = await alice.slash("daily", channel=elsewhere.general, time="08:00")
    assert seen.reply.content == "daily at 08:00" and seen.owners == {"1": str(alice.id)} and seen.payload["context"] == 0
    with pytest.raises(LookupError):
        await alice.slash("report", channel=elsewhere.general)


async def test_choices_while_typing(server: DiscordServer, quiz: Channel, alice: Person, bot: Coach) -> None:
    """Autocomplete returns what the bot offers."""
    assert [choice.value for choice in await alice.autocomplete("daily", "time", "2", channel=quiz)] == ["20:00", "21:00", "22:00", "23:00"]
    assert "21:00" in server.seen_by(alice)


async def test_defer_edit_and_follow_up(server: DiscordServer, quiz: Channel, alice: Person, bob: Person, bot: Coach) -> None:
    """A deferred answer is said to be thinking until it is edited; a private one stays private, its follow-up doesn't."""
    seen = await alice.slash("grade", channel=quiz, secret=True)
    assert seen.ack == "defer" and seen.deferred and seen.ephemeral and seen.messages == []
    bot.gate.set()
    assert (await seen.answered()).content == SECRET and not seen.deferred
    assert (await seen.followed_up()).files == {"r.txt": b"report"}
    assert SECRET not in server.public_text(quiz) and SECRET not in server.seen_by(bob) and SECRET in server.seen_by(alice)
    assert [message.content for message in server.ledger] == [SECRET, "second"]


async def test_the_first_follow_up_to_a_deferral_is_the_answer(quiz: Channel, alice: Person, bot: Coach) -> None:
    """It takes the place of the thinking state and is as private as that was."""
    bot.gate.set()
    seen = await alice.slash("grade", channel=quiz, secret=True, follow=True)
    await seen.followed_up()
    assert [(m.content, m.ephemeral) for m in seen.messages] == [("first follow-up", True), ("second", False)]


async def test_files_and_deleting_the_answer(server: DiscordServer, quiz: Channel, alice: Person, bob: Person, bot: Coach) -> None:
    """A file can be an answer; what was read before it was deleted stays read."""
    seen = await alice.slash("report", channel=quiz)
    await server.settled()
    assert seen.response and seen.response.deleted and seen.response.files == {"week.csv": b"a,b"}
    assert "a,b" in server.seen_by(bob)


async def test_three_seconds_are_enforced(guild: Guild) -> None:
    """The person is told that nothing came, and the late answer is refused."""
    async with DiscordServer(deadline=0.2) as server:
        alice = server.person("Alice")
        place = server.guild("Study", members=[alice]).general
        async with online(server) as bot:
            seen = await alice.slash("sleep", channel=place)
            assert seen.failed and seen.ack is None
            bot.gate.set()
            await server.wait_for(lambda: bot.errors)
            assert seen.refused == [10062] and isinstance(bot.errors[0], discord.NotFound)
            assert server.ledger == []


async def test_a_second_acknowledgement_is_refused(server: DiscordServer, quiz: Channel, alice: Person, bot: Coach) -> None:
    """Code 40060."""
    seen = await alice.slash("twice", channel=quiz)
    await server.wait_for(lambda: seen.refused)
    assert seen.refused == [40060] and seen.text == "one"


async def test_a_token_grows_old(server: DiscordServer, quiz: Channel, alice: Person, bot: Coach) -> None:
    """After its quarter of an hour nothing can follow."""
    seen = await alice.slash("grade", channel=quiz)
    seen.expired = True
    bot.gate.set()
    await server.wait_for(lambda: bot.errors)
    error = bot.errors[0]
    assert isinstance(error, discord.HTTPException) and error.code == 50027 and seen.deferred


# Buttons, selects and forms


async def test_a_form_is_private(server: DiscordServer, quiz: Channel, alice: Person, bob: Person, bot: Coach) -> None:
    """A button opens a form; what is typed into it is seen by nobody else."""
    question = (await alice.slash("quiz start", channel=quiz, topic="bias", minutes=1)).reply
    opened = await bob.presses(question, "Answer")
    assert opened.ack == "modal" and opened.modal and opened.modal.title == "Your answer" and list(opened.modal.fields) == ["answer"]
    with pytest.raises(LookupError):
        await alice.submits(opened, answer="not mine")
    with pytest.raises(ValueError):
        await bob.submits(opened, answer="x" * 301)
    sent = await bob.submits(opened, Answer=SECRET)
    assert sent.ephemeral and sent.reply.content == f"you wrote: {SECRET}"
    assert SECRET not in server.public_text(quiz) and SECRET not in server.seen_by(alice)
    with pytest.raises(ValueError):
        await bob.submits(opened, answer="again")


async def test_buttons_and_selects(server: DiscordServer, quiz: Channel, alice: Person, bob: Person, bot: Coach) -> None:
    """They answer, update or defer an update; what is disabled, missing or not to be seen can't be pressed."""
    question = (await alice.slash("quiz start", channel=quiz, topic="bias", minutes=1)).reply
    assert (await bob.selects(question, ["First", "b"])).reply.content == "picked ['a', 'b']"
    with pytest.raises(ValueError):
        await bob.presses(question, "Off")
    with pytest.raises(LookupError):
        await bob.presses(question, "Nowhere")
    later = await bob.presses(question, "quiz:later")
    assert later.ack == "defer update"
    assert (await later.shows("edited later")) is question and (await later.followed_up()).ephemeral
    assert await alice.next_edit(channel=quiz) is question
    closed = await bob.presses(question, "Close")
    assert closed.ack == "update" and question.content == "closed" and question.buttons == [] and len(question.versions) == 3
    private = (await bob.slash("daily", channel=quiz, time="1")).reply
    with pytest.raises(LookupError):
        await alice.presses(private, "Anything")


async def test_a_private_answer_is_out_of_reach(server: DiscordServer, quiz: Channel, alice: Person, bob: Person, bot: Coach) -> None:
    """An ephemeral message isn't in the history and can't be reached through its channel, only through its interaction."""
    private = (await alice.slash("daily", channel=quiz, time=SECRET)).reply
    place = there(bot, quiz)
    assert [m async for m in place.history()] == []
    assert (await refusal(place.get_partial_message(private.id).edit(content="x"))).code == 10008
    assert await alice.next_message(channel=quiz) is private and bob.unread(channel=quiz) == []
    assert not [event for event, data in server.gateway.events if event == "MESSAGE_CREATE" and SECRET in str(data)]


class Wishes(ui.Modal, title="Wishes"):
    """A form of the newer kind, with a select in a label."""

    topics: ui.Label[Wishes] = ui.Label(
        text="Topics", component=ui.Select(custom_id="topics", max_values=2, options=[discord.SelectOption(label=t) for t in "abc"])
    )
    why: ui.Label[Wishes] = ui.Label(text="Why", component=ui.TextInput(custom_id="why", required=False))

    async def on_submit(self, interaction: discord.Interaction) -> None:
        assert isinstance(self.topics.component, ui.Select) and isinstance(self.why.component, ui.TextInput)
        await interaction.response.send_message(f"{self.topics.component.values} {self.why.component.value!r}")


class Pickers(ui.LayoutView):
    """A layout: text, a person to pick, a link."""

    text: ui.TextDisplay[Pickers] = ui.TextDisplay("Whom do you ask?")
    line: ui.ActionRow[Pickers] = ui.ActionRow()

    @line.select(cls=ui.UserSelect, custom_id="who")
    async def who(self, interaction: discord.Interaction, select: ui.UserSelect[Pickers]) -> None:
        await interaction.response.send_message(f"you ask {select.values[0].display_name}")


async def test_newer_forms_and_layouts(server: DiscordServer, quiz: Channel, alice: Person, bob: Person, bot: Coach) -> None:
    """Selects in forms and pickers of people work too."""

    @bot.tree.command(description="wishes")
    async def wishes(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Wishes())

    @bot.tree.command(description="ask")
    async def ask(interaction: discord.Interaction) -> None:
        await interaction.response.send_message(view=Pickers())

    await bot.tree.sync()
    opened = await alice.slash("wishes", channel=quiz)
    with pytest.raises(ValueError):
        await alice.submits(opened, topics=["a", "b", "c"])
    assert (await alice.submits(opened, {"Topics": ["a", "c"]})).reply.content == "['a', 'c'] ''"
    asked = (await alice.slash("ask", channel=quiz)).reply
    assert asked.text == "Whom do you ask?"
    assert (await alice.selects(asked, bob)).reply.content == "you ask Bob"


async def test_several_servers(server: DiscordServer, guild: Guild, alice: Person, bob: Person, bot: Coach) -> None:
    """The bot may be invited and thrown out; what was said in one server isn't seen in another."""
    other = server.guild("Other", members=[alice], bot=False)
    with pytest.raises(LookupError):
        await alice.slash("quiz start", channel=other.general, topic="x", minutes=1)
    other.gains(server.bot)
    await server.wait_for(lambda: len(bot.guilds) == 2)
    seen = await alice.slash("quiz start", channel=other.general, topic="only here", minutes=1)
    assert "only here" in server.seen_by(alice) and "only here" not in server.seen_by(bob)
    assert seen.owners == {"0": str(other.id)} and server.sent(other.general) == [seen.reply]
    other.loses(server.bot)
    await server.wait_for(lambda: len(bot.guilds) == 1)
    assert (await refusal(there(bot, other.general).send("x"))).code == 50001


# Private messages


async def test_private_messages(server: DiscordServer, guild: Guild, alice: Person, bot: Coach) -> None:
    """They arrive without any privileged intent, and the answer is the person's alone."""
    await alice.dm("echo hello")
    assert (await alice.next_message()).content == "echo hello"
    assert server.sent(alice)[0].nonce is not None and bot.said == ["echo hello"]
    await alice.quiet(0.02)


async def test_what_people_write_in_servers_needs_the_privileged_intent(
    quiz: Channel, server: DiscordServer, alice: Person, bot: Coach
) -> None:
    """Without it the bot hears that something was written, not what, unless it is named."""
    await alice.says("hello all", channel=quiz)
    await alice.says(f"hello {server.bot.mention}", channel=quiz)
    await server.wait_for(lambda: len(bot.said) == 2)
    assert bot.said == ["", f"hello {server.bot.mention}"]


async def test_closed_private_messages(server: DiscordServer, guild: Guild, alice: Person, rest: discord.Client) -> None:
    """Opening the channel works, posting to it is refused: 50007, and 50278 for whoever left the last shared server."""
    target = await rest.create_dm(discord.Object(alice.id))
    assert (await target.send("hi")).id == server.sent(alice)[0].id
    alice.closes_dms()
    assert (await refusal(target.send("hi"))).code == 50007
    alice.opens_dms()
    alice.leaves(guild)
    error = await refusal(target.send("hi"))
    assert (error.status, error.code) == (403, 50278) and server.opened == [alice]
    alice.installs()
    await target.send("welcome back")


# Messages


async def test_who_may_do_what_where(
    server: DiscordServer, guild: Guild, quiz: Channel, alice: Person, bob: Person, rest: discord.Client
) -> None:
    """50001 where the bot sees nothing, 50013 where it may not, 10003 where there is nothing."""
    hidden = guild.channel("staff", only=[alice])
    shut = guild.channel("rules", deny=["send_messages"])
    assert (await refusal(there(rest, hidden).send("x"))).code == 50001
    assert (await refusal(there(rest, shut).send("x"))).code == 50013
    quiz.denies("embed_links", "attach_files")
    assert (await refusal(there(rest, quiz).send(embed=discord.Embed(title="x")))).code == 50013
    assert (await refusal(there(rest, quiz).send(file=discord.File(io.BytesIO(b"x"), "x")))).code == 50013
    await there(rest, quiz).send("plain")
    quiz.deletes()
    assert (await refusal(there(rest, quiz).send("x"))).code == 10003
    assert bob not in {user for user in server.users.values() if hidden.may(user, "view_channel")}
    foreign = await alice.says("mine", channel=guild.general)
    assert (await refusal(there(rest, guild.general).get_partial_message(foreign.id).edit(content="x"))).code == 50005
    assert (await refusal(there(rest, guild.general).get_partial_message(foreign.id).delete())).code == 50013


async def test_edit_delete_and_history(server: DiscordServer, guild: Guild, quiz: Channel, rest: discord.Client) -> None:
    """History pages both ways, newest first, without what was deleted; every version of a text is remembered."""
    sent = [await there(rest, quiz).send(str(number)) for number in range(5)]
    await sent[0].edit(content="zero")
    await sent[4].delete()
    place = there(rest, quiz)
    assert [m.content async for m in place.history()] == ["3", "2", "1", "zero"]
    assert [m.content async for m in place.history(after=sent[1], limit=1)] == ["2"]
    assert [m.content async for m in place.history(before=sent[2])] == ["1", "zero"]
    assert (await place.fetch_message(sent[3].id)).content == "3"
    assert (await refusal(place.fetch_message(sent[4].id))).code == 10008
    assert server.ledger[0].versions == ["0", "zero"] and "4" in server.public_text(quiz)
    quiz.denies("read_message_history")
    assert [m async for m in place.history()] == []
    async with place.typing():
        pass
    assert server.typing == [quiz]


async def test_a_nonce_is_good_for_one_message(guild: Guild) -> None:
    """The same nonce within the window returns the message that is there already; later it makes a new one."""
    clock = [1_760_000_000.0]
    async with DiscordServer(now=lambda: clock[0], nonce_window=60, contract=CONTRACT) as server:
        place = server.guild("Study").general
        async with signed_in(server) as client:
            first = await there(client, place).send("once", nonce="day-1")
            again = await there(client, place).send("once", nonce="day-1")
            assert first.id == again.id and server.ledger[0].repeats == 1
            clock[0] += 61
            assert (await there(client, place).send("once", nonce="day-1")).id != first.id
            assert len(server.ledger) == 2 and server.violations == []


async def test_mentions_ping_whom_they_may(
    server: DiscordServer, guild: Guild, quiz: Channel, alice: Person, bob: Person, rest: discord.Client
) -> None:
    """allowed_mentions decides who is notified, and permissions decide about roles and everybody."""
    role = guild.role("Learners", members=[bob])
    text = f"{alice.mention} {role.mention} @everyone"
    none = discord.AllowedMentions.none()
    await there(rest, quiz).send(text, allowed_mentions=none)
    assert server.ledger[-1].pinged == set() and alice.pinged_by == []
    await there(rest, quiz).send(
        text, allowed_mentions=discord.AllowedMentions(everyone=False, roles=False, users=[discord.Object(alice.id)])
    )
    assert server.ledger[-1].pinged == {alice}
    quiz.denies("mention_everyone")
    await there(rest, quiz).send(text)
    assert server.ledger[-1].pinged == {alice} and not server.ledger[-1].pings.everyone
    quiz.allows("mention_everyone")
    await there(rest, quiz).send(text)
    assert server.ledger[-1].pinged == {alice, bob, server.owner}
    with pytest.raises(discord.HTTPException):
        await rest.http.request(
            discord.http.Route("POST", "/channels/{channel_id}/messages", channel_id=quiz.id),
            json={"content": text, "allowed_mentions": {"parse": ["users"], "users": [str(alice.id)]}},
        )


async def test_replies_reactions_and_files(server: DiscordServer, quiz: Channel, alice: Person, rest: discord.Client) -> None:
    """A reply names what it replies to and pings its author; a file can be fetched again."""
    asked = await alice.says("question", channel=quiz)
    place = there(rest, quiz)
    answer = await place.send("reply", reference=place.get_partial_message(asked.id), files=[discord.File(io.BytesIO(b"\0\1"), "a.bin")])
    assert server.ledger[0].reply_to is asked and server.ledger[0].pinged == {alice}
    assert await answer.attachments[0].read() == b"\0\1"
    await answer.add_reaction("✅")
    assert [emoji for emoji, _ in server.ledger[0].reactions] == ["✅"]
    missing = place.get_partial_message(1)
    assert (await refusal(place.send("x", reference=missing))).code == 50035


# Faults on REST


async def test_too_many_requests(server: DiscordServer, quiz: Channel, rest: discord.Client) -> None:
    """discord.py waits and tries again after a 429 with Via, and gives up after one without."""
    server.fault("POST /channels/*/messages", retry_after=0.05)
    await there(rest, quiz).send("one")
    server.fault("POST /channels/*/messages", retry_after=0.05, everywhere=True)
    await there(rest, quiz).send("two")
    assert [call.status for call in server.called("POST /channels/*")] == [429, 200, 429, 200]
    server.fault("POST /channels/*/messages", retry_after=0.05, via=False)
    assert (await refusal(there(rest, quiz).send("three"))).status == 429
    assert [message.content for message in server.ledger] == ["one", "two"]


async def test_fifty_a_second() -> None:
    """The limit over everything, and the one of a channel, are kept when they are turned on."""
    async with DiscordServer(requests_a_second=5) as server:
        place = server.guild("Study").general
        async with signed_in(server) as client:
            await asyncio.gather(*(client.http.get_channel(place.id) for _ in range(8)))
        assert [call.status for call in server.called("GET /channels/*")].count(200) == 8
        assert 429 in {call.status for call in server.calls}
    async with DiscordServer(channel_limit=(2, 0.3)) as server:
        place = server.guild("Study").general
        async with signed_in(server) as client:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            for number in range(3):
                await there(client, place).send(str(number))
            assert loop.time() - begun > 0.25 and [call.status for call in server.called("POST *")] == [200, 200, 200]


async def test_a_bad_gateway_after_the_message_was_taken(server: DiscordServer, quiz: Channel, rest: discord.Client) -> None:
    """discord.py posts again after a 502: twice without a nonce, once with it."""
    server.fault("POST /channels/*/messages", status=502, when="after")
    await there(rest, quiz).send("daily", nonce="d1")
    assert len(server.ledger) == 1 and server.ledger[0].repeats == 1
    refused = server.fault("POST /channels/*/messages", status=502, malformed=True)
    await there(rest, quiz).send("again")
    assert refused.hits[0].status == 502 and len(server.ledger) == 2


@pytest.mark.parametrize(("knobs", "taken"), [({"cut": True}, 0), ({"cut": True, "when": "after"}, 1), ({"when": "middle"}, 1)])
async def test_a_connection_that_is_cut(server: DiscordServer, quiz: Channel, rest: discord.Client, knobs: Any, taken: int) -> None:
    """The client can't know whether the message was taken; the ledger does."""
    server.fault("POST /channels/*/messages", **knobs)
    with pytest.raises((aiohttp.ClientError, OSError)):
        await there(rest, quiz).send("x")
    assert len(server.ledger) == taken


async def test_a_stalled_request(server: DiscordServer, quiz: Channel, rest: discord.Client) -> None:
    """It goes on when it is released, even if nobody waits any more."""
    release = asyncio.Event()
    fault = server.fault("POST /channels/*/messages", hold=release)
    sending = asyncio.create_task(there(rest, quiz).send("x"))
    await fault.reached.wait()
    assert server.ledger == [] and not sending.done()
    release.set()
    await sending
    assert len(server.ledger) == 1


async def test_answers_that_are_broken(server: DiscordServer, quiz: Channel, rest: discord.Client) -> None:
    """Half of the JSON, and requests that aren't JSON."""
    server.fault("POST /channels/*/messages", malformed=True)
    with pytest.raises(ValueError):
        await there(rest, quiz).send("x")
    assert len(server.ledger) == 1
    headers = {"Authorization": f"Bot {TOKEN}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for body in ('{"content": ', '{"content": "\\ud800"}'):
            async with session.post(f"{server.api}/channels/{quiz.id}/messages", data=body) as answer:
                assert (answer.status, (await answer.json())["code"]) == (400, 50109)


# Faults on the gateway


async def test_reconnect_and_replay(server: DiscordServer, alice: Person, guild: Guild, bot: Coach) -> None:
    """After op 7 the client resumes and gets what it missed, in order."""
    server.gateway.reconnect()
    for number in range(3):
        await alice.dm(f"echo {number}")
    await server.wait_for(lambda: "resumed" in bot.heard)
    assert [(await alice.next_message()).content for _ in range(3)] == ["echo 0", "echo 1", "echo 2"]
    assert len(server.gateway.identifies) == 1 and len(server.gateway.resumes) == 1


@pytest.mark.parametrize("code", [None, 4000, 1001])
async def test_a_lost_socket(server: DiscordServer, alice: Person, guild: Guild, bot: Coach, code: int | None) -> None:
    """Cut or closed: the client resumes and nothing is lost."""
    server.gateway.drop(code)
    await server.wait_for(lambda: not server.gateway.ready)
    await alice.dm("echo while away")
    assert (await alice.next_message()).content == "echo while away"
    assert len(server.gateway.identifies) == 1 and len(server.gateway.resumes) == 1


async def test_an_invalid_session(server: DiscordServer, alice: Person, guild: Guild, bot: Coach) -> None:
    """A resumable one is resumed; otherwise there is a new IDENTIFY, and what happened in between is gone."""
    server.gateway.invalidate(resumable=True)
    await server.wait_for(lambda: len(server.gateway.resumes) == 1)
    bot.up.clear()
    server.gateway.invalidate(resumable=False)
    await alice.dm("echo lost")
    await bot.up.wait()
    assert len(server.gateway.identifies) == 2
    await alice.dm("echo found")
    assert (await alice.next_message()).content == "echo found"


async def test_a_forgotten_session(server: DiscordServer, guild: Guild, bot: Coach) -> None:
    """A RESUME that nobody remembers is answered with op 9."""
    bot.up.clear()
    server.gateway.forget()
    server.gateway.drop(4000)
    await bot.up.wait()
    assert len(server.gateway.identifies) == 2 and server.gateway.resumes == []


async def test_heartbeats(guild: Guild) -> None:
    """They are acknowledged; when nothing comes back the client gives the connection up and resumes."""
    async with DiscordServer(heartbeat=0.1) as server:
        server.guild("Study")
        async with online(server) as bot:
            await server.wait_for(lambda: server.gateway.heartbeats >= 3)
            assert bot.latency < 1
        server.gateway.acks = False
        with server.redirect_client():
            client = discord.Client(intents=discord.Intents.none(), heartbeat_timeout=0.3, guild_ready_timeout=0.0)
            task = asyncio.create_task(client.start(TOKEN))
            await server.wait_for(lambda: server.gateway.resumes, 8)
            await client.close()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_malformed_payload_ends_the_client(server: DiscordServer, guild: Guild) -> None:
    """discord.py doesn't survive it, so whoever runs it must start it again."""
    async with online(server) as bot:
        server.gateway.garble()
        with pytest.raises(ValueError):
            await asyncio.wait_for(bot.running, 20)
        await bot.close()
        await server.wait_for(lambda: not server.gateway.ready)


async def test_identify_is_limited() -> None:
    """Two within the interval: the second is called invalid. Past the daily limit the token is worthless."""

    async def identify(server: DiscordServer) -> dict[str, Any] | int | None:
        async with aiohttp.ClientSession() as session, session.ws_connect(server.gateway_url) as ws:
            await ws.receive_json()
            await ws.send_json({"op": 2, "d": {"token": TOKEN, "intents": 0}})
            message = await ws.receive()
            return message.json() if message.type is aiohttp.WSMsgType.TEXT else ws.close_code

    async with DiscordServer(identify_interval=5) as server:
        first, second = await identify(server), await identify(server)
        assert isinstance(first, dict) and first["t"] == "READY"
        assert isinstance(second, dict) and (second["op"], second["d"]) == (9, False)
    async with DiscordServer() as server:
        server.gateway.identifies_left = 1
        await identify(server)
        assert await identify(server) == 4004 and await identify(server) == 4004


async def test_a_server_that_is_down_for_a_while(server: DiscordServer, alice: Person, guild: Guild, bot: Coach) -> None:
    """It comes back on the same port, remembers everything, and the client finds it again."""
    refused = server.fault("WS *", status=503, times=1)
    await server.stop()
    await server.start()
    await server.connected(timeout=20)
    await alice.dm("echo back")
    assert (await alice.next_message()).content == "echo back" and refused.hits


# The checker


@pytest.mark.skipif(CONTRACT is None, reason="the API description is not on this machine")
async def test_the_description_is_checked(server: DiscordServer, quiz: Channel, rest: discord.Client) -> None:
    """What breaks the API description is gathered, whatever the answer was."""
    await there(rest, quiz).send("fine")
    assert server.violations == []
    route = discord.http.Route("POST", f"/channels/{quiz.id}/messages")
    await refusal(rest.http.request(route, json={"content": "x" * 2001}))
    await refusal(rest.http.request(discord.http.Route("GET", "/nowhere")))
    assert len(server.violations) == 3 and re.search("content > 2000", server.violations[0])
