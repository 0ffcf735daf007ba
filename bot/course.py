"""The course of a mock interview: what was ordered, what is asked next and how hard, when the time is over."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from bot.content import Library, Question, Syllabus
from bot.incidents import Incident
from bot.model import Fate, Format, Held, Interview

MINUTES: Mapping[Format, int] = {Format.SCREENING: 3, Format.DEEP: 6, Format.DESIGN: 8}
"""Minutes for one question with its follow-ups."""

FOLLOW_UPS: Mapping[Format, int] = {Format.SCREENING: 1, Format.DEEP: 3, Format.DESIGN: 2}
"""Follow-ups to one question, at most."""

INCIDENT = 12
"""Minutes for an incident."""

LONGER = 30
"""From so many minutes on an interview holds one incident; a screening never does."""

SHORTEST, LONGEST = 10, 120
"""Minutes of an interview."""

BELOW = 0.5
"""Levels below the learner's at which it begins."""

SOUND = 62
"""The score (0..100) at which the difficulty stays."""

STEP, CALMER, LEAST_STEP = 0.9, 0.2, 0.25
"""Levels that an extreme score moves the difficulty at first; how much less with each question; and the least."""

WEEK = timedelta(days=7)

SECTION, COMPETENCY, NOISE = 0.7, 0.25, 0.3
"""What a section and a competency cost that were there before, against one level of distance; and what chance adds at most."""

DESIGN_SECTIONS = ("scenarios", "mlops", "features", "evaluation")


@dataclass(frozen=True, slots=True)
class Order:
    """What a learner asked for. unclear: the words that say nothing, or ""."""

    track: str = ""
    minutes: int = 30
    level: int = 0
    format: Format = Format.DEEP
    real: bool = False
    unclear: str = ""


_LEVELS = {"junior": 1, "regular": 2, "mid": 2, "senior": 3, "staff": 4, "principal": 5, "lead": 4}
_FORMATS = {
    "screening": Format.SCREENING, "screen": Format.SCREENING, "deep": Format.DEEP, "system-design": Format.DESIGN, "design": Format.DESIGN
}  # fmt: skip


def ordered(text: str, syllabus: Syllabus) -> Order:
    """What "/mock <text>" asks for: a track, minutes, a level, a format and "real", in any order; all may be left out."""
    said = re.sub(r"\bsystem\s+design\b", "system-design", text.lower().strip())
    said = re.sub(r"\blevel\s*(?=\d)", "level", said)
    said = re.sub(r"(\d+)\s*(?:minutes|mins|min|m)\b", r"\1min", said)
    made: dict[str, object] = {}
    left: list[str] = []
    unclear = ""
    for word in re.findall(r"[^\s,;=]+", said):
        number = re.fullmatch(r"(level|minutes)?(\d{1,3})(min)?", word)
        if word in syllabus.tracks:
            made["track"] = word
        elif word in _FORMATS:
            made["format"] = _FORMATS[word]
        elif word in _LEVELS:
            made["level"] = _LEVELS[word]
        elif word in ("real", "practice", "practise"):
            made["real"] = word == "real"
        elif number is not None:
            value, as_level = int(number[2]), number[1] == "level" or (number[1] is None and number[3] is None and int(number[2]) <= 5)
            if as_level and 1 <= value <= 5:
                made["level"] = value
            elif not as_level and SHORTEST <= value <= LONGEST:
                made["minutes"] = value
            else:
                unclear = unclear or word
        elif word not in ("mode", "interview", "minutes", "level", "please", "a", "for", "mock"):
            left.append(word)
    if left:
        track = _track(" ".join(left), syllabus)
        if track:
            made["track"] = track
        else:
            unclear = unclear or " ".join(left)
    return Order(**made, unclear=unclear)  # type: ignore[arg-type]


def _track(said: str, syllabus: Syllabus) -> str:
    from rapidfuzz import fuzz, process, utils

    names = {id: title.removesuffix(" interview") for id, title in syllabus.tracks.items()}
    names |= {f"{id} ": id.replace("-", " ") for id in syllabus.tracks}
    found = process.extractOne(said, names, scorer=fuzz.token_sort_ratio, processor=utils.default_process, score_cutoff=70)
    return found[2].strip() if found else ""


# ---------------------------------------------------------------------------------------------- the plan


