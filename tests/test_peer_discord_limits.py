"""The loopback Discord keeps every limit: at it a request is taken, beyond it refused, as the real client sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import discord
import pytest
from peers.discord import TOKEN, Channel, DiscordServer, Guild, Person


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as running:
        yield running


@pytest.fixture
def alice(server: DiscordServer) -> Person:
    return server.person("Alice")


@pytest.fixture
def guild(server: DiscordServer, alice: Person) -> Guild:
    return server.guild("Study", members=[alice])


@pytest.fixture
def quiz(guild: Guild) -> Channel:
    return guild.general


@pytest.fixture
async def rest(server: DiscordServer, guild: Guild) -> AsyncIterator[discord.Client]:
    """The real REST client alone, without a gateway connection."""
    with server.redirect_client():
        client = discord.Client(intents=discord.Intents.none())
        await client.login(TOKEN)
        yield client
        await client.close()


async def refusal(what: Awaitable[Any]) -> discord.HTTPException:
    with pytest.raises(discord.HTTPException) as caught:
        await what
    return caught.value


def row(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": 1, "components": list(parts)}


def button(**changes: Any) -> dict[str, Any]:
    return {"type": 2, "style": 1, "label": "b", "custom_id": "b"} | changes


def select(count: int, **changes: Any) -> dict[str, Any]:
    options = [{"label": f"o{n}", "value": f"v{n}"} for n in range(count)]
    return {"type": 3, "custom_id": "s", "options": options} | changes


def embed(**changes: Any) -> dict[str, Any]:
    return {"embeds": [changes]}


@pytest.mark.parametrize(
    ("good", "bad", "where"),
    [
        ({"content": "x" * 2000}, {"content": "x" * 2001}, "content"),
        ({"content": "x", "nonce": "n" * 25}, {"content": "x", "nonce": "n" * 26}, "nonce"),
        ({"embeds": [{"title": "t"}] * 10}, {"embeds": [{"title": "t"}] * 11}, "embeds"),
        (embed(title="t" * 256), embed(title="t" * 257), "embeds.0.title"),
        (embed(description="t" * 4096), embed(description="t" * 4097), "embeds.0.description"),
        (embed(fields=[{"name": "n", "value": "v"}] * 25), embed(fields=[{"name": "n", "value": "v"}] * 26), "embeds.0.fields"),
        (embed(fields=[{"name": "n" * 256, "value": "v"}]), embed(fields=[{"name": "n" * 257, "value": "v"}]), "embeds.0.fields.0.name"),
        (embed(fields=[{"name": "n", "value": "v" * 1024}]), embed(fields=[{"name": "n", "value": "v" * 1025}]), "embeds.0.fields.0.value"),
        (embed(fields=[{"name": "n", "value": "v"}]), embed(fields=[{"name": "n", "value": ""}]), "embeds.0.fields.0.value"),
        (embed(footer={"text": "f" * 2048}), embed(footer={"text": "f" * 2049}), "embeds.0.footer.text"),
        (embed(title="t", author={"name": "a" * 256}), embed(title="t", author={"name": "a" * 257}), "embeds.0.author.name"),
        ({"embeds": [{"description": "x" * 3000}] * 2}, {"embeds": [{"description": "x" * 3000}, {"description": "y" * 3001}]}, "embeds"),
        ({"components": [row(button())]}, {"components": [row(button(label="l" * 81))]}, "components.0.components.0.label"),
        (
            {"components": [row(button(custom_id="c" * 100))]},
            {"components": [row(button(custom_id="c" * 101))]},
            "components.0.components.0.custom_id",
        ),
        (
            {"components": [row(*(button(custom_id=f"b{n}") for n in range(5)))]},
            {"components": [row(*(button(custom_id=f"b{n}") for n in range(6)))]},
            "components.0.components",
        ),
        (
            {"components": [row(button(custom_id=f"b{n}")) for n in range(5)]},
            {"components": [row(button(custom_id=f"b{n}")) for n in range(6)]},
            "components",
        ),
        ({"components": [row(button())]}, {"components": [row()]}, "components.0.components"),
        ({"components": [row(button())]}, {"components": [row(button(), button())]}, "components.0.components.1.custom_id"),
        (
            {"components": [row(button(style=5, custom_id=None, url="https://a.b"))]},
            {"components": [row(button(style=5, url="https://a.b"))]},
            "components.0.components.0",
        ),
        ({"components": [row(select(25))]}, {"components": [row(select(26))]}, "components.0.components.0.options"),
        ({"components": [row(select(1))]}, {"components": [row(select(0))]}, "components.0.components.0.options"),
        ({"components": [row(select(2))]}, {"components": [row(select(2), button())]}, "components.0.components"),
        (
            {"components": [row(select(2, placeholder="p" * 150))]},
            {"components": [row(select(2, placeholder="p" * 151))]},
            "components.0.components.0.placeholder",
        ),
        (
            {"components": [row(select(0, options=[{"label": "l" * 100, "value": "v"}]))]},
            {"components": [row(select(0, options=[{"label": "l" * 101, "value": "v"}]))]},
            "components.0.components.0.options.0.label",
        ),
        (
            {"flags": 1 << 15, "components": [{"type": 10, "content": "x" * 4000}]},
            {"flags": 1 << 15, "components": [{"type": 10, "content": "x" * 4000}, {"type": 10, "content": "y"}]},
            "components",
        ),
        (
            {"flags": 1 << 15, "components": [{"type": 10, "content": "x"}]},
            {"flags": 1 << 15, "content": "x", "components": [{"type": 10, "content": "x"}]},
            "content",
        ),
    ],
)
async def test_each_limit_of_a_message(quiz: Channel, rest: discord.Client, good: Any, bad: Any, where: str) -> None:
    """At the limit a message is taken, beyond it 50035 says where it is wrong."""
    route = discord.http.Route("POST", "/channels/{channel_id}/messages", channel_id=quiz.id)
    await rest.http.request(route, json=good)
    error = await refusal(rest.http.request(route, json=bad))
    assert (error.status, error.code) == (400, 50035) and f"In {where}:" in error.text, error.text


@pytest.mark.parametrize("empty", [{}, {"content": ""}, {"content": " \n"}, {"embeds": [{}]}, {"content": None, "embeds": []}])
async def test_an_empty_message_is_refused(quiz: Channel, rest: discord.Client, empty: Any) -> None:
    """Code 50006, for a new message and for an edit that leaves nothing."""
    error = await refusal(rest.http.request(discord.http.Route("POST", f"/channels/{quiz.id}/messages"), json=empty))
    assert error.code == 50006
    message = await rest.get_partial_messageable(quiz.id).send("x")
    assert (await refusal(message.edit(content=None))).code == 50006
    assert quiz.messages[0].content == "x"


def form(**changes: Any) -> dict[str, Any]:
    field = {"type": 4, "custom_id": "a", "label": "Answer", "style": 2} | changes.pop("field", {})
    return {"type": 9, "data": {"custom_id": "m", "title": "T", "components": [row(field)]} | changes}


def offer(count: int, name: str = "n") -> dict[str, Any]:
    return {"type": 8, "data": {"choices": [{"name": name, "value": str(n)} for n in range(count)]}}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"type": 4, "data": {"content": "x" * 2000}}, {"type": 4, "data": {"content": "x" * 2001}}),
        ({"type": 5}, {"type": 4, "data": {"content": ""}}),
        ({"type": 5}, {"type": 7, "data": {"content": "x"}}),
        ({"type": 5}, {"type": 8, "data": {"choices": []}}),
        ({"type": 5}, {"type": 99}),
        (form(title="t" * 45), form(title="t" * 46)),
        (form(custom_id="c" * 100), form(custom_id="c" * 101)),
        (form(field={"label": "l" * 45}), form(field={"label": "l" * 46})),
        (form(field={"placeholder": "p" * 100}), form(field={"placeholder": "p" * 101})),
        (form(field={"max_length": 4000}), form(field={"max_length": 4001})),
        (form(), form(components=[])),
        (form(), form(components=[row({"type": 4, "custom_id": str(n), "label": "l", "style": 1}) for n in range(6)])),
        (offer(25), offer(26)),
        (offer(1, "n" * 100), offer(1, "n" * 101)),
        (offer(0), {"type": 4, "data": {"content": "x"}}),
    ],
)
async def test_each_limit_of_an_answer(
    server: DiscordServer, quiz: Channel, alice: Person, rest: discord.Client, good: Any, bad: Any
) -> None:
    """A refused answer doesn't acknowledge; the next one may."""
    option = {"type": 3, "name": "o", "description": "d", "autocomplete": True}
    commands = [{"name": "c", "description": "d", "type": 1, "options": [option]}]
    await rest.http.bulk_upsert_global_commands(server.bot.id, commands)
    if 8 in (good["type"], bad["type"]) and good["type"] != 5:
        typing = asyncio.create_task(alice.autocomplete("c", "o", "x", channel=quiz))
        seen = await server.wait_for(lambda: next(iter(server.interactions.values()), None))
    else:
        typing = None
        seen = await alice.slash("c", channel=quiz, wait=False)
    route = discord.http.Route("POST", f"/interactions/{seen.id}/{seen.token}/callback")
    error = await refusal(rest.http.request(route, json=bad))
    assert error.code == (50006 if bad == {"type": 4, "data": {"content": ""}} else 50035)
    await rest.http.request(route, json=good)
    assert seen.ack and seen.refused == [error.code]
    if typing:
        assert len(await typing) == len(good["data"]["choices"])


