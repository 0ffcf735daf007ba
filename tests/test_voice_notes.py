"""Voice notes on the platforms as things really happen: the real clients, real HTTP, strict loopback servers."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
import structlog
from peers.discord import TOKEN as DISCORD_TOKEN
from peers.discord import DiscordServer, discord_contract
from peers.discord_limits import VOICE_MESSAGE
from peers.telegram import TOKEN, BotApiServer, Person, telegram_contract
from spoken import speech, voice_note
from voiced import GOOD, Hum, Room, Running, Told, room
from worlds import couriers

from adapters.discord import Discord
from adapters.telegram import Telegram
from bot import Address, Pace
from bot.config import Settings
from bot.content import Library
from bot.deliveries import Courier
from bot.speech import Listener, open_listener
from bot.speech.sound import LARGEST
from bot.voices import open_speaker
from bot.voices.speaker import Speaker

FAST = Pace(per_second=1e4, per_chat=1e4, burst=100, group_per_minute=1e5, in_flight=4)
OGG = b"OggS OpusHead "


class Heard(Told):
    """Hears what is written behind the first bytes of a recording."""

    async def listen(self, clip: Any) -> Any:
        assert clip.data.startswith(OGG)
        return await super().listen(type(clip)(clip.data[len(OGG) :], clip.mime, clip.seconds))


@asynccontextmanager
async def on_telegram(home: Room, server: BotApiServer) -> AsyncIterator[Courier]:
    adapter = Telegram(home.coach, TOKEN, api=server.url.removesuffix("/bot"), pace=FAST, now=home.clock)
    async with couriers(home, [adapter]) as courier:
        await adapter.start()
        running = asyncio.create_task(adapter.run())
        try:
            yield courier
        finally:
            await adapter.stop()
            await running


@pytest.fixture
def clock() -> Running:
    return Running()


@pytest.fixture
async def server(clock: Running) -> AsyncIterator[BotApiServer]:
    async with BotApiServer(contract=telegram_contract(), now=lambda: clock().timestamp()) as running:
        yield running
        assert not running.violations


async def _asked(ann: Person, name: str = "precision") -> None:
    await ann.says("/start")
    await ann.next_message()
    for line in ("/track all 3", "/cancel", f"/next {name}"):
        await ann.says(line)
        await ann.next_message()


async def test_a_telegram_voice_note_is_fetched_shown_corrected_and_graded(
    library: Library, database: Path, server: BotApiServer, clock: Running
) -> None:
    """Voice notes, sound files and round videos are fetched and heard; a button grades one; what is too large is not even asked for;
    and no log has the token, which is in every file's address, or a word."""
    ann, logs = server.person("Ann"), io.StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(logs))
    async with room(library, database, listener=Heard(draft=True), clock=clock) as home, on_telegram(home, server):
        await _asked(ann)
        server.failing_downloads = [0]
        await ann.sends_voice(OGG + GOOD.encode(), duration=21)
        shown = await ann.next_message()
        assert GOOD in shown.text
        assert "rough draft" in shown.text
        assert shown.buttons == ["Grade it", "Edit", "Say again"]
        assert len(server.downloads) == 2  # it broke off once
        await ann.taps(shown, "Edit")
        assert "as it should be" in (await ann.next_message()).text
        await ann.says(GOOD)
        assert "Precision · spoken" in (await ann.next_message()).text
        await ann.says("/next recall")
        await ann.next_message()
        for send in (
            lambda: ann.sends_audio(OGG + b"one way", mime="audio/ogg"),
            lambda: ann.sends_video_note(OGG + b"another way"),
            lambda: ann.sends_document(OGG + b"a third way", "reply.ogg"),
        ):
            before = len(server.downloads)
            await send()
            text = (await ann.next_message()).text
            assert "way" in text if len(server.downloads) > before else "can't read a document" in text
        fetched = len(server.downloads)
        await ann.sends_voice(OGG + b"long", duration=301)
        assert "five minutes" in (await ann.next_message()).text
        await ann.sends_audio(OGG + b"x" * (LARGEST + 1))
        assert "20 MB" in (await ann.next_message()).text
        assert len(server.downloads) == fetched
        server.failing_downloads = [404]
        await ann.sends_voice(OGG + b"gone", duration=3)
        assert "could not get that recording" in (await ann.next_message()).text
        memory = await home.store.recall(Address("telegram", str(ann.id), str(ann.id)))
        assert len(memory.past) == 1
        assert memory.open is not None
    structlog.reset_defaults()
    logged = logs.getvalue()
    assert "recording not fetched" in logged
    assert not [word for word in (TOKEN.partition(":")[2], "deleted", "another way") if word in logged]


