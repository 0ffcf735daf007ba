"""Packs and questions: load them, check them, and explain what is wrong.

A pack is a folder of topics, a topic a TOML file of questions. Reading is cached by the files' own hash, because TOML is
slow to parse. What only a grader can say of a rubric is in `bot.grading.proof`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bot.errors import ContentError

CACHE_FORMAT = 3
PROMPT_LIMIT = 400
ANSWER_LIMIT = 1180
CODE_LIMIT = 12
"""Lines of code in one fence: what a phone shows without scrolling."""

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=PROMPT_LIMIT)]
Weight = Annotated[float, Field(gt=0, le=5)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Point(_Entry):
    """One thing that a reply should say: a line of a rubric."""

    id: Id
    weight: Weight
    statement: Line
    phrasings: Annotated[tuple[Line, ...], Field(min_length=3)]
    contrary: tuple[Line, ...] = ()
    core: bool = False
    formulas: tuple[Line, ...] = ()
    mistakes: tuple[str, ...] = ()


class Misconception(_Entry):
    """A false statement that people really make, and its correction.

    reverses: the point that it turns round, or "". fatal: a reply that states it can't pass.
    """

    id: Id
    statement: Line
    phrasings: Annotated[tuple[Line, ...], Field(min_length=2)]
    correction: Line
    reverses: str = ""
    fatal: bool = False


class Rubric(_Entry):
    """What a reply is graded against."""

    prompt: Line
    answer: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=ANSWER_LIMIT)]
    points: Annotated[tuple[Point, ...], Field(min_length=1, max_length=8)]
    misconceptions: tuple[Misconception, ...] = ()

    def point(self, id: str) -> Point | None:
        return next((point for point in self.points if point.id == id), None)

    def misconception(self, id: str) -> Misconception | None:
        return next((one for one in self.misconceptions if one.id == id), None)


class Followup(Rubric):
    """A question that a good interviewer would ask next.

    when: "missing:<point>", "misconception:<id>" or "strong".
    """

    id: Id
    when: Annotated[str, StringConstraints(pattern=r"^(strong|missing:.+|misconception:.+)$")]


class Question(Rubric):
    """An entry of a topic.

    sources: where what it says can be looked up: a chapter, a paper, official documentation.
    """

    id: Id
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=80)]
    section: str
    level: Annotated[int, Field(ge=1, le=5)]
    tracks: Annotated[tuple[str, ...], Field(min_length=1)]
    competencies: Annotated[tuple[str, ...], Field(min_length=1)]
    wordings: Annotated[tuple[Line, ...], Field(min_length=2, max_length=2)]
    hints: Annotated[tuple[Line, ...], Field(min_length=2, max_length=2)]
    points: Annotated[tuple[Point, ...], Field(min_length=4, max_length=8)]
    followups: Annotated[tuple[Followup, ...], Field(min_length=3)]
    sources: tuple[Line, ...] = ()
    pack: str = ""
    file: str = ""

    def wording(self, n: int) -> str:
        """The prompt (0) or one of the other wordings (1, 2)."""
        return (self.prompt, *self.wordings)[n % (1 + len(self.wordings))]

    def followup(self, id: str) -> Followup | None:
        return next((one for one in self.followups if one.id == id), None)


@dataclass(frozen=True, slots=True)
class Syllabus:
    """The fixed ids, each with its title."""

    sections: Mapping[str, str]
    tracks: Mapping[str, str]
    competencies: Mapping[str, str]
    mistakes: Mapping[str, str]
    required: Mapping[str, str]


@dataclass(frozen=True)
class Library:
    """All packs: the questions by id, in the order of their files."""

    syllabus: Syllabus
    questions: Mapping[str, Question]

    def about(self, section: str) -> tuple[Question, ...]:
        return tuple(question for question in self.questions.values() if question.section == section)

    def sections(self) -> tuple[str, ...]:
        """The sections that have questions, in the syllabus's order."""
        present = {question.section for question in self.questions.values()}
        return tuple(section for section in self.syllabus.sections if section in present)


