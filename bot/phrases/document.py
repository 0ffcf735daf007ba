"""What stands in the document of a mock interview, paragraph by paragraph."""

from __future__ import annotations

from collections.abc import Iterator

from bot.phrases.report import FINDINGS, PARTS, basis, compared, course, habits, stand, sure_word, title, verdict
from bot.reporting import Entry, Report

Paragraph = tuple[str, str]


def paragraphs(report: Report, zone: str) -> Iterator[Paragraph]:
    """Kind and text of each paragraph (see `bot.reports.document.Block`)."""
    yield "title", title(report, zone)
    score = "" if report.score is None else f"{report.score}/100. "
    yield "strong", f"{score}{verdict(report)}"
    yield "text", basis(report)
    mode = "real mode, no feedback until the end" if report.real else "practice mode, feedback after each reply"
    yield "small", f"{report.track}, planned for {report.minutes} minutes, {mode}."
    yield "picture", "Competencies and the course of the interview; the numbers are in the text."
    yield "heading", "Competencies"
    for one in report.competencies:
        yield "text", stand(one)
    yield "heading", "Sections"
    for one in report.sections:
        yield "text", stand(one)
    yield "text", f"Course of the interview: {course(report)}"
    if words := compared(report):
        yield "text", words
    yield "heading", "Habits"
    for line in habits(report):
        yield "text", line
    yield "heading", "Common mistakes"
    if not report.mistakes:
        yield "text", "None of the six common mistakes showed in this interview."
    for mistake in report.mistakes:
        yield "strong", mistake.title
        for evidence in mistake.evidence:
            yield "text", f"• {evidence}"
    yield "heading", "What to do next"
    for number, (what, command) in enumerate(report.steps, 1):
        yield "text", f"{number}. {what}: {command}"
    for entry in report.entries:
        yield from _entry(entry)


def _entry(entry: Entry) -> Iterator[Paragraph]:
    earned = "not answered" if not entry.answered else "not judged" if entry.score is None else f"{entry.score}/100"
    yield "heading", f"{entry.number}. {entry.title} · {earned}"
    facts = [f"level {entry.level}"]
    if entry.minutes is not None:
        facts.append(f"{entry.minutes:.1f} minutes{', longer than planned' if entry.over else ''}")
    if entry.answered:
        facts.append(f"{entry.words} words{', spoken' if entry.spoken else ''}")
    if entry.follow_ups:
        facts.append(f"{entry.follow_ups} {'follow-up' if entry.follow_ups == 1 else 'follow-ups'}")
    if entry.hints:
        facts.append(f"{entry.hints} {'hint' if entry.hints == 1 else 'hints'}")
    if word := sure_word(entry.sure):
        facts.append(f"you said: {word.lower()}")
    yield "small", ", ".join(facts)
    if not entry.answered:
        yield "text", "Left unanswered: it counts neither for nor against you."
        return
    if entry.part:
        for part in entry.said:
            name, _, earned = part.point.partition(" ")
            yield "text", f"{PARTS.get(name, name)}: {FINDINGS[part.finding] if part.finding == 'cannot tell' else earned}"
        if entry.said and entry.said[0].quote:
            yield "quote", f"You began with “{entry.said[0].quote}”."
        for text in entry.adds:
            yield "strong", "What it was"
            yield "text", text
        return
    for said in entry.said:
        yield "text", f"{FINDINGS[said.finding]}{' (with help)' if said.helped else ''}: {said.point}"
        if said.quote:
            yield "quote", f"“{said.quote}”"
    for words, correction in entry.wrong:
        yield "text", f"You said “{words}”. {correction}"
    if entry.adds:
        yield "strong", "What a strong reply adds"
        for text in entry.adds:
            yield "text", f"• {text}"
