"""The coach's one table of commands as Discord's slash commands, and what somebody says by using one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.discord import quiz
from bot import COMMANDS, Command

STRING, INTEGER = 3, 4
QUIZ = "quiz"
"""The one command that has commands below it."""

EVERYWHERE = {"contexts": [0, 1, 2], "integration_types": [0, 1]}
"""In servers, in private and in other private chats; added to a server or to one's own account."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One field of a slash command. suggested: what `Coach.suggest` offers for it while it is typed, "" for nothing."""

    name: str
    about: str
    suggested: str = ""
    most: int = 0
    """The greatest value of a number from 1 on; 0 for text."""


ARGUMENTS: Mapping[str, tuple[Argument, ...]] = {
    "next": (Argument("topic", "A topic, a question, weak or new; mine when left out", "topic"),),
    "daily": (
        Argument("time", "Such as 09:00, 7:30 pm, or off"),
        Argument("zone", "Your city or time zone, if it changed", "zone"),
    ),
    "appeal": (Argument("words", "Your own words; I ask for the point next"),),
    "flag": (Argument("reason", "What is wrong with the question or the grade"),),
    "link": (Argument("code", "The code from your other chat; left out, you get one for there"),),
    "rest": (Argument("days", "Such as sat sun, fri-sun, or off"),),
    "interview": (Argument("day", "Such as 2027-01-15, 15 January, in 3 weeks, or off"),),
    "week": (Argument("when", "Such as sunday 18:00, or off; your week when left out"),),
    "voice": (Argument("how", "on or off: read aloud; at once or first: when your voice notes are graded"),),
    "streak": (Argument("why", "why: day by day for the last two weeks"),),
    "pause": (Argument("days", "How many days; until /resume when left out", most=365),),
}


def definitions() -> list[dict[str, Any]]:
    """Every listed command, as Discord wants it described."""
    return [
        {
            "type": 1,
            "name": one.name,
            "description": one.summary[:100],
            "options": quiz.options() if one.name == QUIZ else [_option(part) for part in _arguments(one)],
            **EVERYWHERE,
        }
        for one in COMMANDS
        if one.listed
    ]


def fingerprint(commands: Sequence[Mapping[str, Any]]) -> str:
    """The same for the same definitions."""
    return hashlib.sha256(json.dumps(commands, sort_keys=True).encode()).hexdigest()


def _arguments(command: Command) -> tuple[Argument, ...]:
    known = ARGUMENTS.get(command.name)
    if known is not None or not command.usage:
        return known or ()
    name = re.sub(r"\W+", "_", command.usage.lower()).strip("_")[:32]
    return (Argument(name or "text", command.usage[:100]),)


def _option(part: Argument) -> dict[str, Any]:
    option: dict[str, Any] = {"name": part.name, "description": part.about, "required": False}
    if part.most:
        return {**option, "type": INTEGER, "min_value": 1, "max_value": part.most}
    return {**option, "type": STRING, "max_length": 100, "autocomplete": bool(part.suggested)}


def spoken(data: Mapping[str, Any]) -> str:
    """The line that somebody would have typed instead of this slash command."""
    name = str(data["name"])
    if name == QUIZ:
        return " ".join([f"/{name}", *(str(option["name"]) for option in data.get("options") or ())])
    values = {str(option["name"]): str(option.get("value", "")) for option in data.get("options") or ()}
    if name == "daily" and values.keys() == {"zone"}:
        name = "zone"
    order = [part.name for part in ARGUMENTS.get(name, ())]
    given = sorted(values, key=lambda one: order.index(one) if one in order else len(order))
    return " ".join([f"/{name}", *(values[one] for one in given)]).strip()


def being_typed(data: Mapping[str, Any]) -> tuple[str, str]:
    """What kind of thing is being typed into a slash command ("" for nothing we suggest), and the beginning of it."""
    kinds = {part.name: part.suggested for part in ARGUMENTS.get(str(data["name"]), ())}
    options = list(data.get("options") or ())
    if data["name"] == QUIZ:
        kinds, options = dict(quiz.SUGGESTED), [part for option in options for part in option.get("options") or ()]
    for option in options:
        if option.get("focused"):
            return kinds.get(str(option["name"]), ""), str(option.get("value", ""))
    return "", ""