def default_folder() -> Path:
    """The packs that come with the coach."""
    return Path(__file__).resolve().parent.parent / "content"


def load(folder: Path, cache: Path | None = None) -> Library:
    """All packs under `folder`, read from `cache` where the files have not changed since.

    Raises ContentError with every problem of shape or of the whole.
    """
    files = sorted(folder.glob("*/*.toml"))
    if not files:
        raise ContentError([f"{folder}: -: -: there is no pack here"])
    fingerprint = _fingerprint([folder / "syllabus.toml", *files])
    kept = cache / f"content-{fingerprint}.json" if cache else None
    if kept is not None and kept.is_file():
        try:
            return _thaw(json.loads(kept.read_text("utf-8")))
        except (ValueError, KeyError, TypeError, OSError):
            pass
    library, problems = read(folder)
    problems += whole(library)
    if problems:
        raise ContentError(problems)
    if kept is not None:
        _keep(kept, library)
    return library


def read(folder: Path) -> tuple[Library, list[str]]:
    """Every question under `folder` that has the right shape, and a line for every problem of the others."""
    problems: list[str] = []
    names = syllabus(folder)
    questions: dict[str, Question] = {}
    for file in sorted(folder.glob("*/*.toml")):
        name = str(file.relative_to(folder))
        try:
            topic = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            problems.append(f"{name}: -: -: can't be read: {error}")
            continue
        for key in sorted(set(topic) - {"section", "questions"}):
            problems.append(f"{name}: -: {key}: unknown field")
        entries = topic.get("questions", [])
        if not isinstance(entries, list):
            problems.append(f"{name}: -: questions: is not a list of [[questions]]")
            continue
        for number, raw in enumerate(entries, 1):
            where = str(raw.get("id", f"question {number}")) if isinstance(raw, dict) else f"question {number}"
            for key in sorted({"pack", "file", "section"} & set(raw if isinstance(raw, dict) else ())):
                problems.append(f"{name}: {where}: {key}: unknown field")
            try:
                question = Question.model_validate(raw | {"section": topic.get("section", ""), "pack": file.parent.name, "file": name})
            except (ValidationError, TypeError) as error:
                problems += [f"{name}: {where}: {line}" for line in _explain(error)]
                continue
            if question.id in questions:
                problems.append(f"{name}: {where}: id: used twice")
            questions[question.id] = question
    return Library(names, questions), problems


def whole(library: Library) -> list[str]:
    """What is wrong with the questions together and with what they refer to; [] when nothing is."""
    problems = [f"syllabus.toml: {id}: id: no question with this id" for id in library.syllabus.required if id not in library.questions]
    for question in library.questions.values():
        where = f"{question.file}: {question.id}"
        problems += [f"{where}: {field}: {what}" for field, what in _references(question, library.syllabus)]
    return problems


