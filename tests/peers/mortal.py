"""Coaches that die: a process that has everything imported stands ready and becomes a coach again and again, each life a fork.

`python -m peers.mortal` reads a JSON object a line, what the next life is to be; it prints that life's process id and, when it
has ended, its status. A life serves Telegram as `coach run` does, with the plain grader.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


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


async def live(wanted: dict[str, Any], library: Any) -> None:
    """One life, until SIGTERM or the end that was ordered."""
    from adapters.house import House
    from adapters.metrics import Metrics
    from adapters.serving import serve
    from adapters.telegram import Telegram
    from bot.coach import Coach
    from bot.config import Settings
    from bot.database import Database
    from bot.grading.plain import PlainGrader
    from bot.logs import configure

    class Slow(PlainGrader):
        async def grade(self, rubric: Any, reply: str) -> Any:
            await asyncio.sleep(wanted.get("thinks", 0))
            return await super().grade(rubric, reply)

    if wanted.get("step"):
        Counted.last = wanted["step"]
        asyncio.get_running_loop().set_task_factory(lambda loop, work, **rest: asyncio.Task(Counted(work), loop=loop, **rest))
    configure("info", json=True)
    async with AsyncExitStack() as stack:
        store = await Database.open(wanted["database"])
        stack.push_async_callback(store.close)
        metrics = Metrics()
        coach = Coach(store, library, Slow(), watcher=metrics)
        stack.push_async_callback(coach.close)
        home = House(Settings(database=wanted["database"], port=0, grace=wanted.get("grace", 15)), store, coach)
        telegram = Telegram(coach, wanted["token"], api=wanted["api"], turn=asyncio.Event())
        await serve(home, [telegram], metrics=metrics)


def main() -> None:
    import aiohttp
    import telegram.ext  # noqa: F401

    import adapters.health
    import adapters.house
    import adapters.metrics
    import adapters.serving
    import adapters.telegram
    import adapters.web
    import bot.clock
    import bot.coach
    import bot.database
    import bot.deliveries
    import bot.grading.plain
    import bot.logs
    import bot.sharing
    from bot.content import default_folder, load

    assert all((aiohttp, adapters, bot))
    library = load(default_folder(), Path(sys.argv[1]))
    print("ready", flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                if wanted.get("stopped"):
                    os.kill(os.getpid(), signal.SIGSTOP)
                asyncio.run(live(wanted, library))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(child, flush=True)
        _, how = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(how), flush=True)


class Mortals:
    """The ready process, as tests use it; it belongs to no event loop."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self.log = log

    async def begin(self, **wanted: Any) -> int:
        """Begins a life and returns its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        return int(await self._line())

    async def ended(self) -> int:
        """Waits for the end of the life that was begun: its exit status, or minus the signal that ended it."""
        return int(await self._line())

    async def _line(self) -> str:
        async with asyncio.timeout(150):
            return await asyncio.to_thread(self.line)

    def line(self) -> str:
        """What the process says next."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, f"the ready process ended: {self.log.read_text()[-2000:]}"
        return line


@contextmanager
def mortals(folder: Path) -> Iterator[Mortals]:
    """The ready process, for as long as it is entered; what its lives log is in `folder`."""
    log = folder / "lives.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COACH_")}
    own = {"PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}", "PTB_TIMEDELTA": "true", "HOME": str(folder)}
    command = [sys.executable, "-m", "peers.mortal", str(folder / "cache")]
    with log.open("wb") as written:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, cwd=ROOT / "tests", env=kept | own, stdin=pipe, stdout=pipe, stderr=written, text=True,
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
