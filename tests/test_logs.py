"""What the logs hold: enough to follow a turn and a message, and nothing that a person said or is called."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
import structlog
from peers.overheard import Overheard, Secrets
from peers.telegram import TOKEN
from worlds import world

from bot.content import Library
from bot.logs import configure

ROOT = Path(__file__).parents[1]
SAID = "Overfitting is when the model memorises the training data."


@pytest.fixture
def listening(request: pytest.FixtureRequest) -> Overheard:
    """What listens to every test; here it may hear what nobody should."""
    found = next(one for one in request.config.stash._storage.values() if isinstance(one, Overheard))
    found.heard()
    return found


@pytest.fixture
def secrets() -> Secrets:
    known = Secrets()
    known.said(f"/next {SAID}")
    known.name("Zoë Quillfeather")
    known.token(TOKEN)
    return known


@pytest.mark.parametrize(
    "line",
    [
        f"failed: {SAID}",
        'WHEN "the" model, memorises',
        json.dumps({"event": "failed", "name": "zoë quillfeather"}),
        f"POST https://api.example.org/bot{TOKEN}/sendMessage",
        f"{TOKEN[-12:]}",
    ],
)
def test_words_names_and_tokens_are_found_in_a_log_however_they_are_written(secrets: Secrets, line: str) -> None:
    assert len(secrets.found_in(f"all is well\n{line}\nall is well")) == 1


@pytest.mark.parametrize(
    "line", ['{"event": "turn done", "said": "/next", "turn": "telegram:7"}', "the training data of model 2", "Zoë", ""]
)
def test_ordinary_lines_give_nobody_away(secrets: Secrets, line: str) -> None:
    assert secrets.found_in(line) == []


async def test_whatever_is_logged_here_or_by_a_child_is_heard(
    listening: Overheard, secrets: Secrets, library: Library, database: Path
) -> None:
    """Through structlog, a library's logger and a child's standard error; a library's own words are not even written."""
    structlog.get_logger("coach").debug("careless", text=SAID)
    logging.getLogger("httpx").error("GET %s", TOKEN)
    logging.getLogger("somebody").error("they said %s", SAID)
    child = (
        "import sys, structlog; from bot.logs import configure; configure('info', json=True); print('Zoë Quillfeather', file=sys.stderr)"
    )
    started = await asyncio.create_subprocess_exec(sys.executable, "-c", child, cwd=ROOT, stderr=subprocess.DEVNULL)
    assert await started.wait() == 0
    heard = listening.heard()

    assert [leak.partition(":")[0] for leak in secrets.found_in(heard)] == ["words of a person", "a name"]
    assert '{"level": "error", "logger": "somebody", "kind": ""}' in heard


async def test_every_line_of_a_turn_says_which_turn_it_was(listening: Overheard, library: Library, database: Path) -> None:
    """The platform and its own number of what was said; what was said is named as a command at most."""
    async with world(library, database) as home:
        await home.says("/next precision", key="17")
        await home.says(SAID, key="18")
        await home.says("/nonsense of mine", key="19")
    turns = [json.loads(line) for line in listening.heard().splitlines()]

    assert [(line["turn"], line["said"], line["replies"]) for line in turns if line["event"] == "turn done"] == [
        ("console:17", "/next", 1), ("console:18", "text", 1), ("console:19", "unknown command", 1),
    ]  # fmt: skip
    assert {line["turn"] for line in turns} == {"console:17", "console:18", "console:19"}


def test_lines_are_json_for_a_machine_and_readable_for_a_person() -> None:
    for as_json, expected in (
        (True, r'\{"event": "turn done", "turn": "telegram:7", .*\}\n'),
        (False, r"\S+Z \[info *\] turn done +.*turn=telegram:7\n"),
    ):
        out = StringIO()
        configure("info", json=as_json, to=out)
        with structlog.contextvars.bound_contextvars(turn="telegram:7"):
            structlog.get_logger("coach").info("turn done")
        assert re.fullmatch(expected, re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())), out.getvalue()
