"""The `coach` command: what each of its words does, and with which status it ends."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from adapters.house import house, judge, packs
from adapters.serving import FAILED, OK, interrupted, serve_platforms, serving
from bot.errors import CoachError, ContentError, SettingsError

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.content import Library, Rubric
    from bot.grading import Judge
    from bot.grading.explain import ByReference, Explanation
    from bot.grading.reference import PlainReferences, Reference, ReferenceGrader
    from bot.model import Grade

USAGE = 2

TEACHES = """\
An interview coach for Telegram, Discord and the terminal: it asks one good machine-learning interview question
a day, and grades what you reply point by point.

Begin here, in this terminal; nothing needs to be set up, and /quit ends it:

  coach chat

Serve it to others: put the token of a bot into .env (see .env.example), then

  coach run
"""

EXAMPLES = """\
examples:
  coach chat                                  practise here; arrow keys edit, Tab completes a /command
  echo "TP / (TP + FP)" | coach grade --explain --question precision
                                              see why a reply gets its score
  coach check my-packs                        find what is wrong with questions of your own
  coach db backup /backups                    copy the database, also while the coach runs
  coach flags --json | jq .                   what learners flagged, for a script

exit status: 0 done; 1 it failed, and a sentence on standard error says why; 2 wrong usage.
Every setting is an environment variable, described in .env.example. `coach COMMAND --help` says more.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The `coach` command. Exit status: 0 done, 1 failed with a sentence on standard error, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ContentError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return FAILED
    except CoachError as error:
        print(f"coach: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return OK
    except BrokenPipeError:  # the reader, such as `head`, has seen enough; nothing is left to be flushed at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coach", description=TEACHES, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run=_run, worker=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, action, text in (
        ("run", _run, "serve the platforms whose token is set; the terminal when none is (the default)"),
        ("chat", _chat, "the conversation in this terminal"),
        ("grade", _grade, "grade JSON lines from standard input"),
        ("schema", _schema, "print the JSON Schema of a topic file"),
        ("appeals", _appeals, "print how often learners appealed about each point"),
        ("flags", _flags, "print what learners flagged, question by question"),
        ("dead", _dead, "print the messages that were given up, and why"),
    ):
        one = commands.add_parser(name, help=text, description=text[:1].upper() + text[1:] + ".")
        one.set_defaults(run=action)
        if name == "run":
            one.add_argument("--worker", action="store_true", help="send and grade beside other processes; receive nothing")
        if name == "grade":
            one.add_argument("--grader", choices=["reader", "plain"], default="reader", help="plain judges by words alone")
            one.add_argument("--explain", action="store_true", help="say of the first line alone how its score came about")
            one.add_argument("--question", metavar="ID", help="with --explain: standard input is a reply to this question, not JSON")
            one.add_argument("--json", action="store_true", help="with --explain: as JSON")
        if name in ("dead", "appeals", "flags"):
            one.add_argument("--json", action="store_true", help="as JSON")
    from adapters import authoring, database

    authoring.add_commands(commands)
    database.add_commands(commands)
    return parser


# ---------------------------------------------------------------------------------------------- serving


def _run(options: argparse.Namespace) -> int:
    from bot.config import settings

    known = settings()
    if known.telegram_token or known.discord_token:
        return asyncio.run(serve_platforms(known, receiving=not options.worker))
    if options.worker:
        raise SettingsError("a worker serves the platforms whose token is set, and none is")
    return asyncio.run(_talk(known))


def _chat(options: argparse.Namespace) -> int:
    from bot.config import settings

    return asyncio.run(_talk(settings()))


async def _talk(known: Settings) -> int:
    from adapters.console import Console
    from bot.database import sqlite_file
    from bot.logs import configure

    configure("error", json=False)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that can't show a character shows a question mark
    async with house(known) as home:
        console = Console(home.coach, files=known.files)
        if sys.stdin.isatty():
            where = sqlite_file(known.database) or "the configured database"
            print(f"The coach is here in this terminal; your data is in {where}. /quit or Ctrl-D stops it.")
        async with serving(home, [console]):
            with interrupted(asyncio.current_task()), suppress(asyncio.CancelledError):
                await console.converse()
    return OK


# ---------------------------------------------------------------------------------------------- tools


def _grade(options: argparse.Namespace) -> int:
    from bot.config import settings

    if (options.question is not None or options.json) and not options.explain:
        print("coach: --question and --json go with --explain", file=sys.stderr)
        return USAGE
    known = settings()
    library = packs(known)
    grader = judge(known, library, options.grader)
    if options.explain:
        return _explain(options, library, grader)
    graders, status = _Graders(grader), OK
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        try:
            raw, against, answer = _asked_to_grade(line, library)
        except ValueError as error:
            print(f"coach: line {number}: {error}", file=sys.stderr, flush=True)
            status = FAILED
            continue
        grade = graders.grade(against, answer)
        verdicts = [{"point": one.point, "verdict": one.finding.value, "quote": one.quote} for one in grade.verdicts]
        result = {
            "id": raw.get("id"), "score": grade.score, "verdicts": verdicts,
            "misconceptions": [one.misconception for one in grade.misconceptions], "graded_by": grade.graded_by,
        }  # fmt: skip
        sys.stdout.buffer.write(_line(result))
        sys.stdout.buffer.flush()
    return status


