"""A lock beside SQLite's file, so that two processes never answer the same learner."""

from __future__ import annotations

import os
from pathlib import Path

from bot.errors import StoreError


class Alone:
    """Holds the lock for as long as it is entered. The kernel frees it however the process ends.

    Raises StoreError where another process holds it, or the folder can't be written."""

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
