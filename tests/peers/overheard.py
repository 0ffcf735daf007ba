"""Everything that is logged during the tests, by this process and its children, searched for what must never be: what people say and
are called, and tokens.

The people of the peers tell it what they say, the servers which tokens they know. A test in whose time such a thing was logged fails.
"""

from __future__ import annotations

import json
import logging
import os
import re
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

RUN = 4
"""So many words in a row of what somebody said are theirs."""

SHORTEST = 3
"""Letters that a name has at least: shorter ones are in ordinary words."""

TAIL = 12
"""Letters of a token's end that give it away."""

_WORDS = re.compile(r"\w+")


def _words(text: str) -> list[str]:
    return _WORDS.findall(text.casefold())


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)}


class Secrets:
    """What must not be logged."""

    def __init__(self) -> None:
        self._said: set[tuple[str, ...]] = set()
        self._names: set[str] = set()
        self._tokens: set[str] = set()

    def said(self, text: str) -> None:
        """Somebody says this; a command's own words are ours."""
        words = _words(re.sub(r"^\s*/\w+", "", text))
        self._said |= _runs(words)

    def name(self, name: str) -> None:
        """Somebody, or a group of theirs, is called this."""
        if len(name) >= SHORTEST:
            self._names.add(" ".join(_words(name)))

    def token(self, token: str | None) -> None:
        """Whoever has this may do what the coach does."""
        if token and len(token) >= TAIL:
            self._tokens.add(token[-TAIL:])

    def found_in(self, log: str) -> list[str]:
        """What of it is in a log, each with the line that gives it away."""
        found = []
        for line in log.splitlines():
            plain = _plain(line)
            words = _words(plain)
            found += [f"words of a person: {' '.join(run)!r} in {line[:300]}" for run in sorted(_runs(words) & self._said)[:1]]
            told = f" {' '.join(words)} "
            found += [f"a name: {name!r} in {line[:300]}" for name in sorted(self._names) if f" {name} " in told]
            found += [f"a token: ...{token!r} in {line[:300]}" for token in self._tokens if token in plain]
        return found


def _plain(line: str) -> str:
    """A line as it would be read, whatever its JSON escapes."""
    try:
        read = json.loads(line)
    except ValueError:
        return line
    return " ".join(f"{name} {value}" for name, value in read.items()) if isinstance(read, dict) else str(read)


SECRETS = Secrets()
"""Those of this test process."""


class Overheard:
    """Listens to this process's logs and to its children's standard error, until `close`."""

    def __init__(self) -> None:
        from bot.logs import configure

        self._own = StringIO()
        self._folder = TemporaryDirectory(prefix="overheard-")
        self._read: dict[Path, int] = {}
        here = str(Path(__file__).parent / "child")
        os.environ["OVERHEARD"] = self._folder.name
        os.environ["PYTHONPATH"] = os.pathsep.join(
            [here, *filter(None, [os.environ.get("PYTHONPATH", "").replace(here, "").strip(os.pathsep)])]
        )
        configure("debug", json=True, to=self._own)
        self._configured: dict[str, Any] = structlog.get_config()
        self._handlers = list(logging.getLogger().handlers)
        logging.getLogger().setLevel(logging.WARNING)  # as pytest has it

    def again(self) -> None:
        """A test may have configured logs for itself."""
        structlog.configure(**self._configured)
        root = logging.getLogger()
        root.handlers[:] = self._handlers  # pytest adds its own for each phase of a test
        root.setLevel(logging.WARNING)

    def heard(self) -> str:
        """What was logged since this was asked last."""
        said = [self._own.getvalue()]
        self._own.seek(0)
        self._own.truncate()
        for file in sorted(Path(self._folder.name).iterdir()):
            with file.open("rb") as log:
                log.seek(self._read.get(file, 0))
                said.append(log.read().decode(errors="replace"))
                self._read[file] = log.tell()
        return "\n".join(filter(None, said))

    def close(self) -> None:
        structlog.reset_defaults()
        self._folder.cleanup()