def length(minutes: int, format: Format) -> int:
    """How many questions an interview has, an incident counted as one."""
    if has_incident(minutes, format):
        return 1 + max(2, (minutes - INCIDENT) // MINUTES[format])
    return max(3, minutes // MINUTES[format])


def has_incident(minutes: int, format: Format) -> bool:
    return minutes >= LONGER and format is not Format.SCREENING


def difficulty(level: int, scores: Sequence[int | None], format: Format = Format.DEEP) -> float:
    """The level, 1..5, at which to ask next after these scores.

    It begins a little below the learner's and moves with each score, less and less, towards where replies are sound."""
    at = max(1.0, level - BELOW) if format is not Format.SCREENING else max(1.0, level - 2 * BELOW)
    for number, score in enumerate(scores):
        if score is not None:
            pull = max(-1.0, min(1.0, (score - SOUND) / (100 - SOUND)))
            at = max(1.0, min(5.0, at + pull * max(LEAST_STEP, STEP / (1 + CALMER * number))))
    return at


def next_question(
    library: Library, track: str, format: Format, level: float, done: Sequence[Question], lately: Collection[str], rng: Random
) -> Question | None:
    """The question to ask now; None where all of the track were asked in this interview.

    done: what was asked in it. lately: the ids that were asked this week, which come only when nothing else is left. The nearest
    in level wins, but a section or a competency that was there already counts against it."""
    asked = {one.id for one in done}
    left = [one for one in library.questions.values() if one.id not in asked and (not track or track in one.tracks)]
    fresh = [one for one in left if one.id not in lately] or left
    if not fresh:
        return None
    sections = Counter(one.section for one in done)
    competencies = Counter(id for one in done for id in one.competencies)

    def cost(one: Question) -> float:
        seen = sum(competencies[id] for id in one.competencies) / len(one.competencies)
        foreign = 0.5 if format is Format.DESIGN and one.section not in DESIGN_SECTIONS else 0.0
        return abs(one.level - level) + SECTION * sections[one.section] + COMPETENCY * seen + foreign + NOISE * rng.random()

    return min(fresh, key=cost)


def next_incident(
    incidents: Mapping[str, Incident], track: str, level: float, asked: Collection[str], questions: Collection[str], rng: Random
) -> Incident | None:
    """The incident for an interview: one that was not met before and stands beside no question of this interview, near in level."""
    found = [one for one in incidents.values() if (not track or track in one.tracks) and one.question not in questions]
    left = [one for one in found if one.id not in asked] or found
    return min(left, key=lambda one: (abs(one.level - level) + NOISE * rng.random(), one.id), default=None)


def incident_now(interview: Interview, count: int) -> bool:
    """Whether the incident comes now, after `count` questions: in the middle, when somebody is warm and not yet tired."""
    return has_incident(interview.minutes, interview.format) and count == length(interview.minutes, interview.format) // 2


# ---------------------------------------------------------------------------------------------- how far it is


def questions(held: Sequence[Held]) -> list[Held]:
    """What was asked, without follow-ups."""
    return [one for one in held if not one.asked.followup]


def allowed(interview: Interview, held: Held, incidents: Collection[str]) -> timedelta:
    """The time for one question."""
    return timedelta(
        minutes=INCIDENT if held.asked.question in incidents else MINUTES[interview.format] / (2 if held.asked.followup else 1)
    )


def spent(interview: Interview, held: Sequence[Held], incidents: Collection[str]) -> timedelta:
    """The time at work: an absence counts as no more than twice what the question was given."""
    total = timedelta()
    for one in held:
        if one.attempt is not None:
            total += min(one.attempt.at - one.asked.at, 2 * allowed(interview, one, incidents))
    return total


def over(interview: Interview, held: Sequence[Held], incidents: Collection[str]) -> bool:
    """Whether nothing more is asked: all of the plan was, or the time is up by half as much again."""
    main = questions(held)
    if len(main) >= length(interview.minutes, interview.format):
        return True
    return bool(main) and spent(interview, held, incidents) > 1.5 * timedelta(minutes=interview.minutes)


def current(held: Sequence[Held]) -> Held | None:
    """What waits for a reply, if something does: the last thing asked that was neither answered nor skipped."""
    last = held[-1] if held else None
    return last if last is not None and last.attempt is None and last.asked.fate not in (Fate.ANSWERED, Fate.SKIPPED) else None


def asked_this_week(asked: Sequence[tuple[str, datetime]], now: datetime) -> frozenset[str]:
    return frozenset(id for id, at in asked if now - at < WEEK)