def _explain(options: argparse.Namespace, library: Library, grader: Judge) -> int:
    """The working of one grade: that of a reply to --question, or of the first line of JSON."""
    from bot.grading import explain

    try:
        against: Rubric | Reference
        if options.question is not None:
            against, answer = _known(options.question, library), sys.stdin.buffer.read().decode(errors="replace").strip()
        else:
            number, line = next(((number, line) for number, line in enumerate(sys.stdin.buffer, 1) if line.strip()), (0, b""))
            if not line:
                raise CoachError("there is no line to explain")
            _, against, answer = _asked_to_grade(line, library)
    except ValueError as error:
        where = "" if options.question is not None else f"line {number}: "
        raise CoachError(f"{where}{error}") from None
    told = _Graders(grader).explain(against, answer)
    out = json.dumps(explain.data(told), indent=2) + "\n" if options.json else explain.text(told)
    sys.stdout.buffer.write(out.encode(errors="replace"))
    return OK


class _Graders:
    """The judge, and what grades by references, which is made when the first of them comes."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    @cached_property
    def _references(self) -> ReferenceGrader | PlainReferences:
        from bot.grading.encoder import WeightsError
        from bot.grading.reference import against

        try:
            return against(self._judge)
        except WeightsError as error:
            raise CoachError(str(error)) from error

    def grade(self, against: Rubric | Reference, answer: str) -> Grade:
        from bot.content import Rubric

        return self._judge.judge(against, answer) if isinstance(against, Rubric) else self._references.judge(against, answer)

    def explain(self, against: Rubric | Reference, answer: str) -> Explanation | ByReference:
        from bot.content import Rubric
        from bot.grading import explain
        from bot.grading.reference import ReferenceGrader, rubric

        if not isinstance(against, Rubric):
            if isinstance(self._references, ReferenceGrader):
                return explain.explain_reference(self._references, against, answer)
            against = rubric(against)
        return explain.explain(explain.watched(self._judge), against, answer)


def _appeals(options: argparse.Namespace) -> int:
    from adapters.owner import appeals
    from bot.config import settings

    known = settings()
    return asyncio.run(appeals(known.database, packs(known), as_json=options.json))


def _dead(options: argparse.Namespace) -> int:
    from adapters.owner import dead
    from bot.config import settings

    return asyncio.run(dead(settings().database, as_json=options.json))


def _flags(options: argparse.Namespace) -> int:
    from adapters.owner import flags
    from bot.config import settings

    known = settings()
    return asyncio.run(flags(known.database, packs(known), as_json=options.json))


def _asked_to_grade(line: bytes, library: Library) -> tuple[dict[str, Any], Rubric | Reference, str]:
    """What a line asks for. Raises ValueError with a sentence that says what is wrong with it."""
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if isinstance(raw, dict) and "reference" in raw:
        return raw, _reference(raw), raw["answer"]
    if not isinstance(raw, dict) or "id" not in raw or not isinstance(raw.get("answer"), str):
        raise ValueError("is not an object with id, question_id and answer")
    if "question_id" not in raw:
        raise ValueError("is not an object with id, question_id and answer")
    return raw, _known(raw["question_id"], library), raw["answer"]


def _known(name: object, library: Library) -> Rubric:
    if not isinstance(name, str) or name not in library.questions:
        raise ValueError(f"there is no question {name!r:.60}")
    return library.questions[name]


def _reference(raw: dict[str, Any]) -> Reference:
    from bot.grading.reference import Reference

    if "question_id" in raw:
        raise ValueError("has both a question_id and a reference")
    if "id" not in raw or not all(isinstance(raw.get(name), str) for name in ("question", "reference", "answer")):
        raise ValueError("is not an object with id, question, reference and answer")
    if not any(char.isalnum() for char in raw["reference"]):
        raise ValueError("the reference is empty")
    return Reference(raw["question"], raw["reference"])


def _line(result: dict[str, Any]) -> bytes:
    """One line of JSON in UTF-8; lone surrogates, which UTF-8 can't hold, stay escaped."""
    try:
        return json.dumps(result, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(result).encode() + b"\n"


def _schema(options: argparse.Namespace) -> int:
    from bot.content import schema

    print(json.dumps(schema(), indent=2))
    return OK


if __name__ == "__main__":
    raise SystemExit(main())
