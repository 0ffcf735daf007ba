"""The loopback Telegram is as strict as the real one: each rule is shown with the real client over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import telegram
from aiohttp import web
from peers.telegram import TOKEN, BotApiServer, Person, telegram_contract
from peers.telegram_text import CannotParse, parse_html, piece, read, units
from telegram import Bot, BotCommand, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.request import HTTPXRequest

CONTRACT = telegram_contract()
OTHER = "1000000002:AAtest_token_for_the_loopback_server_2"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (640).to_bytes(4, "big") + (480).to_bytes(4, "big") + bytes(20)
LONG_PNG = PNG[:16] + (9000).to_bytes(4, "big") + (100).to_bytes(4, "big") + bytes(20)


def client(server: BotApiServer, token: str = TOKEN, timeout: float = 5.0) -> Bot:
    """The real client, pointed at the server."""
    plain = {"verify": False}  # there is no TLS here, and loading certificates is most of a client's start
    requests = [HTTPXRequest(8, read_timeout=timeout, httpx_kwargs=plain) for _ in range(2)]
    return Bot(token, server.url, server.file_url, request=requests[0], get_updates_request=requests[1])


def keys(*rows: dict[str, str]) -> InlineKeyboardMarkup:
    """A keyboard, one row for each dictionary of labels and data."""
    return InlineKeyboardMarkup([[InlineKeyboardButton(k, callback_data=v) for k, v in row.items()] for row in rows])


@pytest.fixture(autouse=True)
def durations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client give durations as timedelta; it warns about seconds."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
async def server() -> AsyncIterator[BotApiServer]:
    """A server whose own updates and results keep to the API description too."""
    async with BotApiServer([TOKEN, OTHER], contract=CONTRACT) as running:
        yield running
        if CONTRACT is not None:
            errors = [error for update in running.updates for error in CONTRACT.check_update(update)]
            for call in running.accepted:
                errors += CONTRACT.check_result(call.method, call.result)
            assert errors == []


@pytest.fixture
async def bot(server: BotApiServer) -> AsyncIterator[Bot]:
    async with client(server) as running:
        yield running


@pytest.fixture
def alice(server: BotApiServer) -> Person:
    return server.person("Alice", started=True)


# Text


def test_html_is_read_as_telegram_reads_it() -> None:
    """Tags become entities in UTF-16 units, references become characters, spaces at the ends go."""
    source = '  <b>😀 bold <i>both</i></b> &lt;x&gt; &#x41;&#66; <a href="example.org">link</a> &nbsp; '
    text, entities = read(source, "HTML", [])
    assert text == "😀 bold both <x> AB link &nbsp;"
    assert [(e["type"], piece(text, e)) for e in entities] == [
        ("bold", "😀 bold both"),
        ("italic", "both"),
        ("text_link", "link"),
    ]
    assert entities[0]["length"] == 12 and entities[2]["url"] == "http://example.org/"
    assert units("😀a") == 3


@pytest.mark.parametrize(
    ("source", "kinds"),
    [
        ("<pre><code class='language-python'>x = 1</code></pre>", [("pre", "x = 1")]),
        ("<b>a<code>b</code>c</b>", [("bold", "a"), ("code", "b"), ("bold", "c")]),
        ("<b>a</b><strong>b</strong>", [("bold", "ab")]),
        ("<blockquote>q <u>w</u></blockquote>", [("blockquote", "q w"), ("underline", "w")]),
        ("<blockquote expandable>q</blockquote>", [("expandable_blockquote", "q")]),
        ("<span class='tg-spoiler'>s</span><tg-spoiler>t</tg-spoiler>", [("spoiler", "st")]),
        ("<a href='nowhere'>x</a>", []),
        ("<del>a</del> <INS>b</INS>", [("strikethrough", "a"), ("underline", "b")]),
        ("try /help or @someone #tag https://a.org/x.", [
            ("bot_command", "/help"), ("mention", "@someone"), ("hashtag", "#tag"), ("url", "https://a.org/x"),
        ]),
        ("<code>/help</code> a/b 5/6", [("code", "/help")]),
    ],
)  # fmt: skip
def test_entities_fit_into_each_other(source: str, kinds: list[tuple[str, str]]) -> None:
    """Code carries no style, twins are joined, links that are none are dropped, and some entities come by themselves."""
    text, entities = read(source, "HTML", [])
    assert [(e["type"], piece(text, e)) for e in entities] == kinds


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("a < b", 'Unsupported start tag "" at byte offset 2'),
        ("é<br/>", 'Unsupported start tag "br/" at byte offset 2'),
        ("<p>x</p>", 'Unsupported start tag "p" at byte offset 0'),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        ("<a href=x:y>z</a>", "Unexpected end of name token at byte offset 8"),
        ("<b />x</b>", 'Empty attribute name in the tag "b" at byte offset 0'),
    ],
)
def test_broken_html_is_refused(source: str, why: str) -> None:
    """Every mistake has Telegram's own words."""
    with pytest.raises(CannotParse) as caught:
        parse_html(source)
    assert str(caught.value) == why


