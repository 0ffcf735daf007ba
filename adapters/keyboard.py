"""A person's keyboard at a terminal: a line that can be edited, what was typed before, and commands that complete themselves."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.history import FileHistory
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.shortcuts import CompleteStyle

from bot import COMMANDS

KEPT = 500
"""Lines that are remembered."""


class Typed(FileHistory):
    """What was typed, in a file that its owner alone may read; where it can't be written, until the end."""

    def load_history_strings(self) -> Iterable[str]:
        with suppress(OSError):
            return list(super().load_history_strings())[:KEPT]
        return []

    def store_string(self, string: str) -> None:
        with suppress(OSError):
            file = Path(str(self.filename))
            file.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
            super().store_string(string)

    def forget(self) -> None:
        """Nothing was ever typed."""
        self._loaded_strings.clear()
        with suppress(OSError):
            Path(str(self.filename)).unlink(missing_ok=True)


class _Commands(Completer):
    """The rest of a command, when Tab is pressed."""

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        typed = document.text_before_cursor
        if typed.startswith("/") and " " not in typed:
            for command in COMMANDS:
                if command.listed and command.name.startswith(typed[1:]):
                    yield Completion(f"/{command.name}", -len(typed), display_meta=command.summary)


class Keyboard:
    """Reads lines while the coach may write above them."""

    def __init__(self, prompt: str, history: Path) -> None:
        self._prompt = prompt
        self.typed = Typed(str(history))
        # Not every terminal says where its cursor is, and nothing here needs to know.
        output = Vt100_Output.from_pty(sys.stdout, term=os.environ.get("TERM"))
        output.enable_cpr = False
        self._session: PromptSession[str] = PromptSession(
            history=self.typed, completer=_Commands(), complete_while_typing=False, enable_history_search=True, output=output,
            complete_style=CompleteStyle.READLINE_LIKE, reserve_space_for_menu=0,
        )  # fmt: skip

    async def line(self) -> str | None:
        """The next line; a pasted text of several lines is one. None at the end, by Ctrl-D or Ctrl-C."""
        try:
            return await self._session.prompt_async(ANSI(self._prompt), handle_sigint=False)
        except (EOFError, KeyboardInterrupt):
            return None

    @contextmanager
    def beside(self) -> Iterator[TextIO]:
        """Where to write meanwhile: what comes while a line is being typed appears above it."""
        with patch_stdout(raw=True):
            yield sys.stdout
