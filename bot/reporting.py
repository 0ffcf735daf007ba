"""What a mock interview showed: scores by section and competency, habits, common mistakes with their evidence, what to do next.

Everything is counted from the learner's own replies of that interview. What was not answered is not counted as wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import fmean

from bot import course
from bot.content import Library, Question
from bot.incidents import Incident
from bot.model import Attempt, Fate, Finding, Format, Held, Interview, State, Sure

BANDS = ((80, "ready"), (65, "solid"), (45, "on the way"), (0, "early"))
"""From which mean score (0..100) on an interview is called what."""

ENOUGH = 5
"""Interviews (this one with those before it) from which a comparison is shown without a warning."""

WEAK_BUSINESS = 50
"""Below this score (0..100) the last question of an incident is evidence that the impact on the business was not explained."""

MISSED = 2
"""Points of one kind of mistake that must be missing before that counts as the mistake; one that is said wrongly is enough."""

SHORT, RAMBLING = 25, 260
"""Words below and above which replies are called short and long."""


@dataclass(frozen=True, slots=True)
class Said:
    """One point of a reply: what was found, what the point is, and the learner's words for it."""

    finding: Finding
    point: str
    quote: str = ""
    helped: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One question of the interview.

    score: None where it was not answered or could not be judged. minutes: from the question to the reply, None where not
    answered or interrupted by an absence. over: whether it took longer than it was given. wrong: (words, correction) of each
    misconception. adds: what a strong reply has beyond it. part: whether the verdicts are the parts of an incident.
    spoken: whether the reply was said in a voice note.
    """

    number: int
    question: str
    title: str
    section: str
    competencies: tuple[str, ...]
    level: int
    score: int | None
    answered: bool
    minutes: float | None = None
    over: bool = False
    words: int = 0
    hints: int = 0
    sure: Sure = Sure.UNSAID
    follow_ups: int = 0
    helped: int = 0
    said: tuple[Said, ...] = ()
    wrong: tuple[tuple[str, str], ...] = ()
    adds: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    part: bool = False
    spoken: bool = False


@dataclass(frozen=True, slots=True)
class Stand:
    """How one section or competency stands: the mean of `count` questions, and that of `before` earlier ones."""

    id: str
    title: str
    mean: float | None
    count: int
    mean_before: float | None = None
    before: int = 0

    @property
    def trend(self) -> float | None:
        return None if self.mean is None or self.mean_before is None else self.mean - self.mean_before


@dataclass(frozen=True, slots=True)
class Mistake:
    """One of the common mistakes, with the evidence for it: what was said, or left out, in which question."""

    id: str
    title: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """An interview, looked back at. number: which of the learner's interviews it is, from 1. earlier: how many came before."""

    number: int
    at: datetime
    format: Format
    track: str
    minutes: int
    real: bool
    cancelled: bool
    entries: tuple[Entry, ...]
    sections: tuple[Stand, ...]
    competencies: tuple[Stand, ...]
    mistakes: tuple[Mistake, ...]
    steps: tuple[tuple[str, str], ...]
    earlier: int
    mean_before: float | None

    @property
    def answered(self) -> tuple[Entry, ...]:
        return tuple(one for one in self.entries if one.answered)

    @property
    def judged(self) -> tuple[Entry, ...]:
        return tuple(one for one in self.entries if one.score is not None)

    @property
    def score(self) -> int | None:
        """0..100: the mean of the questions that were answered and could be judged."""
        scores = [one.score for one in self.entries if one.score is not None]
        return round(fmean(scores)) if scores else None

    @property
    def band(self) -> str:
        return band(self.score)

    @property
    def change(self) -> int | None:
        """Against the mean of the earlier interviews."""
        return None if self.score is None or self.mean_before is None else round(self.score - self.mean_before)


def band(score: int | None) -> str:
    return "not judged" if score is None else next(name for least, name in BANDS if score >= least)


def report(
    one: Interview, held: Sequence[Held], number: int, before: Sequence[Sequence[Held]], library: Library, incidents: Mapping[str, Incident]
) -> Report:
    """The report of an interview. before: what was held in the learner's earlier ones."""
    entries = tuple(_entry(number, main, held, one, library, incidents) for number, main in enumerate(course.questions(held), 1))
    old = [scored for each in before for scored in scores(each)]
    syllabus = library.syllabus
    sections = [id for id in syllabus.sections if any(entry.section == id for entry in entries)]
    competencies = {id: title.partition(" - ")[0] for id, title in syllabus.competencies.items()}
    now = scores(held)
    earlier_means = [fmean(found) for each in before if (found := [score for _, score in scores(each)])]
    return Report(
        number, one.ended_at or one.started_at, one.format, syllabus.tracks.get(one.track, "All interviews"), one.minutes, one.real,
        one.state is State.CANCELLED, entries,
        tuple(_stand(id, syllabus.sections[id], now, old, library, incidents, "section") for id in sections),
        tuple(_stand(id, title, now, old, library, incidents, "competencies") for id, title in competencies.items()),
        mistakes(entries, held, library), next_steps(entries, one, library, incidents), len(earlier_means),
        fmean(earlier_means) if earlier_means else None,
    )  # fmt: skip


