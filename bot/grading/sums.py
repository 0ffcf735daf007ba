"""The sums that a text states ("0.9 / 1.2 = 0.75"), worked out again: a wrong number in a rubric would be taught."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bot.grading import algebra

SLACK = 1.02
"""What a rounded result may be off, in halves of the last digit that is shown."""

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
_UNIT = r"(?:\s?(?:%|percent\b|points\b|million\b|billion\b))?"
_PART = rf"(?:{_NUMBER}{_UNIT}|(?<![a-z])(?:sqrt|exp|ln|log2|log10)(?=\()|[-+*/^()×]|(?<=\s)x(?=\s)|\s)"
_LEFT = re.compile(rf"{_PART}+$")
_RIGHT = re.compile(rf"\s*(?:about |roughly |only |nearly )?(?P<number>-?{_NUMBER})(?P<unit>{_UNIT})")
_EQUALS = re.compile(r"(?<![<>!=:~])=(?!=)")
_OPERATION = re.compile(rf"\d{_UNIT}\s*[-+*/^×)]|\d\s+x\s|[a-z]\(")
_GOES_ON_LEFT = re.compile(r"[=<>~+*/^.|_\]-]$")
_GOES_ON_RIGHT = re.compile(r"[\w(]|\s?[*/^×+]|\s-\s|\s?x\s|\.\d|,\d{3}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_UNITS = {"": 1.0, "%": 0.01, "percent": 0.01, "points": 0.01, "million": 1e6, "billion": 1e9}


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum with its result as it is written, and what it comes to. right: whether the two agree, as far as digits are shown."""

    written: str
    worked: float
    right: bool


def sums(text: str) -> Iterator[Sum]:
    """Every sum of plain numbers that `text` states with its result, in the order in which they stand.

    + - * / ^, sqrt, exp, ln, log2, log10, % and millions are understood. What has a name in it ("n - 3 = 6") or goes on with one isn't a
    sum of plain numbers, and is left out."""
    for equals in _EQUALS.finditer(text):
        left, right = _LEFT.search(text[: equals.start()]), _RIGHT.match(text, equals.end())
        if left is None or right is None:
            continue
        written = _balanced(left.group())
        if not _OPERATION.search(written) or _DATE.search(written):
            continue
        before = text[: equals.start() - len(written)]
        joined = (not written[0].isspace() or written.lstrip()[0] in "-+*/^") and re.search(r"\w\s*$", before)
        if joined or _GOES_ON_LEFT.search(before.rstrip()) or _GOES_ON_RIGHT.match(text, right.end()):
            continue
        worked = _worked(written)
        if worked is None:
            continue
        unit = _UNITS[right["unit"].strip()]
        stated = float(right["number"].replace(",", "")) * unit
        allowed = 0.5 * SLACK * _last_digit(right["number"]) * unit
        factors = (1.0, 0.01) if unit == 0.01 and abs(worked) >= 1 else (1.0, 100.0) if "%" in written else (1.0,)
        yield Sum(f"{written.strip()} = {right.group().strip()}", worked, any(abs(worked * by - stated) <= allowed for by in factors))


def _balanced(written: str) -> str:
    """The longest end of `written` in which every closing bracket has its opening one, and no other is open."""
    depth, start = 0, 0
    for place in range(len(written) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(written[place], 0)
        if depth < 0:
            return written[place + 1 :]
        if depth == 0:
            start = place
    return written[start:]


def _worked(written: str) -> float | None:
    """What a sum comes to; None where it isn't one."""
    text = re.sub(_NUMBER, lambda number: number.group().replace(",", ""), written)
    text = re.sub(r"(?<![\d.])\.(?=\d)", "0.", text)
    for unit in ("million", "billion"):
        text = re.sub(rf"([\d.]+)\s?{unit}", rf"(\1*{_UNITS[unit]:.0f})", text)
    text = re.sub(r"(?<=\s)x(?=\s)", "*", text)
    text = re.sub(r"log(2|10)\(([\d.]+)\)", lambda log: f"(ln({log[2]})/ln({log[1]}))", text)
    try:
        worked = algebra.value(algebra.parse(text), {})
    except algebra.NoFormulaError:
        return None
    return None if math.isnan(worked) else worked


def _last_digit(number: str) -> float:
    """The worth of the last digit that counts: 0.01 in "0.25", 10 in "470" and in "1,200" 100, as a whole number is rounded."""
    number = number.replace(",", "").lstrip("-")
    if "." in number:
        return float(10.0 ** -len(number.split(".")[1]))
    return float(10.0 ** (len(number) - len(number.rstrip("0") or number)))
