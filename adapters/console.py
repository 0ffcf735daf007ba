"""The terminal as a platform: one learner, who types and reads."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from mimetypes import guess_type
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, TextIO
from uuid import uuid4

from bot import UNLIMITED, Address, Choice, Coach, File, Message, Recording, Reply, Style

if TYPE_CHECKING:
    from adapters.keyboard import Keyboard

PLATFORM = "console"
HERE = Address(PLATFORM, "you", "you")

GLUE = "\x00"

SAY = "/say "
"""Before the name of a sound file: what is in it is said, as by a voice note."""

_COLOURS = {Style.BOLD: "1", Style.ITALIC: "3", Style.QUOTE: "36", Style.CODE: "33", Style.BLOCK: "33"}


class Console:
    """Reads lines from `stdin` and writes replies to `stdout`. A number alone presses the button of that number."""

    platform = PLATFORM
    pace = UNLIMITED

    def __init__(
        self,
        coach: Coach,
        *,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        files: Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """files: the folder in which what comes along with a reply is kept; where it can't be, that is said."""
        self._coach = coach
        self._files = files
        self._now = now
        self._in = stdin or sys.stdin
        self._out = stdout or sys.stdout
        self._colour = self._out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self._keyboard: Keyboard | None = None
        self._choices: list[Choice] = []
        self._printed = asyncio.Event()
        self._owed = 0

    async def send(self, address: Address, reply: Reply, key: str, since: datetime | None = None) -> str:
        """Prints a reply; its buttons are numbered. A voice note, which nobody waits for, is kept."""
        if reply.note is not None:
            lines = await self._kept(File("spoken.ogg", reply.note.data, "What was read aloud."))
            self._out.write(f"\n{lines[0]}\n\n")
            self._out.flush()
            return key
        self._choices = [choice for row in reply.choices for choice in row]
        width = max(40, min(100, get_terminal_size((88, 24)).columns))
        lines = [self._fold(line, width) for line in self.draw(reply).split("\n")]
        buttons = "   ".join(f"[{number}] {choice.label}".replace(" ", GLUE) for number, choice in enumerate(self._choices, 1))
        if buttons:  # a line ends between two buttons, never within one
            folded = textwrap.fill(buttons, width, break_long_words=False, break_on_hyphens=False).replace(GLUE, " ")
            lines += ["", self._paint(folded, "2")]
        for file in reply.files:
            lines = [*await self._kept(file), *lines]
        self._out.write("\n" + "\n".join(lines) + "\n\n")
        self._out.flush()
        self._owed -= 1
        self._printed.set()
        return key

    async def _kept(self, file: File) -> list[str]:
        """Keeps a file, and says where."""
        try:
            if self._files is None:
                raise OSError("no folder")
            where = await asyncio.to_thread(_written, self._files, file)
        except OSError:
            return [f"({file.name} could not be written here.)", ""]
        return [f"({file.name}: {where})", ""]

    def draw(self, reply: Reply) -> str:
        """The reply's text, in colour where the terminal has colours."""
        return "".join(self._paint(span.text, _COLOURS.get(span.style, "")) for span in reply.spans)

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if code and self._colour and text.strip() else text

    def _fold(self, line: str, width: int) -> str:
        indent = line[: len(line) - len(line.lstrip())]
        return textwrap.fill(
            line.strip(), width, initial_indent=indent, subsequent_indent=indent or "  " * line.startswith(("✅", "🟡", "⚪", "❌")),
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip

    async def converse(self, *, begin: bool = True) -> None:
        """Talks until the input ends or the learner says /quit."""
        try:
            if begin:
                await self._say("/start" if not await self._coach.knows(HERE) else "/next")
            self._sit_down()
            while (line := await self._line()) is not None and line.strip() not in ("/quit", "/exit"):
                text = self._pressed(line)
                if text.strip():
                    await self._say(text)
        finally:  # also where a signal ends it
            with suppress(OSError):
                self._out.write("\nGoodbye. Everything is kept.\n")
                self._out.flush()

    def _pressed(self, line: str) -> str:
        word = line.strip()
        if word.isascii() and word.isdigit() and 1 <= int(word) <= len(self._choices):
            return self._choices[int(word) - 1].text
        return line

    async def _say(self, text: str) -> None:
        message = Message(uuid4().hex, HERE, text, self._now())
        if text.startswith(SAY):
            name = text.removeprefix(SAY).strip()
            data = await asyncio.to_thread(_read, name)
            if data is None:
                self._out.write(f"\n(There is no file {name}.)\n\n")
                return
            recording = Recording(name, len(data), mime=guess_type(name)[0] or "")

            async def fetch(most: int) -> bytes:
                return data

            replies = await self._coach.hear(replace(message, text="", recording=recording), fetch)
        else:
            replies = await self._coach.handle(message)
        self._owed += len(replies)
        while self._owed > 0:
            self._printed.clear()
            await self._printed.wait()
        if self._keyboard is not None and text.startswith("/forget") and not await self._coach.knows(HERE):
            self._keyboard.typed.forget()

    def _sit_down(self) -> None:
        """Where a person sits at a terminal they may edit what they type, and find it again the next time."""
        at_terminal = self._in is sys.stdin and self._out is sys.stdout and self._in.isatty() and self._out.isatty()
        if at_terminal and self._files is not None and os.environ.get("TERM") not in (None, "dumb"):
            with suppress(ImportError):  # then a line is typed as it always was
                from adapters.keyboard import Keyboard

                self._keyboard = Keyboard(self._paint("you> ", "32"), self._files / ".typed")

    async def _line(self) -> str | None:
        """The next line, read without holding up the loop; several pasted lines come one by one."""
        if self._keyboard is not None:
            with ExitStack() as beside:
                plain, self._out = self._out, beside.enter_context(self._keyboard.beside())
                try:
                    return await self._keyboard.line()
                finally:
                    self._out = plain
        self._out.write(self._paint("you> ", "32"))
        self._out.flush()
        line = await _in_thread(self._in.readline)
        return line.rstrip("\n") if line else None


def _read(name: str) -> bytes | None:
    """What is in the file of that name, or None."""
    try:
        return Path(name).expanduser().read_bytes()
    except (OSError, RuntimeError):
        return None


def _written(folder: Path, file: File) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    where = folder / file.name
    where.write_bytes(file.data)
    return where


async def _in_thread(read: Callable[[], str]) -> str:
    """Runs a blocking read in a daemon thread, so that a waiting read never keeps the process from ending."""
    import threading

    loop = asyncio.get_running_loop()
    done: asyncio.Future[str] = loop.create_future()

    def finish(line: str) -> None:
        if not done.done():
            done.set_result(line)

    def work() -> None:
        try:
            line = read()
        except (OSError, ValueError, UnicodeDecodeError):
            line = ""
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, line)

    threading.Thread(target=work, daemon=True, name="stdin").start()
    return await done