def scores(held: Sequence[Held]) -> list[tuple[str, int]]:
    """The questions (or incidents) of an interview that have a score, with it; follow-ups apart."""
    return [
        (one.asked.question, one.attempt.grade.score)
        for one in course.questions(held)
        if one.attempt is not None and one.attempt.grade.score is not None
    ]


def standing(found: Sequence[tuple[str, int]], library: Library, incidents: Mapping[str, Incident]) -> dict[str, tuple[float, int]]:
    """The mean score and the number of questions of each section."""
    by: dict[str, list[int]] = {}
    for id, score in found:
        where = library.questions.get(id) or incidents.get(id)
        if where is not None:
            by.setdefault(where.section, []).append(score)
    return {section: (fmean(all_of), len(all_of)) for section, all_of in by.items()}


def _stand(
    id: str, title: str, now: Sequence[tuple[str, int]], old: Sequence[tuple[str, int]], library: Library,
    incidents: Mapping[str, Incident], kind: str,
) -> Stand:  # fmt: skip
    def about(found: Sequence[tuple[str, int]]) -> list[int]:
        made = []
        for question, score in found:
            where = library.questions.get(question) or incidents.get(question)
            if where is not None and (where.section == id if kind == "section" else id in where.competencies):
                made.append(score)
        return made

    here, there = about(now), about(old)
    return Stand(id, title, fmean(here) if here else None, len(here), fmean(there) if there else None, len(there))


def _entry(number: int, main: Held, held: Sequence[Held], one: Interview, library: Library, incidents: Mapping[str, Incident]) -> Entry:
    asked, attempt = main.asked, main.attempt
    question, incident = library.questions.get(asked.question), incidents.get(asked.question)
    about = question or incident
    title, section = (about.title, about.section) if about else ("A question that is no more", "")
    competencies, level = (about.competencies, about.level) if about else ((), 3)
    follow = [each for each in held if each.asked.followup and attempt is not None and each.asked.attempt == attempt.id and each.attempt]
    if attempt is None or asked.fate is Fate.SKIPPED:
        return Entry(number, asked.question, title, section, competencies, level, None, False, sure=asked.sure)
    grade = attempt.grade
    took = attempt.at - asked.at
    allowed = course.allowed(one, main, incidents)
    minutes = took.total_seconds() / 60 if took <= 4 * allowed else None
    common = Entry(
        number, asked.question, title, section, competencies, level, grade.score, True, minutes, took > allowed, len(attempt.text.split()),
        attempt.hints, asked.sure, len(follow), sum(verdict.helped for verdict in grade.verdicts), notes=tuple(grade.note.split()),
        spoken=attempt.spoken,
    )  # fmt: skip
    if question is not None:
        return _about_question(common, question, attempt)
    return _about_incident(common, incident, attempt) if incident is not None else common


def _about_question(entry: Entry, question: Question, attempt: Attempt) -> Entry:
    grade = attempt.grade
    said = tuple(
        Said(verdict.finding, point.statement, verdict.quote, verdict.helped)
        for point in question.points
        if (verdict := grade.verdict(point.id)) is not None
    )
    wrong = tuple(
        (mistaken.quote, known.correction)
        for mistaken in grade.misconceptions
        if (known := question.misconception(mistaken.misconception)) is not None
    )
    lacking = [
        point for point in question.points
        if (verdict := grade.verdict(point.id)) is not None and verdict.finding not in (Finding.COVERED, Finding.CANNOT_TELL)
    ]  # fmt: skip
    lacking.sort(key=lambda point: (not point.core, -point.weight))
    return replace(entry, said=said, wrong=wrong, adds=tuple(point.statement for point in lacking[:3]))


def _about_incident(entry: Entry, incident: Incident, attempt: Attempt) -> Entry:
    said = tuple(Said(verdict.finding, f"{verdict.point} {round(100 * verdict.strength)}") for verdict in attempt.grade.verdicts)
    begun = _short(attempt.text.split("\n", 1)[0])
    return replace(entry, said=(replace(said[0], quote=begun), *said[1:]) if said else (), adds=(incident.resolution,), part=True)