async def test_telegram_answers_what_is_typed_while_something_is_heard_and_hears_it_again_after_a_kill(
    library: Library, database: Path, server: BotApiServer, clock: Running
) -> None:
    """A text is answered while the same person's voice note is listened to; what was being heard when the coach ended is heard anew."""
    ann, listener = server.person("Ann"), Heard()
    async with room(library, database, listener=listener, clock=clock) as home, on_telegram(home, server):
        await _asked(ann)
        listener.go.clear()
        await ann.sends_voice(OGG + GOOD.encode(), duration=21)
        async with asyncio.timeout(20), listener.changed:
            await listener.changed.wait_for(lambda: bool(listener.begun))
        await ann.says("/hint")
        assert (await ann.next_message()).text.startswith("Hint 1")
    listener = Heard()
    async with room(library, database, listener=listener, clock=clock) as home, on_telegram(home, server):
        shown = await ann.next_message()
        assert GOOD in shown.text
        await ann.taps(shown, "Grade it")
        assert "spoken" in (await ann.next_message()).text
        assert listener.begun == [GOOD]


async def test_telegram_shows_what_is_read_aloud_as_a_voice_message(
    library: Library, database: Path, tmp_path: Path, server: BotApiServer, clock: Running
) -> None:
    """After /voice on the question comes as text and then as a voice message of one channel of Opus, with its length."""
    ann = server.person("Ann")
    speaker = Speaker(Hum(), tmp_path / "voice")
    async with room(library, database, speaker=speaker, clock=clock) as home, on_telegram(home, server):
        await _asked(ann)
        await ann.says("/skip")
        await ann.next_message()
        await ann.says("/voice on")
        assert "read questions aloud" in (await ann.next_message()).text
        assert "voice" in (await ann.next_message()).media
        await ann.says("/next recall")
        assert "Question" in (await ann.next_message()).text
        spoken = await ann.next_message()
        assert spoken.media["voice"]["duration"] == 1
        assert not spoken.buttons
        read = soundfile.info(io.BytesIO(spoken.data))
        assert (read.format, read.subtype, read.channels) == ("OGG", "OPUS", 1)


# ---------------------------------------------------------------------------------------------- Discord


@pytest.fixture
async def guilds(clock: Running) -> AsyncIterator[DiscordServer]:
    async with DiscordServer(contract=discord_contract(), now=lambda: clock().timestamp()) as running:
        yield running
        assert not running.violations


@asynccontextmanager
async def on_discord(home: Room, server: DiscordServer) -> AsyncIterator[Courier]:
    adapter = Discord(home.coach, DISCORD_TOKEN, api=server.api, pace=FAST, now=home.clock, identify_pause=0.0)
    async with couriers(home, [adapter]) as courier:
        await adapter.start()
        running = asyncio.create_task(adapter.run())
        await server.connected()
        try:
            yield courier
        finally:
            await adapter.stop()
            await asyncio.gather(running, return_exceptions=True)


async def test_a_discord_voice_message_is_heard_and_questions_are_read_aloud(
    library: Library, database: Path, tmp_path: Path, guilds: DiscordServer, clock: Running
) -> None:
    """Voice messages and sound files are fetched and heard, also where their address has grown old; the coach's own are voice messages
    as Discord documents them; a text is answered meanwhile, and what was being heard when the coach ended is heard anew."""
    ann, listener, speaker = guilds.person("Ann", guilds=(guilds.guild("Study"),)), Heard(), Speaker(Hum(), tmp_path / "voice")
    async with room(library, database, listener=listener, speaker=speaker, clock=clock) as home, on_discord(home, guilds):
        for line in ("/start", "/track all 3", "/cancel", "/voice on"):
            await ann.dm(line)
            await ann.next_message()
        assert (await ann.next_message()).flags & VOICE_MESSAGE
        await ann.dm("/next precision")
        asked = await ann.next_message()
        assert "Question" in asked.content
        spoken = await ann.next_message()
        assert spoken.flags & VOICE_MESSAGE
        (file,) = spoken.attachments
        assert (file.seconds, len(file.waveform or "")) == (0.5, 8)
        assert soundfile.info(io.BytesIO(file.data)).subtype == "OPUS"
        guilds.failing_downloads = [404, 500]
        await ann.speaks(OGG + GOOD.encode(), seconds=21.0)
        shown = await ann.next_message()
        assert "TP / (TP + FP)" in shown.content
        assert len(guilds.downloads) == 3
        await ann.presses(shown, "Grade it")
        assert "spoken" in (await ann.next_message()).content
        await ann.dm("/next recall")
        await ann.next_message()
        await ann.next_message()
        await ann.dm("", files=[("reply.mp3", OGG + b"some other way")])
        assert "some other way" in (await ann.next_message()).content
        fetched = len(guilds.downloads)
        await ann.speaks(OGG + b"long", seconds=301.0)
        assert "five minutes" in (await ann.next_message()).content
        assert len(guilds.downloads) == fetched
        listener.go.clear()
        await ann.speaks(OGG + b"the share of positives that is found", seconds=9.0)
        async with asyncio.timeout(20), listener.changed:
            await listener.changed.wait_for(lambda: listener.begun[-1].startswith("the share"))
        await ann.dm("/hint")
        assert "Hint 1" in (await ann.next_message()).content
    async with room(library, database, listener=Heard(), clock=clock) as home, on_discord(home, guilds):
        assert "the share of positives that is found" in (await ann.next_message()).content


