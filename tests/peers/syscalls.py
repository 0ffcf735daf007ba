"""A process that stands aside at each system call with which another one writes, makes sure, sends or receives, and may kill it there.

The kernel stops the watched process before such a call and asks here first (seccomp's user notification); everything else that it
does costs nothing. https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import platform
import select
import signal
import socket
import struct
from pathlib import Path

NUMBERS = {
    "x86_64": {"seccomp": 317, "pwrite64": 18, "fdatasync": 75, "sendto": 44, "recvfrom": 45},
    "aarch64": {"seccomp": 277, "pwrite64": 68, "fdatasync": 83, "sendto": 206, "recvfrom": 207},
}
"""How SQLite and the sockets write, make sure, send and receive."""

NOTHING = {"sendto": 1, "recvfrom": 4096}
"""Lengths by which the event loop's own pipe is known: through it a thread wakes the loop, and nothing leaves the process."""

NO_NEW_PRIVILEGES, SET_FILTER, NEW_LISTENER = 38, 1, 8
ALLOW, ASK, GO_ON = 0x7FFF0000, 0x7FC00000, 1
RECEIVE, SEND = 0xC0502100, 0xC0182101
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, LENGTH = 0, 32
"""Where the call's number and its third argument stand in what the filter sees."""


def _filter(numbers: dict[str, int]) -> bytes:
    """A program for the kernel: which calls it asks about."""
    program = []
    for name, number in numbers.items():
        if name == "seccomp":
            continue
        spared = NOTHING.get(name)
        steps = [struct.pack("HBBI", LOAD, 0, 0, LENGTH), struct.pack("HBBI", IF_EQUAL, 1, 0, spared)] if spared else []
        program.append(struct.pack("HBBI", LOAD, 0, 0, NUMBER))
        program.append(struct.pack("HBBI", IF_EQUAL, 0, len(steps) + (2 if spared else 1), number))
        program += [*steps, struct.pack("HBBI", RETURN, 0, 0, ASK)]
        if spared:
            program.append(struct.pack("HBBI", RETURN, 0, 0, ALLOW))
    program.append(struct.pack("HBBI", RETURN, 0, 0, ALLOW))
    return b"".join(program)


def _listener() -> int:
    """From now on this process, and every thread that it starts, is asked about; returns where the questions come."""
    numbers = NUMBERS[platform.machine()]
    libc = ctypes.CDLL(None, use_errno=True)
    code = _filter(numbers)
    kept = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(kept))
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    listener: int = libc.syscall(numbers["seccomp"], SET_FILTER, NEW_LISTENER, program)
    if listener < 0:
        raise NotImplementedError("the kernel does not tell system calls apart for us")
    return listener


def watched(last: int, log: Path) -> None:
    """Lets this process live until its call number `last` of that kind (0: for ever); `log` then holds the names of its calls.

    Raises NotImplementedError where the kernel does not offer it."""
    if platform.machine() not in NUMBERS:
        raise NotImplementedError("nobody wrote down how this processor's system calls are numbered")
    here, there = socket.socketpair()
    life = os.getpid()
    if os.fork() == 0:
        _, (listener, *_), _, _ = socket.recv_fds(there, 1, 1)
        here.close()
        try:
            _watch(life, listener, last, log)
        finally:
            os._exit(0)
    socket.send_fds(here, [b"."], [_listener()])
    here.close()
    there.close()


def _watch(life: int, listener: int, last: int, log: Path) -> None:
    names = {number: name for name, number in NUMBERS[platform.machine()].items()}
    seen: list[str] = []
    asked = select.poll()
    asked.register(listener, select.POLLIN)
    while True:
        if any(event & select.POLLHUP for _, event in asked.poll()):
            break
        question = bytearray(80)
        try:
            fcntl.ioctl(listener, RECEIVE, question)
            which, _, _, number = struct.unpack_from("QIIi", question)
            seen.append(names[number])
            if len(seen) == last:
                os.kill(life, signal.SIGKILL)
                break
            fcntl.ioctl(listener, SEND, struct.pack("QqiI", which, 0, 0, GO_ON))
        except OSError:  # it is gone
            break
    log.write_text(json.dumps(seen))
