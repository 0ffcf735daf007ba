"""The product as a newcomer meets it: a keyboard, a screen, and one command."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from peers.overheard import SECRETS

pexpect = pytest.importorskip("pexpect", reason="there are no pseudo-terminals here")

ROOT = Path(__file__).parents[1]
REPLY = "Precision is TP / (TP + FP): of everything that we flagged, the share that really is positive."
GRADED = r"\d{1,3}/100"
PATIENT = 30 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
"""Seconds; a machine whose cores others keep busy gets longer in proportion."""

COLOUR = re.compile(r"\x1b\[(?:0;)?[1-9][\d;]*m")
MOVES = re.compile(r"\x1b\[[?\d;]*[A-Za-z]")
"""Whatever a terminal is told besides words: colours, and where its cursor goes."""


class Terminal:
    """A pseudo-terminal with a program in it, and all that was ever on its screen."""

    def __init__(self, command: str, arguments: list[str], home: Path, cwd: Path, **settings: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COACH_", "XDG_")) and name != "NO_COLOR"}
        own = {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "XDG_CACHE_HOME": str(home / "cache"), "TERM": "xterm-256color"}
        self.began = time.monotonic()
        self._child = pexpect.spawn(
            command, arguments, encoding="utf-8", dimensions=(40, 92), env=kept | own | settings, cwd=str(cwd), timeout=PATIENT
        )
        self._shown: list[str] = []

    def until(self, wanted: str, timeout: float = PATIENT) -> str:
        """Waits for something on the screen; gives what was shown up to it."""
        self._child.expect(wanted, timeout=timeout)
        shown = str(self._child.before) + str(self._child.after)
        self._shown.append(shown)
        return shown

    def says(self, text: str, answer: str) -> str:
        """Types a line and waits for an answer and the next prompt; gives what was shown, on one line."""
        SECRETS.said(text)
        self._child.sendline(text)
        shown = self.until(answer) + self.until("you>")
        return " ".join(MOVES.sub("", shown).split())

    def ends(self, how: Callable[[], object]) -> tuple[str, int]:
        """Ends the program that way; gives its last words and its exit status."""
        how()
        self._child.expect(pexpect.EOF)
        self._child.close()
        assert self._child.signalstatus is None
        return str(self._child.before), int(self._child.exitstatus)

    @property
    def shown(self) -> str:
        return "".join(self._shown)

    @property
    def child(self) -> pexpect.spawn:
        return self._child


@pytest.fixture
def coach(tmp_path: Path, claims: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts `coach` in a pseudo-terminal, with an empty home."""
    started: list[Terminal] = []

    def start(*arguments: str, **settings: str) -> Terminal:
        started.append(Terminal(sys.executable, ["-m", "adapters", *arguments], tmp_path, tmp_path, COACH_CACHE=str(claims), **settings))
        return started[-1]

    yield start
    for terminal in started:
        terminal.child.close(force=True)


def _interview(terminal: Terminal, timeout: float = PATIENT) -> str:
    """Three numbers for the set-up, then a question by name, a reply, its grade."""
    terminal.until("I am your interview coach", timeout)
    terminal.until("you>")
    terminal.says("1", "When shall the daily question come")
    terminal.says("1", "What are you preparing for")
    terminal.says("1", "Question · ")
    terminal.says("/next precision", "Question · ")
    return terminal.says(REPLY, GRADED)


def test_a_person_types_numbers_and_a_reply_and_reads_a_grade(coach: Callable[..., Terminal], tmp_path: Path) -> None:
    terminal = coach("run")
    graded = _interview(terminal)

    assert re.search(r"\d{1,3}/100 · Precision", graded)
    assert "✅ Precision is the share" in graded
    assert "“Precision is TP / (TP + FP" in graded
    assert "Next time: " in graded
    assert "[1] Go deeper" in graded
    assert "Model answer" in terminal.says("2", "Model answer")
    where = re.search(r"\((\S+\.png): (\S+)\)", terminal.says("/progress", r"\.png\)"))
    assert where is not None
    assert Path(where.group(2)).read_bytes().startswith(b"\x89PNG")
    first_line = terminal.shown.splitlines()[0]
    assert f"your data is in {tmp_path}/data/interview-coach/coach.db" in first_line
    assert "/quit or Ctrl-D stops it" in first_line
    assert COLOUR.search(terminal.shown)

    said, status = terminal.ends(lambda: terminal.child.sendline("/quit"))
    assert "Goodbye. Everything is kept." in said
    assert status == 0


