"""What an author of questions does at the command line: check them all, begin one, try one, and see how they are spread."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters import importing
from bot.errors import CoachError

if TYPE_CHECKING:
    from bot.content import Library, Question
    from bot.grading import Judge

FEW = 0.1
"""Share of a pack below which a level is thin."""

ALIKE = 30
"""Pairs of like questions that are printed."""

SKELETON = '''
[[questions]]
id = "{id}"
title = "TODO: a few words that name it in lists"
level = 3                               # 1 screening .. 5 senior or staff
tracks = ["ml"]
competencies = ["fundamentals"]
prompt = "TODO: a situation, and one thing to do about it."
wordings = ["TODO: another way to ask it.", "TODO: a third way."]
hints = ["TODO: a nudge.", "TODO: a stronger nudge that doesn't give it away."]
sources = ["TODO: book and chapter, paper, or official documentation"]
answer = """
TODO: 80-200 words as one would say them. Every point in a sentence of its own.
"""
{points}
{misconceptions}
{followups}'''

_POINT = """
[[questions.points]]
id = "point-{n}"
weight = {weight}
{core}statement = "TODO: one claim that can be true or false."
phrasings = ["TODO 1", "TODO 2", "TODO 3", "TODO 4", "TODO 5", "TODO 6"]
contrary = ["TODO: the same words turned round", "TODO: swapped"]
"""

_MISCONCEPTION = """
[[questions.misconceptions]]
id = "belief-{n}"
statement = "TODO: something false that people really say."
phrasings = ["TODO 1", "TODO 2", "TODO 3"]
correction = "TODO: what is true instead."
reverses = "point-1"
"""

_FOLLOWUP = """
[[questions.followups]]
id = "next-{n}"
when = "{when}"
prompt = "TODO: what a good interviewer asks then."
answer = "TODO: what a good reply says."
[[questions.followups.points]]
id = "it"
weight = 2
statement = "TODO: one claim."
phrasings = ["TODO 1", "TODO 2", "TODO 3"]
"""


def check(options: argparse.Namespace) -> int:
    """Prints every problem of every question, or the questions that are most alike; 1 where there is a problem."""
    from bot.config import settings
    from bot.content import default_folder, read, whole
    from bot.grading import proof
    from bot.grading.plain import PlainGrader

    known = settings()
    library, problems = read(options.folder or default_folder())
    if options.similar:
        for line in _similar(library, *_judge(library)):
            print(line)
        return 0
    problems += whole(library)
    incidents, untold = _incidents(options.folder or default_folder(), library)
    problems += untold
    if not problems or options.all:
        problems += proof.untrue(library, PlainGrader(), proof.BY_WORDS, cache=known.cache)
        if not options.plain:
            problems += proof.untrue(library, _judge(library, again=True)[0], proof.BY_READING, cache=known.cache)
    required = library.syllabus.required
    present = sum(id in library.questions for id in required)
    if options.json:
        told = {"questions": len(library.questions), "required": len(required), "present": present, "incidents": incidents}
        print(json.dumps({**told, "problems": problems}, ensure_ascii=False, indent=1))
        return 1 if problems else 0
    for problem in problems:
        print(problem)
    if incidents:
        print(f"incidents: {incidents}")
    of_syllabus = f"of the syllabus: {present} of {len(required)}; " if required else ""
    print(f"questions: {len(library.questions)}; {of_syllabus}problems: {len(problems)}")
    return 1 if problems else 0


def _incidents(folder: Path, library: Library) -> tuple[int, list[str]]:
    """How many incidents there are, and a line for every problem of theirs: shape, what they refer to, and how they play."""
    from bot.grading.clues import untrue
    from bot.grading.plain import PlainGrader
    from bot.incidents import read, references

    found, problems = read(folder)
    for one in found.values():
        told = [*references(one, library.syllabus), *untrue(one, PlainGrader())]
        if one.question and one.question not in library.questions:
            told.append(("question", f"there is no question {one.question!r}"))
        if one.id in library.questions:
            told.append(("id", "a question has it already"))
        problems += [f"{one.file}: {one.id}: {field}: {what}" for field, what in told]
    return len(found), problems


def new(options: argparse.Namespace) -> int:
    """Appends the skeleton of a question to a topic, which is begun where there is none."""
    from bot.content import default_folder, read

    folder: Path = options.folder or default_folder()
    if any("/" in name or name.startswith(".") for name in (options.pack, options.topic)):
        raise CoachError("a pack and a topic are plain names")
    if not (folder / "syllabus.toml").exists():
        _begin(folder)
    library, _ = read(folder)
    if options.id in library.questions:
        raise CoachError(f"there is a question {options.id!r} already, in {library.questions[options.id].file}")
    if options.section not in library.syllabus.sections:
        raise CoachError(f"there is no section {options.section!r}; there are {', '.join(library.syllabus.sections)}")
    file = folder / options.pack / f"{options.topic}.toml"
    text = skeleton(options.id)
    if file.is_file():
        section = tomllib.loads(file.read_text("utf-8")).get("section")
        if section != options.section:
            raise CoachError(f"{file.name} is about the section {section!r}")
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        text = f'section = "{options.section}"\n{text}'
    with file.open("a", encoding="utf-8") as topic:
        topic.write(text)
    print(f"{file}: fill in what says TODO, then: coach check {folder}")
    return 0


def _begin(folder: Path) -> None:
    """Gives a new folder of packs the names of sections, tracks, competencies and mistakes that come with the coach; no question is
    required there."""
    from bot.content import default_folder

    names, _, _ = (default_folder() / "syllabus.toml").read_text("utf-8").partition("[[questions]]")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "syllabus.toml").write_text(names.rstrip() + "\n", "utf-8")


def skeleton(id: str) -> str:
    """A question with every field that one needs, in TOML."""
    points = "".join(_POINT.format(n=n, weight=3 if n == 1 else 2, core="core = true\n" if n == 1 else "") for n in range(1, 5))
    followups = ("missing:point-1", "misconception:belief-1", "strong")
    return SKELETON.format(
        id=id,
        points=points.strip(),
        misconceptions="\n" + "".join(_MISCONCEPTION.format(n=n) for n in range(1, 5)).strip(),
        followups="\n" + "".join(_FOLLOWUP.format(n=n, when=when) for n, when in enumerate(followups, 1)).strip() + "\n",
    )


def attempt(options: argparse.Namespace) -> int:
    """Asks a question, reads a reply and shows why each verdict came out."""
    from bot.content import default_folder, read
    from bot.grading import explain

    library, problems = read(options.folder or default_folder())
    question = library.questions.get(options.id)
    if question is None:
        for line in problems:
            if f": {options.id}: " in line:
                print(line, file=sys.stderr)
        raise CoachError(f"there is no question {options.id!r}")
    typed = sys.stdin.isatty()
    print(question.prompt)
    if typed:
        print("\nYour reply; an empty line ends it.\n")
    reply = "\n".join(_lines(sys.stdin) if typed else (sys.stdin.read().strip(),))
    judge, note = _judge(library)
    if note:
        print(f"coach: {note}", file=sys.stderr)
    print()
    print(explain.text(explain.explain(explain.watched(judge), question, reply)), end="")
    return 0


def _lines(typed: Iterable[str]) -> Iterator[str]:
    for line in typed:
        if not line.strip():
            return
        yield line.rstrip("\n")


def stats(options: argparse.Namespace) -> int:
    """Prints how the questions are spread over packs, levels, sections, tracks and competencies, and what is thin."""
    from bot.content import default_folder, read

    library, _ = read(options.folder or default_folder())
    questions = list(library.questions.values())
    packs = list(dict.fromkeys(one.pack for one in questions))
    spread = {name: _spread([one for one in questions if name in (one.pack, "all")]) for name in [*packs, "all"]}
    found = {
        "section": (library.syllabus.sections, Counter(one.section for one in questions)),
        "track": (library.syllabus.tracks, Counter(id for one in questions for id in one.tracks)),
        "competency": (library.syllabus.competencies, Counter(id for one in questions for id in one.competencies)),
    }
    thin = list(_thin(packs, questions))
    if options.json:
        counts = {what: {id: counted[id] for id in names} for what, (names, counted) in found.items()}
        print(json.dumps({"packs": spread, **counts, "thin": thin}, ensure_ascii=False, indent=1))
        return 0
    print(f"{'pack':<18} {'questions':>9}  level 1    2    3    4    5  {'points':>6} {'phrasings':>9} {'misconceptions':>14}")
    for name, one in spread.items():
        levels = " ".join(f"{number:>{7 if level == 1 else 4}}" for level, number in enumerate(one["levels"], 1))
        print(f"{name:<18} {one['questions']:>9}  {levels}  {one['points']:>6} {one['phrasings']:>9} {one['misconceptions']:>14}")
    for what, (names, counted) in found.items():
        print(f"\n{what}")
        for id in names:
            print(f"  {id:<20} {counted[id]:>4}")
    if thin:
        print("\nthin")
        print(*(f"  {line}" for line in thin), sep="\n")
    return 0


def _spread(questions: Sequence[Question]) -> dict[str, Any]:
    """How many there are, by level (1 to 5), and what they hold."""
    levels = Counter(one.level for one in questions)
    points = [point for one in questions for point in one.points]
    return {
        "questions": len(questions), "levels": [levels[level] for level in range(1, 6)], "points": len(points),
        "phrasings": sum(len(point.phrasings) for point in points), "misconceptions": sum(len(one.misconceptions) for one in questions),
    }  # fmt: skip


def _thin(packs: Sequence[str], questions: Sequence[Question]) -> Iterator[str]:
    for name in packs:
        own = [one.level for one in questions if one.pack == name]
        for level in range(1, 6):
            if own.count(level) < FEW * len(own):
                yield f"{name}: level {level} has {own.count(level)} of {len(own)}"


def _judge(library: Library, *, again: bool = False) -> tuple[Judge, str]:
    """The judge that learners meet, and a sentence where it is another one. Its matrices are small: one thread does them best."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from bot.config import settings
    from bot.grading import offline

    return offline(library, settings().cache, again=again)


