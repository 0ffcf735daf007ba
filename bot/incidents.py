"""Incidents: scenarios that are investigated step by step. Their format, how they are read, and what is wrong with one.

An incident is a file `content/<pack>/incidents/<id>.toml`. What a learner's words ask for is in `bot.grading.clues`, the course
of an investigation in `bot.investigations`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bot.content import Id, Line, Rubric, Syllabus
from bot.errors import ContentError

Trigger = Annotated[str, StringConstraints(pattern=r"^[a-z0-9'|_-]+( [a-z0-9'|_-]+)*$", max_length=200)]
Paragraph = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=900)]

STAGES = ("conclusion", "actions", "summary")
"""What is asked after the looking: the cause, what to do, and what the business is told."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Clue(_Entry):
    """Something that is found by whoever asks for it.

    triggers: each a row of words that must all be said; "a|b" is either of them, "a_b" the two words in a row. rank: 1..9, when
    a good investigator looks: what is cheap and likely first. herring: it leads nowhere. needs: the clues that must have been
    found before anybody could ask for this one. nudge: what a hint says to lead here.
    """

    id: Id
    rank: Annotated[int, Field(ge=1, le=9)]
    triggers: Annotated[tuple[Trigger, ...], Field(min_length=2)]
    finds: Line
    nudge: Line
    weight: Annotated[float, Field(gt=0, le=3)] = 1.0
    herring: bool = False
    needs: tuple[Id, ...] = ()


class Incident(_Entry):
    """An investigation.

    question: the id of the question about the same situation, or "". opening: the alert, the chart, what is known. manager: what
    is asked of the learner. clues: what may be found. conclusion, actions, summary: what is asked in the end, each with its
    rubric. resolution: what it really was, told at the very end. path: what somebody good would write, message by message.
    """

    id: Id
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=80)]
    level: Annotated[int, Field(ge=1, le=5)]
    tracks: Annotated[tuple[str, ...], Field(min_length=1)]
    competencies: Annotated[tuple[str, ...], Field(min_length=1)]
    question: str = ""
    opening: Paragraph
    manager: Line
    clues: Annotated[tuple[Clue, ...], Field(min_length=5, max_length=12)]
    conclusion: Rubric
    actions: Rubric
    summary: Rubric
    resolution: Paragraph
    path: Annotated[tuple[Line, ...], Field(min_length=2)]
    sources: tuple[Line, ...] = ()
    section: str = "scenarios"
    file: str = ""

    def clue(self, id: str) -> Clue | None:
        return next((one for one in self.clues if one.id == id), None)

    def stage(self, name: str) -> Rubric:
        """The rubric of one of STAGES."""
        found: Rubric = getattr(self, name)
        return found

    @property
    def true(self) -> tuple[Clue, ...]:
        """The clues that lead somewhere."""
        return tuple(one for one in self.clues if not one.herring)


def load(folder: Path, syllabus: Syllabus) -> dict[str, Incident]:
    """The incidents of all packs under `folder`, by id; {} where there are none. Raises ContentError with every problem of shape."""
    found, problems = read(folder)
    problems += [f"{one.file}: {one.id}: {field}: {what}" for one in found.values() for field, what in references(one, syllabus)]
    if problems:
        raise ContentError(problems)
    return found


def read(folder: Path) -> tuple[dict[str, Incident], list[str]]:
    """Every incident that has the right shape, and a line for every problem of the others."""
    found: dict[str, Incident] = {}
    problems: list[str] = []
    for file in sorted(folder.glob("*/incidents/*.toml")):
        name = str(file.relative_to(folder))
        try:
            raw: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
            one = Incident.model_validate(raw | {"file": name})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            problems.append(f"{name}: -: -: can't be read: {error}")
            continue
        except ValidationError as error:
            for problem in error.errors(include_url=False, include_input=False):
                field = ".".join(str(part) for part in problem["loc"]) or "-"
                problems.append(f"{name}: -: {field}: {problem['msg'][:1].lower()}{problem['msg'][1:]}")
            continue
        if one.id != file.stem:
            problems.append(f"{name}: {one.id}: id: is not the file's name")
        if one.id in found:
            problems.append(f"{name}: {one.id}: id: used twice")
        found[one.id] = one
    return found, problems


def references(one: Incident, syllabus: Syllabus) -> Iterator[tuple[str, str]]:
    """What an incident refers to and is not there."""
    names: tuple[tuple[str, tuple[str, ...], Mapping[str, str]], ...] = (
        ("section", (one.section,), syllabus.sections),
        ("tracks", one.tracks, syllabus.tracks),
        ("competencies", one.competencies, syllabus.competencies),
    )
    for field, ids, known in names:
        for id in ids:
            if id not in known:
                yield field, f"{id!r} is not in the syllabus"
    clues = [clue.id for clue in one.clues]
    for id in sorted({id for id in clues if clues.count(id) > 1}):
        yield "clues", f"{id!r} is used twice"
    for clue in one.clues:
        for id in clue.needs:
            if one.clue(id) is None:
                yield f"clues.{clue.id}.needs", f"there is no clue {id!r}"
    if len(one.true) < 4:
        yield "clues", "four or more that lead somewhere are wanted"
    if not any(clue.herring for clue in one.clues):
        yield "clues", "none is a red herring"