def test_the_next_start_goes_on_with_a_question(coach: Callable[..., Terminal]) -> None:
    first = coach("chat")
    _interview(first)
    first.ends(first.child.sendeof)

    again = coach("chat")
    assert "I am your interview coach" not in again.until("Question · ")
    again.until("you>")
    assert "1 day in a row" in again.says("/streak", "in a row")


@pytest.mark.parametrize("how", ["end of input", "Ctrl-C", "SIGTERM", "/exit"])
def test_however_it_is_ended_it_says_goodbye(coach: Callable[..., Terminal], how: str) -> None:
    terminal = coach("chat")
    terminal.until("you>")
    ways: dict[str, Callable[[], object]] = {
        "end of input": terminal.child.sendeof,
        "Ctrl-C": terminal.child.sendintr,
        "SIGTERM": lambda: terminal.child.kill(signal.SIGTERM),
        "/exit": lambda: terminal.child.sendline("/exit"),
    }

    said, status = terminal.ends(ways[how])

    assert said.strip().splitlines()[-1] == "Goodbye. Everything is kept."
    assert "Traceback" not in said
    assert status == 0


def test_no_colour_on_a_dumb_terminal(coach: Callable[..., Terminal]) -> None:
    terminal = coach("chat", TERM="dumb")
    terminal.until("you>")
    terminal.says("/help", "How this works")

    assert "\x1b" not in terminal.shown


def test_no_colour_where_none_is_wanted_and_lines_folded_at_words(coach: Callable[..., Terminal]) -> None:
    terminal = coach("chat", NO_COLOR="1")
    terminal.until("you>")
    terminal.says("/next precision", "Question · ")
    terminal.says(REPLY, GRADED)

    assert not COLOUR.search(terminal.shown)
    shown = MOVES.sub("", terminal.shown).replace("\r", "").split("\n")
    assert max(len(line) for line in shown if "you>" not in line and not line.startswith("The coach is here")) <= 92


def test_a_line_is_edited_and_completed_and_found_again_after_a_restart_until_all_is_forgotten(
    coach: Callable[..., Terminal], tmp_path: Path
) -> None:
    """Left and right, Tab, the arrow upwards; what is typed while the coach waits. A pasted text of two lines is one message."""
    typed = tmp_path / "data/interview-coach/files/.typed"
    first = coach("chat")
    first.until("you>")
    first.child.send("/hlep")
    first.child.send("\x1b[D\x1b[D\b")  # before the p, and l is gone
    first.child.send("\x1b[Cl\r")
    first.until("How this works")
    first.until("you>")
    first.child.send("/progr\t\r")
    first.until("Nothing graded yet")
    first.until("you>")
    first.child.send("\x1b[200~/odd words\nin two lines\x1b[201~\r")
    first.until("I don't know /odd")
    first.until("you>")
    first.says("/next precision", "Question · ")
    first.ends(first.child.sendeof)

    assert typed.stat().st_mode & 0o777 == 0o600
    again = coach("chat")
    again.until("you>")
    again.child.send("\x1b[A")
    again.until("/next precision")
    again.child.send("\x15/forget\r")
    again.until("Delete everything")
    again.until("you>")
    again.says("1", "I know nothing of you any more")
    again.ends(again.child.sendeof)
    assert not typed.exists()


# ---------------------------------------------------------------------------------------------- one command, from nothing


@pytest.mark.skipif(not (os.environ.get("CI") or os.environ.get("COACH_TEST_INSTALL")), reason="installs; CI or COACH_TEST_INSTALL=1 asks")
def test_make_run_from_a_fresh_clone_reaches_a_graded_reply_within_a_minute(tmp_path: Path) -> None:
    """Nothing is there but Python, git, make and a package cache that is warm: the install is part of the minute.

    A machine whose cores others keep busy gets longer in proportion."""
    clone, home = tmp_path / "clone", tmp_path / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    pip = shutil.which("pip") or sys.executable
    cache = subprocess.run(
        [pip, *([] if pip != sys.executable else ["-m", "pip"]), "cache", "dir"], capture_output=True, text=True, check=False
    ).stdout.strip()  # fmt: skip
    terminal = Terminal("make", ["run"], home, clone, **({"PIP_CACHE_DIR": cache} if cache else {}))
    try:
        graded = _interview(terminal, timeout=180)
        took = time.monotonic() - terminal.began
        said, status = terminal.ends(terminal.child.sendeof)
    finally:
        terminal.child.close(force=True)

    assert re.search(GRADED, graded)
    assert "Goodbye" in said
    assert status == 0
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    print(f"from `make run` to a graded reply: {took:.1f} s (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
    assert took < 60 * busy