# The rules of the methods

Deed = Callable[[Bot, int], Awaitable[Any]]
RULES: list[tuple[str, Deed, int, str]] = [
    ("empty text", lambda b, c: b.send_message(c, ""), 400, "Bad Request: message text is empty"),
    ("blank text", lambda b, c: b.send_message(c, " \n\u200b"), 400, "Bad Request: text must be non-empty"),
    ("long text", lambda b, c: b.send_message(c, "x" * 4097), 400, "Bad Request: message is too long"),
    ("UTF-16", lambda b, c: b.send_message(c, "😀" * 2049), 400, "Bad Request: message is too long"),
    ("longest", lambda b, c: b.send_message(c, f"<b>{'&lt;' * 4096}</b>", "HTML"), 200, ""),
    (
        "broken HTML",
        lambda b, c: b.send_message(c, "a <x>", "HTML"),
        400,
        'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 2',
    ),
    ("parse mode", lambda b, c: b.send_message(c, "a", "BB"), 400, "Bad Request: unsupported parse_mode"),
    ("no chat", lambda b, c: b.send_message(4711, "a"), 400, "Bad Request: chat not found"),
    ("no such name", lambda b, c: b.send_message("@nobody", "a"), 400, "Bad Request: chat not found"),
    (
        "reply to nothing",
        lambda b, c: b.send_message(c, "a", reply_to_message_id=99),
        400,
        "Bad Request: message to be replied not found",
    ),
    ("data 65", lambda b, c: _keyed(b, c, "x" * 65), 400, "Bad Request: BUTTON_DATA_INVALID"),
    ("data in bytes", lambda b, c: _keyed(b, c, "é" * 33), 400, "Bad Request: BUTTON_DATA_INVALID"),
    ("data 64", lambda b, c: _keyed(b, c, "x" * 64), 200, ""),
    (
        "button alone",
        lambda b, c: b.send_message(c, "a", reply_markup=InlineKeyboardMarkup([[InlineKeyboardButton("x")]])),
        400,
        "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
    ),
    (
        "caption",
        lambda b, c: b.send_photo(c, PNG, "x" * 1025),
        400,
        "Bad Request: message caption is too long",
    ),
    ("caption fits", lambda b, c: b.send_photo(c, PNG, f"<i>{'x' * 1024}</i>", parse_mode="HTML"), 200, ""),
    ("no picture", lambda b, c: b.send_photo(c, b"text"), 400, "Bad Request: IMAGE_PROCESS_FAILED"),
    ("narrow", lambda b, c: b.send_photo(c, LONG_PNG), 400, "Bad Request: PHOTO_INVALID_DIMENSIONS"),
    (
        "empty file",
        lambda b, c: b.send_document(c, b"", filename="a"),
        400,
        "Bad Request: file must be non-empty",
    ),
    (
        "unknown file",
        lambda b, c: b.send_document(c, "AAAA"),
        400,
        "Bad Request: wrong file identifier/HTTP URL specified",
    ),
    ("file id", lambda b, c: b.get_file("AAAA"), 400, "Bad Request: invalid file_id"),
    (
        "edit nothing",
        lambda b, c: b.edit_message_text("a", c, 99),
        400,
        "Bad Request: message to edit not found",
    ),
    ("delete nothing", lambda b, c: b.delete_message(c, 99), 400, "Bad Request: message to delete not found"),
    (
        "unknown query",
        lambda b, c: b.answer_callback_query("17"),
        400,
        "Bad Request: query is too old and response timeout expired or query ID is invalid",
    ),
    (
        "action",
        lambda b, c: b.send_chat_action(c, "dancing"),
        400,
        "Bad Request: wrong parameter action in request",
    ),
    (
        "command name",
        lambda b, c: b.set_my_commands([("Help", "x")]),
        400,
        "Bad Request: BOT_COMMAND_INVALID",
    ),
    (
        "command length",
        lambda b, c: b.set_my_commands([("x" * 33, "x")]),
        400,
        "Bad Request: command length must not exceed 32",
    ),
    (
        "command description",
        lambda b, c: b.set_my_commands([("x", "x" * 257)]),
        400,
        "Bad Request: command description length must not exceed 256",
    ),
    (
        "command says nothing",
        lambda b, c: b.set_my_commands([("x", "")]),
        400,
        "Bad Request: command description must be non-empty",
    ),
    (
        "101 commands",
        lambda b, c: b.set_my_commands([(f"x{n}", "x") for n in range(101)]),
        400,
        "Bad Request: BOT_COMMANDS_TOO_MUCH",
    ),
    ("method", lambda b, c: b.do_api_request("sendMesage"), 404, "Not Found: method not found"),
    ("member", lambda b, c: b.get_chat_member(c, 4711), 400, "Bad Request: user not found"),
    (
        "webhook",
        lambda b, c: b.set_webhook("http://a.org"),
        400,
        "Bad Request: bad webhook: An HTTPS URL must be ",
    ),
    (
        "port",
        lambda b, c: b.set_webhook("https://a.org:99"),
        400,
        "Bad Request: bad webhook: Webhook can be set up",
    ),
    (
        "secret",
        lambda b, c: b.set_webhook("https://a.org", secret_token="a b"),
        400,
        "Bad Request: secret token contains unallowed characters",
    ),
]


