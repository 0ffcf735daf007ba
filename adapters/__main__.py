"""The composition root and the `coach` command: builds everything top to bottom and undoes it in reverse."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.errors import CoachError, ContentError, SettingsError, StoreError

if TYPE_CHECKING:
    from bot.coach import Coach
    from bot.config import Settings
    from bot.content import Library, Rubric
    from bot.database import Database
    from bot.grading import Judge
    from bot.grading.explain import ByReference, Explanation
    from bot.grading.reference import PlainReferences, Reference, ReferenceGrader
    from bot.incidents import Incident
    from bot.model import Grade
    from bot.ports import Adapter, Grader

OK, FAILED, USAGE = 0, 1, 2

REST = 1.5
"""Seconds after the start in which nothing heavy is loaded: the first prompt comes first."""


SWITCH = 0.001
"""Seconds after which the grader's thread lets the conversation go on, where the interpreter's own are 0.005: a conversation takes
many short steps, and each would wait that long."""


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
    parser = argparse.ArgumentParser(prog="coach", description="An interview coach for Telegram, Discord and the terminal.")
    parser.set_defaults(run=_run, worker=False)
    commands = parser.add_subparsers(title="commands", metavar="")
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
    from adapters.authoring import add_commands

    add_commands(commands)
    return parser


# ---------------------------------------------------------------------------------------------- serving


@dataclass(frozen=True)
class House:
    """Everything that runs beneath the platforms."""

    settings: Settings
    store: Database
    coach: Coach


def _run(options: argparse.Namespace) -> int:
    from bot.config import settings

    known = settings()
    if known.telegram_token or known.discord_token:
        return asyncio.run(_serve(known, receiving=not options.worker))
    if options.worker:
        raise SettingsError("a worker serves the platforms whose token is set, and none is")
    return asyncio.run(_talk(known))


def _chat(options: argparse.Namespace) -> int:
    from bot.config import settings

    return asyncio.run(_talk(settings()))


@asynccontextmanager
async def house(known: Settings) -> AsyncIterator[House]:
    """The engine with its database and packs, closed again at the end."""
    from bot.coach import Coach
    from bot.database import Database, sqlite_file

    library = _library(known)
    async with AsyncExitStack() as stack:
        file = sqlite_file(known.database)
        if file is not None:
            stack.enter_context(_alone(file))
        store = await Database.open(known.database, lease=timedelta(seconds=known.lease))
        stack.push_async_callback(store.close)
        coach = Coach(store, library, _graders(known, library, stack), incidents=_incidents(known, library))
        stack.push_async_callback(coach.close)
        yield House(known, store, coach)


def _library(known: Settings) -> Library:
    from bot.content import default_folder, load

    return load(known.content or default_folder(), known.cache)


def _incidents(known: Settings, library: Library) -> dict[str, Incident]:
    from bot.content import default_folder
    from bot.incidents import load

    return load(known.content or default_folder(), library.syllabus)


def _graders(known: Settings, library: Library, stack: AsyncExitStack) -> Grader:
    """The judge in a thread of its own, refined by a language model where one is configured."""
    from bot.grading import OffLoop
    from bot.grading.refined import RefinedGrader, refine

    # The matrices of a reply are small: on two busy cores a second thread for them made a grade take ten times as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    judging = OffLoop(lambda: _grader(known, library))
    stack.callback(judging.close)
    asyncio.get_running_loop().call_later(REST, judging.begin)
    grader = refine(judging, known)
    if isinstance(grader, RefinedGrader):
        stack.push_async_callback(grader.close)
    return grader


def _grader(known: Settings, library: Library, name: str = "") -> Judge:
    """The judge of that name, or the best that can be had; says so where that is not the one that comes with the coach."""
    if name == "plain":
        from bot.grading.plain import PlainGrader

        return PlainGrader()
    from bot.grading import offline

    judge, reason = offline(library, known.cache)
    if reason:
        print(f"coach: {reason}", file=sys.stderr, flush=True)
    return judge


class _alone:
    """Holds a lock beside the database's file, so that two processes never answer the same learner.

    The kernel frees it however the process ends."""

    def __init__(self, file: Path) -> None:
        self._path = file.with_name(file.name + ".lock")
        self._file: int | None = None

    def __enter__(self) -> None:
        try:
            import fcntl
        except ImportError:  # not on this system
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise StoreError(f"the folder of the database can't be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise StoreError(f"another coach is using {self._path.with_suffix('')}; stop it first, or set COACH_DATABASE") from None

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)


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
            with _interrupted(asyncio.current_task()), suppress(asyncio.CancelledError):
                await console.converse()
    return OK


@asynccontextmanager
async def serving(home: House, adapters: Sequence[Adapter], inboxes: Sequence[Callable[[], Awaitable[None]]] = ()) -> AsyncIterator[None]:
    """The courier, the clock and what other processes need, for as long as the platforms run.

    inboxes: what begins the updates that nobody is at work on."""
    from bot.clock import Clock
    from bot.deliveries import Courier
    from bot.sharing import Sharing

    async def pick_up() -> None:
        for inbox in inboxes:
            await inbox()

    platforms = [adapter.platform for adapter in adapters]
    courier = Courier(home.store, home.coach, {adapter.platform: adapter for adapter in adapters})
    home.coach.on_owed = courier.wake
    clock = Clock(home.coach, home.store, platforms)
    sharing = Sharing(home.store, home.coach, courier, platforms, pick_up)
    running = [asyncio.create_task(courier.run()), asyncio.create_task(sharing.run())]
    clock.start()
    try:
        yield
    finally:
        await clock.stop()
        await courier.stop()
        await sharing.stop()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*running)


async def _serve(known: Settings, *, receiving: bool = True) -> int:
    """Serves every platform that has a token until SIGTERM or SIGINT; one that fails leaves the others running."""
    from bot.database import sqlite_file
    from bot.logs import configure

    if not receiving and sqlite_file(known.database) is not None:
        raise SettingsError("a worker shares its database with other processes: set COACH_DATABASE to a PostgreSQL URL")
    configure(known.log, json=known.log_json if known.log_json is not None else not sys.stderr.isatty())
    sys.setswitchinterval(SWITCH)
    async with house(known) as home:
        platforms = list(_platforms(known, home.coach, receiving=receiving))
        where = sqlite_file(known.database) or "the configured database"
        names = " and ".join(platform.platform.capitalize() for platform in platforms)
        how = "The coach serves" if receiving else "This worker sends for"
        print(f"{how} {names}; its data is in {where}. Ctrl-C or SIGTERM stops it.", flush=True)
        return await serve(home, platforms, receiving=receiving)


async def serve(home: House, platforms: Sequence[Telegram | Discord], *, receiving: bool = True) -> int:
    """Runs these platforms until SIGTERM or SIGINT."""
    from adapters.web import serve_web

    stopping = asyncio.Event()
    routes = [route for one in platforms for route in one.routes()]
    inboxes = [one.pick_up for one in platforms]
    async with AsyncExitStack() as places, serving(home, platforms, inboxes), serve_web(home.settings.port, routes):
        for platform in platforms if receiving else ():
            await places.enter_async_context(home.store.place(platform.place, platform.turn))
        with _signals(stopping):
            running = [asyncio.create_task(_supervise(platform)) for platform in platforms]
            stopped = asyncio.create_task(stopping.wait())
            everything = asyncio.gather(*running)
            both: set[asyncio.Future[Any]] = {stopped, everything}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            await asyncio.gather(*(platform.stop() for platform in platforms))
            results = await everything
    return OK if any(results) else FAILED


def _platforms(known: Settings, coach: Coach, *, receiving: bool) -> Iterator[Telegram | Discord]:
    if known.telegram_token:
        from adapters.telegram import Telegram

        secret = known.telegram_webhook_secret
        yield Telegram(
            coach, known.telegram_token.get_secret_value(), api=known.telegram_api, webhook_url=known.telegram_webhook_url,
            webhook_secret=secret.get_secret_value() if secret else "", receiving=receiving,
            turn=asyncio.Event(),
        )  # fmt: skip
    if known.discord_token:
        from adapters.discord import Discord

        yield Discord(
            coach, known.discord_token.get_secret_value(), api=known.discord_api, cache=known.cache, receiving=receiving,
            turn=asyncio.Event(),
        )  # fmt: skip


async def _supervise(platform: Telegram | Discord) -> bool:
    """Runs a platform until it is stopped; False where its settings can't be used."""
    try:
        await platform.start()
        await platform.run()
    except SettingsError as error:
        print(f"coach: {error}", file=sys.stderr, flush=True)
        return False
    return True