# ---------------------------------------------------------------------------------------------- the common mistakes


def mistakes(entries: Sequence[Entry], held: Sequence[Held], library: Library) -> tuple[Mistake, ...]:
    """The common mistakes that this interview shows, each with its evidence; none without."""
    wrong: dict[str, list[str]] = {id: [] for id in library.syllabus.mistakes}
    absent: dict[str, list[str]] = {id: [] for id in library.syllabus.mistakes}
    there: dict[str, int] = dict.fromkeys(library.syllabus.mistakes, 0)
    for main in course.questions(held):
        question = library.questions.get(main.asked.question)
        if question is None or main.attempt is None:
            continue
        grade = main.attempt.grade
        stated = {one.misconception: one.quote for one in grade.misconceptions}
        reversed_by = {one.reverses: stated[one.id] for one in question.misconceptions if one.reverses and one.id in stated}
        for point in question.points:
            verdict = grade.verdict(point.id)
            if verdict is None or verdict.finding is Finding.CANNOT_TELL:
                continue
            for id in point.mistakes:
                if id not in wrong:
                    continue
                if point.id in reversed_by or verdict.finding is Finding.CONTRADICTED:
                    wrong[id].append(f"{question.title}: you said “{_short(reversed_by.get(point.id) or verdict.quote)}”.")
                elif verdict.finding is Finding.MISSING:
                    absent[id].append(f"{question.title}: not said: {_short(point.statement)}")
                else:
                    there[id] += 1
    for entry in entries:
        if "memorised" in entry.notes and "memorised" in wrong:
            wrong["memorised"].insert(0, f"{entry.title}: the model answer's own words.")
        for part in entry.said if entry.part else ():
            name, _, earned = part.point.partition(" ")
            if name == "summary" and int(earned) < WEAK_BUSINESS and "no-business-impact" in wrong:
                wrong["no-business-impact"].append(f"{entry.title}: the summary for the business earned {earned} of 100.")
    found = []
    for id, title in library.syllabus.mistakes.items():
        mostly = len(absent[id]) >= MISSED and len(absent[id]) > there[id]
        evidence = [*wrong[id], *(absent[id] if mostly or wrong[id] else [])]
        if evidence:
            found.append((len(wrong[id]), len(absent[id]), Mistake(id, title, tuple(evidence[:3]))))
    return tuple(one for *_, one in sorted(found, key=lambda each: (-each[0], -each[1])))


def _short(text: str, most: int = 110) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rsplit(" ", 1)[0].rstrip(",;:.") + "…"


# ---------------------------------------------------------------------------------------------- what to do next


def next_steps(
    entries: Sequence[Entry], one: Interview, library: Library, incidents: Mapping[str, Incident]
) -> tuple[tuple[str, str], ...]:
    """Three things to do, each with the command that starts it: the weakest question again, more of the weakest section, and an
    incident or the next interview."""
    steps: list[tuple[str, str]] = []
    scored = sorted((entry for entry in entries if entry.score is not None and not entry.part), key=lambda entry: entry.score or 0)
    skipped = [entry for entry in entries if not entry.answered and entry.question in library.questions]
    again = next(iter([*[entry for entry in scored if (entry.score or 0) < 80], *skipped, *scored]), None)
    if again is not None:
        steps.append((f"Take “{again.title}” again", f"/redo {again.question}"))
    found = standing([(entry.question, entry.score) for entry in entries if entry.score is not None], library, incidents)
    if found:
        weakest = min(found, key=lambda id: (found[id][0], id))
        steps.append((f"More of {library.syllabus.sections[weakest]}", f"/next {weakest}"))
    met = {entry.question for entry in entries}
    weak = next((entry for entry in entries if entry.part and entry.score is not None and entry.score < 65), None)
    if weak is not None:
        steps.append((f"Investigate “{weak.title}” once more", f"/incident {weak.question}"))
    else:
        fresh = [each for each in incidents.values() if each.id not in met and (not one.track or one.track in each.tracks)]
        if fresh:
            nearest = min(fresh, key=lambda each: (abs(each.level - one.level), each.id))
            steps.append((f"Investigate “{nearest.title}”", f"/incident {nearest.id}"))
    steps.append(("The next mock interview", " ".join(f"/mock {one.track} {one.minutes} {one.format.value}".split())))
    if not found:
        steps.append(("A question to warm up", "/next"))
        steps.append(("What I can ask about", "/topics"))
    return tuple(steps[:3])
