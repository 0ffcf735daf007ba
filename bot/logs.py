"""Logs: JSON lines in production, readable text in a terminal; ids only, never words, names or tokens."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from json import dumps
from typing import Any, TextIO

import structlog


def configure(level: str, *, json: bool, to: TextIO | None = None) -> None:
    """Sends structlog's and every library's records to `to`, standard error by default. `level`: debug, info, warning or error."""
    out = to or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=out.isatty())
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(Surviving(out)),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    # Libraries may put a URL with a token, or a learner's words, into their records: only their worst is kept, as its kind.
    handler = logging.StreamHandler(Surviving(out))
    handler.setFormatter(_Kind(json))
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.CRITICAL)


class Surviving:
    """A stream where what can't be written is left out: a disk that is full of logs ends no conversation."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


class _Kind(logging.Formatter):
    """A record without its message: where it came from, and the kind of the exception that it was about."""

    def __init__(self, json: bool) -> None:
        super().__init__()
        self._json = json

    def format(self, record: logging.LogRecord) -> str:
        kind = record.exc_info[0] if record.exc_info else None
        found = {"level": record.levelname.lower(), "logger": record.name, "kind": kind.__name__ if kind else ""}
        return dumps(found) if self._json else " ".join(found.values()).strip()