def _keyed(bot: Bot, chat: int, data: str) -> Awaitable[Any]:
    return bot.send_message(chat, "a", reply_markup=keys({"a": data}))


@pytest.mark.parametrize(("name", "deed", "status", "description"), RULES, ids=[rule[0] for rule in RULES])
async def test_rule(server: BotApiServer, bot: Bot, alice: Person, name: str, deed: Deed, status: int, description: str) -> None:
    """What Telegram refuses is refused in its words, and leaves no trace in the ledger."""
    before = len(server.accepted)
    if status == 200:
        await deed(bot, alice.id)
        assert len(server.accepted) == before + 1
    else:
        with pytest.raises(telegram.error.TelegramError):
            await deed(bot, alice.id)
        assert len(server.accepted) == before and server.sent() == []
    assert server.calls[-1].status == status
    assert server.calls[-1].description.startswith(description)


async def test_wrong_tokens(server: BotApiServer) -> None:
    """A token that isn't known, or no longer, is unauthorized."""
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{server.url}1000000001:AAwrong/getMe")
        assert answer.status_code == 401
        assert answer.json() == {"ok": False, "error_code": 401, "description": "Unauthorized"}
        assert (await http.get(f"{server.url}nonsense/getMe")).status_code == 401
        assert (await http.get(f"http://127.0.0.1:{server.port}/")).status_code == 404
        server.revoke()
        assert (await http.get(f"{server.url}{TOKEN}/getMe")).status_code == 401
    with pytest.raises(telegram.error.InvalidToken):
        async with client(server, "1000000001:AAwrong"):
            pass


async def test_every_kind_of_body(server: BotApiServer, alice: Person) -> None:
    """Parameters come in the address, as a form, as JSON or in several parts; names of methods in any case."""
    async with httpx.AsyncClient() as http:
        address = f"{server.url}{TOKEN}/sendMessage"
        params: dict[str, Any] = {"chat_id": alice.id, "text": "é"}
        markup = {"inline_keyboard": [[{"text": "a", "callback_data": "b"}]]}
        for answer in (
            await http.get(address, params=params),
            await http.post(address.lower().replace(TOKEN.lower(), TOKEN), data=params),
            await http.post(address, json=params | {"reply_markup": markup}),
            await http.post(address, data={k: str(v) for k, v in params.items()}, files={"x": b"y"}),
        ):
            assert answer.status_code == 200 and answer.json()["result"]["text"] == "é"
        assert (await http.post(address, content=b"{", headers={"content-type": "application/json"})).status_code == 400
    assert len(server.sent(alice)) == 4 and server.sent(alice)[2].buttons == ["a"]