def _similar(library: Library, judge: Judge, note: str) -> Iterator[str]:
    """The pairs of questions whose prompts are nearest to each other by the encoder, nearest first."""
    from bot.grading.reader import ReaderGrader

    if not isinstance(judge, ReaderGrader):
        raise CoachError(f"likeness needs the encoder. {note}")
    questions = list(library.questions.values())
    vectors = [one.vector for one in judge.gatherer.encoder.read([f"{one.title}. {one.prompt}" for one in questions])]
    pairs = [
        (float(vectors[i] @ vectors[j]), questions[i], questions[j]) for i in range(len(questions)) for j in range(i + 1, len(questions))
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1].id, pair[2].id))
    for likeness, one, other in pairs[:ALIKE]:
        yield f"{likeness:.3f}  {one.pack}/{one.id}: {one.title}  ~  {other.pack}/{other.id}: {other.title}"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `check` and `content` to the `coach` command."""
    one = commands.add_parser("check", help="check every question and print what is wrong", description="Check every question.")
    one.add_argument("folder", nargs="?", type=Path, help="the packs; those that come with the coach by default")
    one.add_argument("--plain", action="store_true", help="prove the rubrics by words alone, which takes seconds")
    one.add_argument("--all", action="store_true", help="prove the rubrics although the shape of some questions is wrong")
    one.add_argument("--similar", action="store_true", help="list the questions that are most alike instead")
    one.add_argument("--json", action="store_true", help="as JSON")
    one.set_defaults(run=check)
    content = commands.add_parser("content", help="begin a question, try one, see how they are spread", description="Tools for authors.")
    tools = content.add_subparsers(title="commands", metavar="", required=True)
    importing.add_command(tools)
    for name, action, text in (
        ("new", new, "append the skeleton of a question to a topic"),
        ("try", attempt, "answer a question here and see why each verdict came out"),
        ("stats", stats, "print how the questions are spread, and what is thin"),
    ):
        tool = tools.add_parser(name, help=text, description=text[:1].upper() + text[1:] + ".")
        tool.set_defaults(run=action)
        if name != "stats":
            tool.add_argument("id", help="the question's id: lower case and hyphens")
        if name == "new":
            tool.add_argument("--pack", required=True, help="the folder")
            tool.add_argument("--topic", required=True, help="the file in it, without .toml")
            tool.add_argument("--section", required=True, help="an id of the syllabus")
        if name == "stats":
            tool.add_argument("--json", action="store_true", help="as JSON")
        tool.add_argument("--folder", type=Path, help="the packs; those that come with the coach by default")
