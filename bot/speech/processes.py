"""Runs `bot/speech/child.py`: one recording, one process, with limits of memory and time, killed when its time is over."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("child.py")


class Died(Exception):
    """The process ended without an answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process may use: bytes of address space, seconds of the processor, seconds by the clock, bytes of its answer."""

    memory: int
    processor: int
    clock: float
    answer: int


async def run(job: str, request: Mapping[str, Any], data: bytes, limits: Limits) -> tuple[dict[str, Any], bytes]:
    """What the child answers to `request` and `data`. Raises TimeoutError where it takes too long - it is dead by then - and
    Died where it breaks down: out of memory, say."""
    asked = dict(request) | {"job": job, "memory": limits.memory, "seconds": limits.processor}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(CHILD), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL, env=_surroundings(), start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(limits.clock):
            writing = asyncio.ensure_future(_write(process.stdin, json.dumps(asked).encode() + b"\n", data))
            try:
                head = json.loads(await process.stdout.readline())
                size = head.pop("bytes")
                if not 0 <= size <= limits.answer:
                    raise Died("its answer is too large")
                return head, await process.stdout.readexactly(size)
            except (ValueError, KeyError, TypeError, asyncio.IncompleteReadError) as error:
                raise Died("it ended without an answer") from error
            finally:
                writing.cancel()
                with suppress(asyncio.CancelledError):
                    await writing
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()  # both pipes are closed then


async def _write(pipe: asyncio.StreamWriter, *parts: bytes) -> None:
    with suppress(ConnectionError):  # it is gone: what it said, or that it said nothing, tells more
        for part in parts:
            pipe.write(part)
            await pipe.drain()
        pipe.close()


def _surroundings() -> dict[str, str]:
    """No token or key of ours; one thread of BLAS."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
