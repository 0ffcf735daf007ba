"""Pictures and documents that come with a reply, from the outbox to what a person sees on each platform."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path

import pytest
from peers.discord import DiscordServer, discord_contract
from peers.telegram import BotApiServer, telegram_contract
from test_discord import at_work as at_discord
from test_telegram import at_work as at_telegram
from worlds import ANN, World, world

from adapters.console import Console
from bot import Address, Choice, File, Reply, say
from bot.content import Library
from bot.model import Changes
from bot.outbox import Lane, Owed, freeze, thaw


def _part(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _part(b"IHDR", bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]))
    + _part(b"IDAT", zlib.compress(bytes(4)))
    + _part(b"IEND", b"")
)
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 1200 + b"\n%%EOF"
BUTTON = Choice("Again", "/next")


def report(words: str = "Your report") -> Reply:
    files = (File("course.png", PNG, "A line that rises from 40 to 80.", picture=True), File("report.pdf", PDF, "The whole report."))
    return say(words).with_choices([BUTTON]).with_files(*files)


async def owe(home: World, address: Address, reply: Reply) -> None:
    owed = Owed("reply:files", address, Lane.REPLY, "reply", reply)
    assert await home.store.record("files", address, Changes(), [owed], home.clock())
    home.coach.on_owed()


def test_a_reply_is_kept_with_its_files_and_thawed_the_same() -> None:
    assert thaw(freeze(report())) == report()
    assert "files" not in json.loads(freeze(say("words only")))


@pytest.mark.parametrize("name", ["../coach.db", "a b.png", ""])
def test_a_file_has_a_name_that_leads_nowhere(name: str) -> None:
    with pytest.raises(ValueError, match="plain name"):
        File(name, PNG, "A picture.")


async def test_telegram_shows_the_picture_with_the_words_and_buttons_and_sends_the_document(library: Library, database: Path) -> None:
    """A busy server in between: what was sent already is not sent again."""
    async with world(library, database) as home, BotApiServer(contract=telegram_contract(), now=lambda: home.clock().timestamp()) as server:
        async with at_telegram(home, server) as stage:
            ann = server.person("Ann", started=True)
            server.fault("sendPhoto", status=429, retry_after=2)
            await owe(home, Address("telegram", str(ann.id), str(ann.id)), report())
            document = await ann.next_message()
            await stage.retries()
            picture = await ann.next_message()
            assert document.data == PDF and document.media["document"]["file_name"] == "report.pdf"
            assert "photo" in picture.media and picture.data == PNG
            assert (picture.text, picture.buttons) == ("Your report", ["Again"])
            await stage.courier.drained()
            assert ann.unread() == []
        assert server.violations == []


async def test_telegram_sends_a_text_too_long_for_a_caption_by_itself(library: Library, database: Path) -> None:
    async with world(library, database) as home, BotApiServer(contract=telegram_contract(), now=lambda: home.clock().timestamp()) as server:
        async with at_telegram(home, server) as stage:
            ann = server.person("Ann", started=True)
            await owe(home, Address("telegram", str(ann.id), str(ann.id)), report("word " * 300))
            await stage.courier.drained()
            seen = [await ann.next_message() for _ in range(3)]
            assert [list(one.media) for one in seen] == [["document"], ["photo"], []]
            assert seen[2].buttons == ["Again"] and seen[2].text.startswith("word word")
        assert server.violations == []


async def test_discord_shows_all_in_one_message_in_private_and_after_a_command(library: Library, database: Path) -> None:
    """The picture is described for who can't see it; a server fault in between is overcome without a second copy."""
    async with world(library, database) as home, DiscordServer(contract=discord_contract(), now=lambda: home.clock().timestamp()) as server:
        async with at_discord(home, server) as stage:
            ann = server.person("Ann", guilds=(server.guild("Study"),))
            server.fault("POST /channels/*/messages", retry_after=0.01)
            await owe(home, Address("discord", str(ann.id), str(ann.id)), report())
            message = await ann.next_message()
            assert message.files == {"course.png": PNG, "report.pdf": PDF}
            assert [file.description for file in message.attachments] == ["A line that rises from 40 to 80.", "The whole report."]
            assert (message.content, message.buttons) == ("Your report", ["Again"])
            await stage.courier.drained()
            assert ann.unread() == []
        assert server.violations == []


async def test_the_terminal_keeps_files_and_says_where(library: Library, database: Path, tmp_path: Path) -> None:
    async with world(library, database) as home:
        screen = io.StringIO()
        await Console(home.coach, stdout=screen, files=tmp_path / "files").send(ANN, report(), "k")
        assert (tmp_path / "files" / "report.pdf").read_bytes() == PDF
        assert str(tmp_path / "files" / "course.png") in screen.getvalue()
        (tmp_path / "blocked").write_text("a file where the folder should be")
        await Console(home.coach, stdout=screen, files=tmp_path / "blocked").send(ANN, report(), "k")
        assert "could not be written here" in screen.getvalue()
        assert "Your report" in screen.getvalue()
