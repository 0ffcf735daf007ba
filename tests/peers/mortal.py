"""Coaches that die: a process that has everything imported stands ready and becomes a coach again and again, each life a fork.

`python -m peers.mortal FOLDER` reads a JSON object a line: what the next life is to be, of which it prints the process id, or whose
end is waited for, of which it prints the status. A life serves Telegram as `coach run` does, with the plain grader.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NOT_HERE = 77
"""How a life ends whose system calls can't be watched on this machine."""


class Counted(Coroutine[Any, Any, Any]):
    """A coroutine that ends the process before its step number `last`, counted over all of them: a step goes from one await to the next."""

    steps = 0
    last = 0

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner

    def send(self, value: Any) -> Any:
        Counted.steps += 1
        if Counted.steps == Counted.last:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._inner.send(value)

    def throw(self, *error: Any) -> Any:
        return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Any:
        return self._inner.__await__()


async def live(wanted: dict[str, Any], library: Any, grader: Any) -> None:
    """One life, until SIGTERM or the end that was ordered.

    database, api, token: as for `coach run`. worker: it receives nothing. lease: seconds. thinks: seconds for a grade. grace:
    seconds that an end may take. times: how many times Telegram's messages a second may be sent.
    step, steps: the step from one await to the next, counted over all tasks, before which it is killed, 0 for none; and the file
    where the number of steps that it took is left. call, calls: the number of the
    system call before which it is, and the file where the names of those that it made are left."""
    from adapters.house import House
    from adapters.metrics import Metrics
    from adapters.serving import serve
    from adapters.telegram import Telegram
    from bot.coach import Coach
    from bot.config import Settings
    from bot.database import LEASE, Database
    from bot.logs import configure
    from bot.outbox import Pace

    class Slow:
        name = grader.name

        async def grade(self, rubric: Any, reply: str) -> Any:
            await asyncio.sleep(wanted.get("thinks", 0))
            return await grader.grade(rubric, reply)

    if "step" in wanted:
        Counted.last = wanted["step"]
        asyncio.get_running_loop().set_task_factory(lambda loop, work, **rest: asyncio.Task(Counted(work), loop=loop, **rest))
    configure("info", json=True)
    lease = timedelta(seconds=wanted["lease"]) if "lease" in wanted else LEASE
    receiving = not wanted.get("worker")
    async with AsyncExitStack() as stack:
        store = await Database.open(wanted["database"], lease=lease)
        stack.push_async_callback(store.close)
        metrics = Metrics()
        coach = Coach(store, library, Slow(), watcher=metrics)
        stack.push_async_callback(coach.close)
        home = House(Settings(database=wanted["database"], port=0, grace=wanted.get("grace", 15)), store, coach)
        times, pace = wanted.get("times", 1), Pace()
        pace = replace(pace, per_second=pace.per_second * times, bulk_per_second=pace.bulk_per_second * times)
        telegram = Telegram(coach, wanted["token"], api=wanted["api"], receiving=receiving, turn=asyncio.Event(), pace=pace)
        await serve(home, [telegram], receiving=receiving, metrics=metrics)


async def rehearse(library: Any, grader: Any, folder: Path) -> None:
    """A first life in the ready process itself: what a life imports and compiles late is there for all that follow."""
    from peers.telegram import TOKEN, BotApiServer

    async with BotApiServer() as server:
        api = server.url.removesuffix("/bot")
        living = asyncio.create_task(live({"database": f"sqlite:///{folder}/rehearsal.db", "api": api, "token": TOKEN}, library, grader))
        ann = server.person("Ann")
        for text in ("/next precision", "Precision is TP / (TP + FP).", "/streak"):
            await ann.says(text)
            await ann.next_message(60)
        os.kill(os.getpid(), signal.SIGTERM)
        await living


def main() -> None:
    from worlds import packs

    from bot.grading.plain import PlainGrader
    from peers.syscalls import watched

    folder = Path(sys.argv[1])
    library = packs()
    grader = PlainGrader()
    asyncio.run(rehearse(library, grader, folder))
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        if "ended" in wanted:
            _, how = os.waitpid(wanted["ended"], 0)
            print(os.waitstatus_to_exitcode(how), flush=True)
            continue
        child = os.fork()
        if child == 0:
            status = 1
            try:
                if "call" in wanted:
                    watched(wanted["call"], Path(wanted["calls"]))
                asyncio.run(live(wanted, library, grader))
                if "steps" in wanted:
                    Path(wanted["steps"]).write_text(str(Counted.steps))
                status = 0
            except NotImplementedError:
                status = NOT_HERE
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(child, flush=True)


class Mortals:
    """The ready process, as tests use it; it belongs to no event loop."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self.log = log

    async def begin(self, **wanted: Any) -> int:
        """Begins a life and returns its process id."""
        return self._ask(wanted)

    async def ended(self, life: int) -> int:
        """Waits for the end of a life: its exit status, or minus the signal that ended it."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        watch = os.pidfd_open(life)
        loop.add_reader(watch, over.set)
        try:
            async with asyncio.timeout(150):
                await over.wait()
        finally:
            loop.remove_reader(watch)
            os.close(watch)
        return self._ask({"ended": life})

    def _ask(self, what: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return int(self.line())

    def line(self) -> str:
        """What the process says next."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, f"the ready process ended: {self.log.read_text()[-2000:]}"
        return line


@contextmanager
def mortals(folder: Path, **environment: str) -> Iterator[Mortals]:
    """The ready process, for as long as it is entered; what its lives log is in `folder`."""
    log = folder / "lives.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COACH_")}
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(ROOT / "tests"), str(ROOT)]))
    own = {"PYTHONPATH": path, "PTB_TIMEDELTA": "true", "HOME": str(folder)}
    command = [sys.executable, "-m", "peers.mortal", str(folder)]
    with log.open("ab") as written:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, cwd=ROOT / "tests", env=kept | own | environment, stdin=pipe, stdout=pipe, stderr=written, text=True,
            start_new_session=True,
        )  # fmt: skip
        ready = Mortals(process, log)
        try:
            assert ready.line() == "ready"
            yield ready
        finally:
            with suppress(ProcessLookupError):  # a life that a failing test left behind as well
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


if __name__ == "__main__":
    main()
