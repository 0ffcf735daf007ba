"""Logs: JSON lines in production, readable text in a terminal; ids only, never words, names or tokens."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def configure(level: str, *, json: bool) -> None:
    """Sends structlog's and every library's records to standard error. `level`: debug, info, warning or error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries may put a URL with a token, or a learner's words, into their records: only their worst is kept, as its kind.
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s", stream=sys.stderr, force=True)
    logging.getLogger("httpx").setLevel(logging.CRITICAL)