async def test_a_voice_message_whose_answer_was_lost_is_there_once(
    library: Library, database: Path, tmp_path: Path, guilds: DiscordServer, clock: Running
) -> None:
    """Cut off when Discord has taken it, and tried again minutes later by another process, it is found in the chat by its file's name."""
    ann, speaker = guilds.person("Ann", guilds=(guilds.guild("Study"),)), Speaker(Hum(), tmp_path / "voice")
    async with room(library, database, speaker=speaker, clock=clock) as home:
        async with on_discord(home, guilds):
            for line in ("/start", "/track all 3", "/cancel", "/voice on"):
                await ann.dm(line)
                await ann.next_message()
            await ann.next_message()
            cut = guilds.fault("POST /channels/*/messages", cut=True, when="after", times=None, skip=1)
            await ann.dm("/next precision")
            assert "Question" in (await ann.next_message()).content
            await guilds.wait_for(lambda: bool(cut.hits), 60, "the voice message")
        cut.cancel()
        clock.move(minutes=5)
        for message in guilds.sent(ann):  # nobody says that Discord remembers it for ever
            message.nonce = None
        async with on_discord(home, guilds) as courier:
            await courier.drained()
            await ann.dm("/help")
            await guilds.wait_for(lambda: "How this works" in guilds.sent(ann)[-1].content, 60, "the help")
        assert sum(bool(message.flags & VOICE_MESSAGE) for message in guilds.sent(ann)) == 2
        count = await home.store.count()
        assert (count.get("outbox retry", 0), count.get("outbox dead", 0)) == (0, 0)


# ---------------------------------------------------------------------------------------------- with a real ear and a real voice


SPOKEN = "Raising the threshold usually raises precision and costs recall."
PATIENCE = 240.0
"""Seconds for what takes a few on an idle machine."""


async def test_a_question_is_heard_and_a_reply_is_spoken_with_the_ear_and_the_voice_that_come_with_the_coach(
    library: Library, database: Path, tmp_path: Path, server: BotApiServer, guilds: DiscordServer, clock: Running
) -> None:
    """espeak-ng asks and replies, pocketsphinx hears both: on Telegram the reply is shown, corrected and graded, on Discord the
    coach's own voice message is understood; what is no recording gets its sentence."""
    said = voice_note(speech(SPOKEN))
    settings = Settings(cache=tmp_path / "cache", voice="espeak-ng", ear="pocketsphinx")
    few = replace(library, questions={id: library.questions[id] for id in ("cyclic-hours", "precision", "recall")})
    listener, speaker = open_listener(settings, few), open_speaker(settings)  # of all packs its language model takes long to build
    assert isinstance(listener, Listener)
    assert speaker is not None
    ann, bob = server.person("Ann"), guilds.person("Bob", guilds=(guilds.guild("Study"),))
    async with room(library, database, listener=listener, speaker=speaker, clock=clock) as home:
        async with on_telegram(home, server):
            await _asked(ann)
            for line in ("/skip", "/voice on"):
                await ann.says(line)
                await ann.next_message()
            await ann.next_message()
            await ann.says("/next cyclic-hours")
            asked, spoken = await ann.next_message(), await ann.next_message(timeout=PATIENCE)
            assert asked.text.startswith("Question")
            assert spoken.media["voice"]["duration"] > 3
            for data in (b"no sound at all", b"RIFF....WAVEfmt "):
                await ann.sends_voice(data, duration=3)
                assert (await ann.next_message(timeout=PATIENCE)).text.endswith("your question is still open.")
            await ann.sends_voice(said, duration=4)
            shown = await ann.next_message(timeout=PATIENCE)
            assert "raising the threshold usually raises precision and costs recall" in shown.text
            assert "rough draft" in shown.text
            await ann.taps(shown, "Edit")
            assert "as it should be" in (await ann.next_message()).text
            await ann.says("As sine and cosine of the hour, so that midnight is next to eleven in the evening.")
            graded = await ann.next_message(timeout=PATIENCE)
            assert " · spoken" in graded.text
            assert "Spoken: " in graded.text
        async with on_discord(home, guilds):
            for line in ("/start", "/track all 3", "/cancel", "/next cyclic-hours"):
                await bob.dm(line)
                await bob.next_message()
            await bob.speaks(spoken.data, seconds=float(spoken.media["voice"]["duration"]))
            understood = await bob.next_message(timeout=PATIENCE)
            assert "hour" in understood.content, understood.content
            await bob.presses(understood, "Grade it")
            assert "/100" in (await bob.next_message(timeout=PATIENCE)).content
    await listener.close()
    await speaker.close()