class _signals:
    """SIGINT and SIGTERM set `stopping`. A second SIGINT, from somebody at the keyboard, ends the process at once; a second SIGTERM
    changes nothing: cut off in the middle, a message would come twice after the next start."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)

    def _stop(self, number: signal.Signals) -> None:
        if self._stopping.is_set() and number == signal.SIGINT:
            os._exit(FAILED)
        self._stopping.set()

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


class _interrupted:
    """SIGINT and SIGTERM cancel `task`, whatever it waits for."""

    def __init__(self, task: asyncio.Task[object] | None) -> None:
        self._task = task

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: self._task and self._task.cancel())

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


# ---------------------------------------------------------------------------------------------- tools


def _grade(options: argparse.Namespace) -> int:
    from bot.config import settings

    if (options.question is not None or options.json) and not options.explain:
        print("coach: --question and --json go with --explain", file=sys.stderr)
        return USAGE
    known = settings()
    library = _library(known)
    grader = _grader(known, library, options.grader)
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
    return asyncio.run(appeals(known.database, _library(known), as_json=options.json))


def _dead(options: argparse.Namespace) -> int:
    from adapters.owner import dead
    from bot.config import settings

    return asyncio.run(dead(settings().database, as_json=options.json))


def _flags(options: argparse.Namespace) -> int:
    from adapters.owner import flags
    from bot.config import settings

    known = settings()
    return asyncio.run(flags(known.database, _library(known), as_json=options.json))


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


if TYPE_CHECKING:
    from adapters.discord import Discord
    from adapters.telegram import Telegram

if __name__ == "__main__":
    raise SystemExit(main())