def _references(question: Question, syllabus: Syllabus) -> Iterator[tuple[str, str]]:
    def known(field: str, ids: Iterable[str], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        for id in ids:
            if id not in names:
                yield field, f"{id!r} is not in the syllabus"

    yield from known("section", [question.section], syllabus.sections)
    yield from known("tracks", question.tracks, syllabus.tracks)
    yield from known("competencies", question.competencies, syllabus.competencies)
    words = len(question.answer.split())
    if not 80 <= words <= 200:
        yield "answer", f"has {words} words, 80 to 200 are wanted"
    for field, text in (("prompt", question.prompt), *(("wordings", text) for text in question.wordings), ("answer", question.answer)):
        if any(len(code.partition("\n")[2].splitlines()) > CODE_LIMIT for code in text.split("```")[1::2]):
            yield field, f"has more than {CODE_LIMIT} lines of code in a row"
    if not question.sources:
        yield "sources", "none is named"
    if not any(point.core for point in question.points):
        yield "points", "none is core"
    if not len(question.misconceptions) >= 2:
        yield "misconceptions", "two or more are wanted"
    for rubric in (question, *question.followups):
        ids = [point.id for point in rubric.points] + [one.id for one in rubric.misconceptions]
        for id in sorted({id for id in ids if ids.count(id) > 1}):
            yield "points", f"{id!r} is used twice"
    for point in question.points:
        if len(point.phrasings) < 6:
            yield f"points.{point.id}.phrasings", f"has {len(point.phrasings)}, six or more are wanted"
        yield from known(f"points.{point.id}.mistakes", point.mistakes, syllabus.mistakes)
        texts = [text.casefold() for text in (point.statement, *point.phrasings)]
        if len(set(texts)) < len(texts):
            yield f"points.{point.id}.phrasings", "one stands twice"
    for one in question.misconceptions:
        if one.reverses and question.point(one.reverses) is None:
            yield f"misconceptions.{one.id}.reverses", f"there is no point {one.reverses!r}"
    ids = [followup.id for followup in question.followups]
    for id in sorted({id for id in ids if ids.count(id) > 1}):
        yield "followups", f"{id!r} is used twice"
    for followup in question.followups:
        kind, _, target = followup.when.partition(":")
        if kind == "missing" and question.point(target) is None:
            yield f"followups.{followup.id}.when", f"there is no point {target!r}"
        if kind == "misconception" and question.misconception(target) is None:
            yield f"followups.{followup.id}.when", f"there is no misconception {target!r}"
    if not any(followup.when == "strong" for followup in question.followups):
        yield "followups", 'none goes deeper after a strong reply (when = "strong")'


def schema() -> dict[str, Any]:
    """A JSON Schema of a topic file, for editors."""
    question = Question.model_json_schema()
    definitions = question.pop("$defs", {})
    for name in ("pack", "file", "section"):
        question["properties"].pop(name)
    question["required"] = [name for name in question["required"] if name != "section"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A topic of interview questions",
        "type": "object",
        "additionalProperties": False,
        "required": ["section", "questions"],
        "properties": {"section": {"type": "string"}, "questions": {"type": "array", "items": question}},
        "$defs": definitions,
    }


def _explain(error: ValidationError | TypeError) -> list[str]:
    if isinstance(error, TypeError):
        return ["-: is not a table"]
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in problem["loc"]) or "-"
        lines.append(f"{field}: {problem['msg'][:1].lower()}{problem['msg'][1:]}")
    return lines


def syllabus(folder: Path) -> Syllabus:
    """The fixed ids under `folder`. Raises ContentError where they can't be read."""
    file = folder / "syllabus.toml"
    try:
        raw = tomllib.loads(file.read_text("utf-8"))
        required = {entry["id"]: entry["title"] for entry in (*raw.get("questions", ()), *raw.get("scenarios", ()))}
        return Syllabus(raw["sections"], raw["tracks"], raw["competencies"], raw["mistakes"], required)
    except OSError as error:
        raise ContentError([f"{file.name}: -: -: can't be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ContentError([f"{file.name}: -: -: can't be read: {error}"]) from error
    except (KeyError, TypeError) as error:
        raise ContentError([f"{file.name}: -: {error}: is missing"]) from error


def _fingerprint(files: Iterable[Path]) -> str:
    digest = hashlib.sha256(f"{CACHE_FORMAT}".encode())
    for file in files:
        digest.update(file.name.encode())
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()[:20]


def _keep(file: Path, library: Library) -> None:
    """Writes the cache; a folder that can't be written only costs time."""
    frozen = {
        "syllabus": {
            name: dict(getattr(library.syllabus, name)) for name in ("sections", "tracks", "competencies", "mistakes", "required")
        },
        "questions": [question.model_dump() for question in library.questions.values()],
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        for old in file.parent.glob("content-*.json"):
            old.unlink(missing_ok=True)
        fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
        fresh.write_text(json.dumps(frozen), "utf-8")
        fresh.replace(file)
    except OSError:
        pass


def _thaw(frozen: dict[str, Any]) -> Library:
    questions = [Question.model_validate(raw) for raw in frozen["questions"]]
    return Library(Syllabus(**frozen["syllabus"]), {question.id: question for question in questions})


_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*", re.UNICODE)


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return [match.group().lower() for match in _WORD.finditer(text)]
