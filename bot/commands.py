"""The one table of commands that every platform shows, and what a learner's text means."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it is listed.

    usage: its arguments, as shown in /help; "" for none. listed: False for those that only buttons say.
    """

    name: str
    summary: str
    usage: str = ""
    listed: bool = True


COMMANDS: tuple[Command, ...] = (
    Command("start", "Begin, or begin again with the set-up"),
    Command("next", "Ask me a question now", "[weak, new or a topic]"),
    Command("hint", "A nudge for the open question"),
    Command("skip", "Leave the open question"),
    Command("answer", "Show the model answer"),
    Command("daily", "When the daily question comes", "09:00 [zone]"),
    Command("interview", "Plan towards the day of your interview", "2027-01-15"),
    Command("snooze", "Today's question later", "2h"),
    Command("pause", "Rest from the daily question", "[days]"),
    Command("resume", "End a pause"),
    Command("rest", "Days of the week without a question", "sat sun"),
    Command("topics", "What I can ask about"),
    Command("progress", "Where you stand"),
    Command("week", "Your week, and when it comes by itself", "[sunday 18:00]"),
    Command("streak", "Days practised in a row, and why", "[why]"),
    Command("quiz", "Quiz a whole server at once", "start"),
    Command("mock", "A mock interview with a report", "[track] [minutes] [level] [kind]"),
    Command("report", "The report of a mock interview", "[n]"),
    Command("incident", "Investigate what went wrong", "[name]"),
    Command("voice", "Hear questions, and how your voice notes are graded", "on"),
    Command("settings", "Zone, time, tracks and level"),
    Command("link", "Join this chat with another one of yours", "[code]"),
    Command("unlink", "Part this chat from the others"),
    Command("export", "All that I keep of you, as files"),
    Command("forget", "Delete all that I keep of you"),
    Command("help", "What I understand"),
    Command("cancel", "Stop what we are in the middle of"),
    Command("appeal", "I did say that: have a point read again", "[your words]"),
    Command("flag", "Tell the owner that something is wrong", "[reason]"),
    Command("flagged", "The last grade was meant", listed=False),
    Command("deeper", "The follow-up to a graded reply", listed=False),
    Command("conclude", "Say what the cause is", listed=False),
    Command("sure", "Say how sure you are", listed=False),
    Command("zone", "Set the time zone", listed=False),
    Command("track", "Set the interviews you prepare for", listed=False),
    Command("level", "Set the level", listed=False),
    Command("heard", "What becomes of what was heard", listed=False),
    Command("redo", "Take a question again", listed=False),
)

BY_NAME: dict[str, Command] = {command.name: command for command in COMMANDS}


@dataclass(frozen=True, slots=True)
class Called:
    """A command with whatever followed it, on one line."""

    name: str
    argument: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that looks like a command and is none; `meant` is the closest one's name, or ""."""

    name: str
    meant: str


@dataclass(frozen=True, slots=True)
class Plain:
    """Anything else: a reply to the open question, if there is one."""

    text: str


_COMMAND = re.compile(r"/([A-Za-z_][A-Za-z0-9_]{0,31})(?:@\w+)?(?:\s+(.*))?\Z", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2060\ufeff\ud800-\udfff]")


def clean(text: str) -> str:
    """`text` without control characters, lone surrogates and zero-width padding, stripped. Line ends become \\n."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def understand(text: str) -> Called | Unknown | Plain:
    """What a learner's (cleaned) text means.

    A text that merely begins with a slash ("/etc/passwd is ...", "/ 2") is plain."""
    match = _COMMAND.match(text)
    if match is None:
        return Plain(text)
    name = match.group(1).lower()
    if name in BY_NAME:
        return Called(name, " ".join((match.group(2) or "").split()))
    if match.group(2) and len(match.group(2)) > 60:
        return Plain(text)
    return Unknown(name[:32], _closest(name))


def _closest(name: str) -> str:
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    names = [command.name for command in COMMANDS if command.listed]
    found = process.extractOne(name, names, scorer=OSA.normalized_similarity, score_cutoff=0.6)
    if found is not None:
        return found[0]
    return next((known for known in names if len(name) >= 3 and known.startswith(name)), "")