async def test_what_is_sent_is_delivered(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """A message has its text, entities, keyboard and id, and a person reads messages in order."""
    first = await bot.send_message(alice.id, "<b>One</b> &amp; more", "HTML", reply_markup=keys({"Yes": "y", "No": "n"}))
    await bot.send_message(alice.id, "Two", reply_to_message_id=first.message_id)
    one, two = await alice.next_message(), await alice.next_message()
    assert (one.text, one.styled("bold"), one.buttons) == ("One & more", ["One"], ["Yes", "No"])
    assert one.message_id == first.message_id and two.reply_to is one
    assert server.sent(alice) == [one, two] and alice.unread() == []
    await alice.quiet(0.01)
    await bot.send_chat_action(alice.id, "typing")
    assert server.actions == [(alice.id, "typing")]
    with pytest.raises(AssertionError, match="last sent"):
        await alice.next_message(timeout=0.01)


async def test_edits(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """An edit changes the message, one that changes nothing is refused, and leaving the keyboard out removes it."""
    sent = await bot.send_message(alice.id, "a", reply_markup=keys({"x": "1"}))
    for again in (
        bot.edit_message_text("a", alice.id, sent.message_id, reply_markup=keys({"x": "1"})),
        bot.edit_message_reply_markup(alice.id, sent.message_id, reply_markup=keys({"x": "1"})),
    ):
        with pytest.raises(telegram.error.BadRequest, match="Message is not modified: specified new message"):
            await again
    await bot.edit_message_text("<i>b</i>", alice.id, sent.message_id, parse_mode="HTML")
    message = await alice.next_edit()
    assert (message.text, message.styled("italic"), message.buttons, message.edits) == ("b", ["b"], [], ["a"])
    said = await alice.says("mine")
    with pytest.raises(telegram.error.BadRequest, match="Message can't be edited"):
        await bot.edit_message_text("b", alice.id, said.message_id)
    with pytest.raises(telegram.error.BadRequest, match=r"MESSAGE_TOO_LONG|Message_too_long"):
        await bot.edit_message_text("b" * 4097, alice.id, sent.message_id)
    await bot.delete_message(alice.id, sent.message_id)
    assert message.deleted
    with pytest.raises(telegram.error.BadRequest, match="Message to edit not found"):
        await bot.edit_message_text("c", alice.id, sent.message_id)


async def test_files_up_and_down(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """Files go both ways byte for byte; a voice note that isn't Ogg arrives as a document; an id sends a file again."""
    photo = await bot.send_photo(alice.id, PNG, caption="<b>chart</b>", parse_mode="HTML")
    assert (photo.photo[-1].width, photo.photo[-1].height) == (640, 480)
    document = await bot.send_document(alice.id, b"report", filename="week.pdf")
    assert document.document and document.document.file_name == "week.pdf"
    assert (await bot.send_voice(alice.id, b"OggS... OpusHead", duration=3)).voice
    assert (await bot.send_voice(alice.id, b"ID3")).document
    await bot.send_photo(alice.id, photo.photo[-1].file_id)
    first = server.sent(alice)[0]
    assert (first.data, first.caption, first.styled("bold")) == (PNG, "chart", ["chart"])
    assert server.sent(alice)[-1].data == PNG
    await alice.sends_voice(b"OggS said", duration=4)
    (update,) = await bot.get_updates()
    assert update.message and update.message.voice and update.message.voice.duration == timedelta(seconds=4)
    file = await bot.get_file(update.message.voice.file_id)
    assert bytes(await file.download_as_bytearray()) == b"OggS said"


async def test_the_bot_introduces_itself(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """Commands by scope and language, descriptions, chats and members are kept and given back."""
    await bot.set_my_commands([BotCommand("help", "What I can do")])
    scope = telegram.BotCommandScopeChat(alice.id)
    await bot.set_my_commands([("stop", "Halt")], scope=scope, language_code="de")
    assert server.commands == [{"command": "help", "description": "What I can do"}]
    assert server.commands_for(f"chat:{alice.id}", "de")[0]["command"] == "stop"
    assert [c.command for c in await bot.get_my_commands()] == ["help"]
    await bot.delete_my_commands()
    assert server.commands == []
    await bot.set_my_description("A coach")
    await bot.set_my_short_description("Coach")
    assert (await bot.get_my_description()).description == "A coach"
    assert (await bot.get_chat(alice.id)).first_name == "Alice"
    group = server.group("Study", [alice])
    assert (await bot.get_chat_member(group.id, alice.id)).status == "creator"
    assert (await bot.get_chat_member(group.id, bot.id)).status == "member"
    assert (await bot.get_me()).can_read_all_group_messages is False


async def test_a_bot_writes_only_where_it_may(server: BotApiServer, bot: Bot) -> None:
    """Strangers can't be written to, nor can those who blocked the bot, nor groups that threw it out."""
    bob = server.person("Bob")
    with pytest.raises(telegram.error.BadRequest, match="Chat not found"):
        await bot.send_message(bob.id, "a")
    group = server.group("Study", [bob], username="study")
    with pytest.raises(telegram.error.Forbidden, match="bot can't initiate conversation"):
        await bot.send_message(bob.id, "a")
    await bob.starts("deep")
    await bot.send_message(bob.id, "a")
    await bob.blocks_bot()
    with pytest.raises(telegram.error.Forbidden, match="Forbidden: bot was blocked by the user"):
        await bot.send_message(bob.id, "a")
    await bob.unblocks_bot()
    await bot.send_message(bob.id, "a")
    await bot.send_message("@study", "a")
    await bob.removes_bot(group)
    with pytest.raises(telegram.error.Forbidden, match="bot was kicked from the supergroup chat"):
        await bot.send_message(group.id, "a")
    kinds = [next(iter(u.to_dict().keys() - {"update_id"})) for u in await bot.get_updates()]
    assert kinds == ["message", "my_chat_member", "my_chat_member", "my_chat_member", "message"]
    await bob.adds_bot(group)
    await bot.send_message(group.id, "a")
    assert len(server.sent(group)) == 2


# What people do


async def test_people_write_and_the_entities_are_counted_as_telegram_counts(bot: Bot, alice: Person) -> None:
    """Commands and mentions are entities with UTF-16 offsets; edits come as edits."""
    said = await alice.says("😀 /help@coach_test_bot and @someone, mail a@b.org")
    await alice.edits(said, "/quiz")
    await alice.sends_sticker()
    await alice.sends_photo(caption="look")
    await alice.sends_document(b"x", "a.txt")
    first, second, third, fourth, fifth = await bot.get_updates()
    assert first.message is not None and second.edited_message is not None
    kinds = [(e.type, first.message.parse_entity(e)) for e in first.message.entities]
    assert kinds == [("bot_command", "/help@coach_test_bot"), ("mention", "@someone"), ("email", "a@b.org")]
    assert first.message.entities[0].offset == 3
    assert second.edited_message.text == "/quiz" and second.edited_message.edit_date
    assert third.message and third.message.sticker and fourth.message and fourth.message.caption == "look"
    assert fifth.message and fifth.message.document
    assert first.message.from_user and first.message.from_user.language_code == "en"
    with pytest.raises(ValueError, match="1 to 4096"):
        await alice.says("x" * 4097)


async def test_a_tap_is_answered_once(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """A button is pressed by label or data, its query answered once and not too late."""
    await bot.send_message(alice.id, "Sure?", reply_markup=keys({"Yes": "y"}, {"No": "n"}))
    message = await alice.next_message()
    tap = await alice.taps(message, "Yes")
    late = await alice.taps(message, "n")
    with pytest.raises(LookupError, match=r"no button 'Maybe' under 'Sure\?'; there are \['Yes', 'No'\]"):
        await alice.taps(message, "Maybe")
    updates = await bot.get_updates()
    assert [u.callback_query.data for u in updates if u.callback_query] == ["y", "n"]
    query = updates[0].callback_query
    assert query is not None and isinstance(query.message, telegram.Message) and query.message.text == "Sure?"
    await query.answer("Fine")
    assert (await tap.answered())["text"] == "Fine"
    server.expire_taps()
    for number in (tap.id, late.id):
        with pytest.raises(telegram.error.BadRequest, match="Query is too old and response timeout expired"):
            await bot.answer_callback_query(number)
    assert [answer["callback_query_id"] for answer in server.answered_callbacks] == [tap.id]


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("hello all", False),
        ("/quiz", False),
        ("/quiz@coach_test_bot", True),
        ("/quiz@coach2_test_bot", False),
        ("well, @coach_test_bot?", True),
    ],
)
async def test_privacy_mode(server: BotApiServer, bot: Bot, alice: Person, text: str, heard: bool) -> None:
    """With two bots in a group, each hears what is meant for it."""
    group = server.group("Study", [alice])
    await alice.says(text, chat=group)
    assert bool(await bot.get_updates()) is heard


async def test_replies_to_the_bot_are_heard_in_a_group(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """A reply to the bot's own message reaches it, and so does a bare command after the bot spoke last."""
    bob = server.person("Bob")
    group = server.group("Study", [alice, bob])
    await bot.send_message(group.id, "Question")
    question = await bob.next_message(chat=group)
    assert await alice.next_message(chat=group) is question
    await bob.says("Because", chat=group, reply_to=question)
    await alice.says("/stop", chat=group)
    one, two = await bot.get_updates()
    assert one.message and one.message.reply_to_message and one.message.reply_to_message.text == "Question"
    assert two.message and two.message.text == "/stop"
    with pytest.raises(ValueError, match="isn't in"):
        await server.person("Eve").says("hi", chat=group)


async def test_without_privacy_and_alone(alice: Person) -> None:
    """A bot without privacy mode hears everything; one that is alone hears every command."""
    async with BotApiServer(privacy=False) as open_server, client(open_server) as bot:
        carol = open_server.person("Carol")
        await carol.says("hello all", chat=open_server.group("Study", [carol]))
        assert len(await bot.get_updates()) == 1
    async with BotApiServer() as closed_server, client(closed_server) as bot:
        carol = closed_server.person("Carol")
        await carol.says("/quiz", chat=closed_server.group("Study", [carol]))
        assert len(await bot.get_updates()) == 1


# Long polling


async def test_updates_are_served_until_they_are_confirmed(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """Only a later offset confirms; a negative one forgets all but the last; one from far ahead means nothing."""
    for text in ("a", "b", "c"):
        await alice.says(text)
    assert [u.message.text for u in await bot.get_updates(limit=2) if u.message] == ["a", "b"]
    first = (await bot.get_updates())[0].update_id
    assert len(await bot.get_updates(offset=first)) == 3
    assert len(await bot.get_updates(offset=first + 1_000_000)) == 3
    assert [u.update_id for u in await bot.get_updates(offset=first + 1)] == [first + 1, first + 2]
    assert [u.update_id for u in await bot.get_updates(offset=first)] == [first + 1, first + 2]
    assert [u.update_id for u in await bot.get_updates(offset=-1)] == [first + 2]
    server.redeliver(first)
    assert [u.update_id for u in await bot.get_updates(offset=first + 3)] == [first]
    assert await bot.get_updates(offset=first + 3) == ()


async def test_a_long_poll_waits_for_what_happens(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """A poll returns as soon as there is something, and an empty one when its time is over."""
    poll = asyncio.create_task(bot.get_updates(timeout=20))
    await server.wait_for(lambda: server.bot.poll)
    await alice.says("now")
    (update,) = await poll
    assert update.message and update.message.text == "now"
    assert await bot.get_updates(offset=update.update_id + 1, timeout=1) == ()


async def test_two_polls_are_one_too_many(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """The second getUpdates ends the first with 409."""
    async with client(server) as second:
        one = asyncio.create_task(bot.get_updates(timeout=20))
        await server.wait_for(lambda: server.bot.poll)
        first = server.bot.poll
        two = asyncio.create_task(second.get_updates(timeout=20))
        with pytest.raises(telegram.error.Conflict, match="terminated by other getUpdates request"):
            await one
        await server.wait_for(lambda: server.bot.poll is not first and server.bot.poll)
        await alice.says("here")
        assert len(await two) == 1


async def test_allowed_updates(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """Kinds that the bot doesn't want are never queued; an empty list restores the default."""
    await bot.get_updates(allowed_updates=["callback_query"])
    await alice.says("unheard")
    assert (await bot.get_webhook_info()).allowed_updates == ("callback_query",)
    assert await bot.get_updates(allowed_updates=[]) == ()
    await alice.says("heard")
    assert len(await bot.get_updates()) == 1


async def test_each_bot_has_its_own_updates(server: BotApiServer, alice: Person) -> None:
    """Two tokens are two bots with two private chats."""
    second = server.bots[OTHER]
    async with client(server, OTHER) as other:
        await alice.says("hi", to=second)
        assert server.bot.queue == [] and len(await other.get_updates()) == 1
        await other.send_message(alice.id, "hello")
        assert (await alice.next_message(of=second)).sender is second
        assert alice.unread() == []


async def test_a_whole_application_polls(server: BotApiServer, alice: Person) -> None:
    """The real Application hears, answers, and confirms what it heard when it stops."""
    from telegram.ext import ApplicationBuilder, MessageHandler, filters

    async def echo(update: telegram.Update, context: Any) -> None:
        assert update.message is not None
        await update.message.reply_text(f"you said {update.message.text}")

    app = ApplicationBuilder().token(TOKEN).base_url(server.url).base_file_url(server.file_url).build()
    app.add_handler(MessageHandler(filters.TEXT, echo))
    async with app:
        assert app.updater is not None
        await app.updater.start_polling(timeout=10)
        await app.start()
        await alice.says("good morning")
        assert (await alice.next_message()).text == "you said good morning"
        await server.settled()
        await app.updater.stop()
        await app.stop()
    assert server.bot.queue == [] and server.violations == []


# Webhook


async def test_a_webhook_gets_each_update_until_it_takes_it(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """Updates are posted in order with the secret, again after a failure, and not to getUpdates meanwhile."""
    got: list[tuple[str, str, str]] = []
    answers = [503, 200, 200, 200]

    async def hook(request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        secret = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        got.append((body["message"]["text"], secret, request.headers["Content-Type"]))
        return web.Response(status=answers[len(got) - 1])

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        await alice.says("early")
        poll = asyncio.create_task(bot.get_updates(offset=800_000_000 - 1, timeout=20))
        await server.wait_for(lambda: poll.done() or server.bot.poll)
        assert len(await poll) == 1
        await bot.set_webhook(url, secret_token="s3cret")
        await alice.says("late")
        await server.wait_for(lambda: not server.bot.queue)
        assert [text for text, _, _ in got] == ["early", "early", "late"]
        assert {(secret, kind) for _, secret, kind in got} == {("s3cret", "application/json")}
        info = await bot.get_webhook_info()
        assert (info.url, info.pending_update_count) == (url, 0)
        assert info.last_error_message == "Wrong response from the webhook: 503 Service Unavailable"
        with pytest.raises(telegram.error.Conflict, match="can't use getUpdates method while webhook is active"):
            await bot.get_updates()
        server.redeliver(server.updates[0])
        await server.wait_for(lambda: len(got) == 4)
        await bot.delete_webhook()
        await alice.says("polled")
        assert [u.message.text for u in await bot.get_updates() if u.message] == ["polled"]
    finally:
        await runner.cleanup()


async def test_a_webhook_ends_the_poll(server: BotApiServer, bot: Bot) -> None:
    """setWebhook interrupts whoever polls."""
    poll = asyncio.create_task(bot.get_updates(timeout=20))
    await server.wait_for(lambda: server.bot.poll)
    await bot.set_webhook("https://example.org/hook", drop_pending_updates=True)
    with pytest.raises(telegram.error.Conflict, match="terminated by setWebhook request"):
        await poll


# Faults


async def test_status_faults(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """429 with and without its parameter, 403, 5xx and anything else come as often as ordered and then stop."""
    bob = server.person("Bob", started=True)
    server.fault("sendMessage", chat=alice, retry_after=7)
    await bot.send_message(bob.id, "not hit")
    with pytest.raises(telegram.error.RetryAfter) as caught:
        await bot.send_message(alice.id, "a")
    assert caught.value.retry_after == timedelta(seconds=7)
    server.fault("send*", status=429)
    with pytest.raises(telegram.error.NetworkError, match="Too Many Requests"):
        await bot.send_message(alice.id, "a")
    server.fault(forbidden=True)
    with pytest.raises(telegram.error.Forbidden):
        await bot.send_message(alice.id, "a")
    server.fault("sendMessage", status=400, description="Bad Request: group chat was upgraded to a supergroup chat",
                 parameters={"migrate_to_chat_id": -100})  # fmt: skip
    with pytest.raises(telegram.error.ChatMigrated):
        await bot.send_message(alice.id, "a")
    fault = server.fault("sendMessage", status=502, malformed=True, times=None, skip=1)
    await bot.send_message(alice.id, "through")
    for _ in range(2):
        with pytest.raises(telegram.error.NetworkError, match="Bad Gateway"):
            await bot.send_message(alice.id, "a")
    fault.cancel()
    await bot.send_message(alice.id, "again")
    assert [m.text for m in server.sent(alice)] == ["through", "again"] and len(fault.hits) == 2


@pytest.mark.parametrize(
    ("knobs", "delivered"),
    [
        ({"cut": True}, 0),
        ({"cut": True, "when": "after"}, 1),
        ({"when": "middle"}, 1),
        ({"status": 504, "when": "after"}, 1),
        ({"malformed": True}, 1),
    ],
    ids=["cut before", "cut after", "cut in the middle", "504 after", "malformed"],
)
async def test_ambiguous_faults(server: BotApiServer, bot: Bot, alice: Person, knobs: dict[str, Any], delivered: int) -> None:
    """The client sees an error in each case; the ledger alone knows whether the message was accepted."""
    fault = server.fault("sendMessage", **knobs)
    with pytest.raises(telegram.error.TelegramError):
        await bot.send_message(alice.id, "perhaps")
    assert len(server.sent(alice)) == delivered
    assert [call.accepted for call in fault.hits] == [bool(delivered)]
    await bot.send_message(alice.id, "surely")


async def test_a_stall_lasts_until_it_is_released(server: BotApiServer, alice: Person) -> None:
    """A held call times out at the client and takes effect all the same once it is let go."""
    go = asyncio.Event()
    fault = server.fault("sendMessage", hold=go)
    async with client(server, timeout=0.2) as bot:
        with pytest.raises(telegram.error.TimedOut):
            await bot.send_message(alice.id, "slow")
    assert fault.reached.is_set() and server.sent(alice) == []
    go.set()
    assert (await alice.next_message()).text == "slow"


async def test_flood_limits() -> None:
    """One message a second to a chat after a short burst, twenty a minute to a group, thirty a second in all."""
    clock = [1_800_000_000.0]
    async with BotApiServer(limits=1, now=lambda: clock[0]) as server, client(server) as bot:
        alice = server.person("Alice", started=True)
        for _ in range(3):
            await bot.send_message(alice.id, "a")
        with pytest.raises(telegram.error.RetryAfter):
            await bot.send_message(alice.id, "a")
        assert server.calls[-1].parameters == {"retry_after": 1}
        clock[0] += 1
        await bot.send_message(alice.id, "a")
        group = server.group("Study", [alice])
        for _ in range(20):
            await bot.send_message(group.id, "a")
        with pytest.raises(telegram.error.RetryAfter):
            await bot.send_message(group.id, "a")
        assert server.calls[-1].parameters == {"retry_after": 60}
        people = [server.person(f"P{n}", started=True) for n in range(10)]
        for person in people[:9]:
            await bot.send_message(person.id, "a")
        with pytest.raises(telegram.error.RetryAfter):
            await bot.send_message(people[9].id, "a")


async def test_a_restart_on_the_same_port(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """While the server is down nothing connects; afterwards it still knows everything."""
    poll = asyncio.create_task(bot.get_updates(timeout=20))
    await server.wait_for(lambda: server.bot.poll)
    port = server.port
    await server.stop()
    assert await poll == ()
    with pytest.raises(telegram.error.NetworkError):
        await bot.send_message(alice.id, "down")
    await server.start()
    assert server.port == port
    await bot.send_message(alice.id, "up")
    assert (await alice.next_message()).text == "up"


# The contract


async def test_requests_are_held_against_the_description(server: BotApiServer, bot: Bot, alice: Person) -> None:
    """An unknown parameter is a violation even where Telegram would let it pass; proper calls are none."""
    if CONTRACT is None:
        pytest.skip("the description of the Bot API isn't at ../shared/platforms")
    await bot.send_message(alice.id, f"<b>{'&lt;' * 4096}</b>", "HTML", reply_markup=keys({"a": "b"}))
    await bot.send_photo(alice.id, PNG, caption="c")
    await bot.set_my_commands([("help", "x")])
    assert server.violations == []
    await bot.send_message(alice.id, "a", api_kwargs={"sparkle": True})
    assert server.violations == ["sendMessage: unknown parameter sparkle"]
