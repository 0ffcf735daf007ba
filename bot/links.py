"""Link codes: how they are made, shown, read and kept. Short letters that are read out or typed from one chat into another."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta

LETTERS = "BCDFGHJKMNPQRSTWXZ"
"""Letters that are not taken for one another, and make no words: no vowels, no I, L, O, U, V, and no digits at all."""

LENGTH = 8
"""18 ** 8 codes are eleven thousand million; with five tries an hour nobody meets the one that holds for ten minutes."""

LIFE = timedelta(minutes=10)

TRIES = 5
WITHIN = timedelta(hours=1)
"""So many wrong codes within this time, by one learner or from one address."""


def make(draw: Callable[[str], str]) -> str:
    """A new code. `draw` takes one letter of those given, by chance that nobody can guess."""
    return "".join(draw(LETTERS) for _ in range(LENGTH))


def shown(code: str) -> str:
    """ "BCDF-GHJK"."""
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"


def read(text: str) -> str | None:
    """The code that somebody typed, whatever its case, spaces and hyphens; None where it can't be one."""
    code = re.sub(r"[\s\-\u2010-\u2015_.]+", "", text).upper()
    return code if re.fullmatch(rf"[A-Z]{{{LENGTH}}}", code) else None


def fingerprint(code: str) -> str:
    """What is kept of a code. It holds for minutes, so one round of SHA-256 is enough."""
    return hashlib.sha256(f"link {code}".encode()).hexdigest()