def command(**changes: Any) -> dict[str, Any]:
    return {"name": "c", "description": "d", "type": 1} | changes


def option(**changes: Any) -> dict[str, Any]:
    return {"type": 3, "name": "o", "description": "d"} | changes


@pytest.mark.parametrize(
    "bad",
    [
        [command(name="Upper")],
        [command(name="two words")],
        [command(name="n" * 33)],
        [command(description="")],
        [command(description="d" * 101)],
        [command(), command()],
        [command(options=[option(name=f"o{n}") for n in range(26)])],
        [command(options=[option(), option()])],
        [command(options=[option(name="a"), option(name="b", required=True)])],
        [command(options=[option(choices=[{"name": str(n), "value": str(n)} for n in range(26)])])],
        [command(options=[option(choices=[{"name": "n" * 101, "value": "v"}])])],
        [command(options=[option(choices=[{"name": "n", "value": "v"}], autocomplete=True)])],
        [command(options=[option(), {"type": 1, "name": "s", "description": "d"}])],
        [
            command(
                options=[
                    option(name=f"o{n}", description="d" * 100, choices=[{"name": "n" * 100, "value": "v" * 100}] * 5) for n in range(20)
                ]
            )
        ],
        [command(name=f"c{n}") for n in range(101)],
    ],
)
async def test_commands_that_are_refused(server: DiscordServer, rest: discord.Client, bad: list[Any]) -> None:
    """A bulk overwrite with one bad command changes nothing."""
    await rest.http.bulk_upsert_global_commands(server.bot.id, [command()])
    error = await refusal(rest.http.bulk_upsert_global_commands(server.bot.id, bad))
    assert error.code in (50035, 30032)
    assert [c["name"] for c in server.commands[None]] == ["c"] and len(server.syncs) == 1


async def test_commands_of_one_server(server: DiscordServer, guild: Guild, alice: Person, rest: discord.Client) -> None:
    """A server's own commands are offered there only, and keep their ids."""
    await rest.http.bulk_upsert_guild_commands(server.bot.id, guild.id, [command(name="here")])
    number = server.commands[guild.id][0]["id"]
    await rest.http.bulk_upsert_guild_commands(server.bot.id, guild.id, [command(name="here", description="new")])
    assert server.commands[guild.id][0]["id"] == number and [sync.changed for sync in server.syncs] == [True, True]
    assert alice.commands(guild.general) == ["here"] and alice.commands() == []
    assert len(await rest.http.get_guild_commands(server.bot.id, guild.id)) == 1
