"""The report of a mock interview: what it counts, what it says, and the picture and the document that come with it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from peers.discord import DiscordServer, discord_contract
from peers.telegram import BotApiServer, telegram_contract
from pypdf import PdfReader
from test_discord import at_work as at_discord
from test_telegram import at_work as at_telegram
from worlds import ANN, MONDAY, FakeClock, incidents, packs, world

from bot import investigations
from bot.content import Library, Question
from bot.messages import units
from bot.model import (
    Asked,
    Attempt,
    Fate,
    Finding,
    Format,
    Grade,
    Held,
    Interview,
    Investigation,
    Mistaken,
    Occasion,
    Staged,
    State,
    Sure,
    Verdict,
)
from bot.phrases import document as paragraphs
from bot.phrases import report as phrases
from bot.reporting import Report, band, mistakes, report
from bot.reports import document
from bot.reports import interview as pictures

LIBRARY = packs()
INCIDENTS = incidents(LIBRARY)
SOME = ["precision", "overfitting", "deploy-model", "feature-scaling", "train-prod-gap"]
NASTY = "precision* is _TP_ <b>over</b> flagged 🙂 精度 דיוק \u202e so; " + "x" * 300


def graded(
    question: Question, score: int | None, finding: Finding, words: str = "so I said it", note: str = "", wrong: Sequence[str] = ()
) -> Grade:
    quoted = finding in (Finding.COVERED, Finding.PARTLY, Finding.CONTRADICTED)
    strength = {Finding.COVERED: 1.0, Finding.PARTLY: 0.5}.get(finding, 0.0)
    verdicts = tuple(
        Verdict(point.id, finding, words, 0, len(words), strength) if quoted else Verdict(point.id, finding) for point in question.points
    )
    return Grade(score, verdicts, tuple(Mistaken(id, words, 0, len(words)) for id in wrong), "table 1", note)


def held(number: int, id: str, grade: Grade | None, *, text: str = "so I said it", minutes: float = 2.0, sure: Sure = Sure.UNSAID) -> Held:
    at = MONDAY + timedelta(minutes=10 * number)
    fate = Fate.ANSWERED if grade else Fate.SKIPPED
    asked = Asked(f"asked{number}", "l", id, Occasion.INTERVIEW, at, fate=fate, interview="i", sure=sure)
    if grade is None:
        return Held(asked)
    return Held(asked, Attempt(f"attempt{number}", "l", asked.id, id, "", text, at + timedelta(minutes=minutes), 0, grade))


ONE = Interview("i", "l", ANN, MONDAY, "ml", 30, 3, Format.DEEP, state=State.DONE, ended_at=MONDAY + timedelta(minutes=40))


def made(parts: Sequence[Held], *, before: Sequence[Sequence[Held]] = (), one: Interview = ONE) -> Report:
    return report(one, parts, len(before) + 1, before, LIBRARY, INCIDENTS)


def usual(score: int = 70, text: str = "so I said it") -> list[Held]:
    findings = [Finding.COVERED, Finding.PARTLY, Finding.MISSING, Finding.COVERED]
    return [
        *(held(n, id, graded(LIBRARY.questions[id], score + n, findings[n], text), text=text) for n, id in enumerate(SOME[:4])),
        held(4, SOME[4], None),
    ]


def told(one: Report) -> str:
    return phrases.message(one, "Europe/Berlin").text


# ---------------------------------------------------------------------------------------------- what is counted


@pytest.mark.parametrize(
    ("score", "expected"), [(80, "ready"), (79, "solid"), (65, "solid"), (64, "on the way"), (44, "early"), (None, "not judged")]
)  # fmt: skip
def test_what_a_score_is_called(score: int | None, expected: str) -> None:
    assert band(score) == expected


def test_unanswered_is_not_zero_and_what_nobody_could_judge_is_no_score() -> None:
    one = made([*usual()[:2], held(2, "recall", Grade(None, (), (), "table 1", "language")), held(3, "f1", None)])
    assert (one.score, len(one.answered), len(one.judged)) == (70, 3, 2)
    assert "3 of 4 questions answered, 1 not to be judged" in told(one) and "counts neither way" in told(one)
    assert "Course: 70 → 71 → – → –" in told(one)


def test_the_five_competencies_are_all_named_and_what_was_not_asked_says_so() -> None:
    one = made([held(0, "precision", graded(LIBRARY.questions["precision"], 60, Finding.PARTLY))])
    assert [stand.title for stand in one.competencies] == [
        "ML fundamentals", "Statistics knowledge", "Model evaluation", "Production experience", "Problem solving"
    ]  # fmt: skip
    assert "Production experience: not asked" in told(one) and "Model evaluation: 60 (1)" in told(one)


@pytest.mark.parametrize(
    ("count", "words"), [(0, "nothing to compare"), (1, "says little yet: 5 are wanted"), (3, "says little yet"), (4, ""), (9, "")]
)
def test_a_comparison_says_from_how_many(count: int, words: str) -> None:
    """Under five it is said that this is little."""
    one = made(usual(70), before=[usual(50)] * count)
    text = told(one)
    if words:
        assert words in text
    else:
        assert "says little" not in text
    if count:
        assert f"Against your {count} earlier {'interview' if count == 1 else 'interviews'}: +20 points" in text
        assert f"+20 against {count * 1} earlier" in text


# ---------------------------------------------------------------------------------------------- the six common mistakes


def tagged(mistake: str, count: int = 2) -> list[Question]:
    found = [one for one in LIBRARY.questions.values() if any(mistake in point.mistakes for point in one.points)]
    return sorted(found, key=lambda one: -sum(mistake in point.mistakes for point in one.points))[:count]


@pytest.mark.parametrize("mistake", list(LIBRARY.syllabus.mistakes))
def test_each_mistake_is_named_with_its_evidence_and_only_with_it(mistake: str) -> None:
    """Left out again and again, or said wrongly once; a strong interview shows none."""
    questions = tagged(mistake, 3)
    weak = [held(n, one.id, graded(one, 10, Finding.MISSING)) for n, one in enumerate(questions)]
    strong = [held(n, one.id, graded(one, 100, Finding.COVERED)) for n, one in enumerate(questions)]
    wrong = [held(0, questions[0].id, graded(questions[0], 10, Finding.CONTRADICTED, "it is the other way round"))]
    named = {one.id: one for one in mistakes(made(weak).entries, weak, LIBRARY)}
    assert mistake in named
    assert all("not said: " in evidence for evidence in named[mistake].evidence)
    assert mistakes(made(strong).entries, strong, LIBRARY) == ()
    named = {one.id: one for one in mistakes(made(wrong).entries, wrong, LIBRARY)}
    assert "you said “it is the other way round”" in named[mistake].evidence[0]


def test_reciting_and_a_summary_full_of_jargon_are_evidence_too() -> None:
    question = LIBRARY.questions["precision"]
    parts = [held(0, "precision", graded(question, 100, Finding.COVERED, note="memorised"))]
    (only,) = mistakes(made(parts).entries, parts, LIBRARY)
    assert (only.id, only.evidence) == ("memorised", ("Precision: the model answer's own words.",))
    incident = INCIDENTS["gap-after-launch"]
    good, poor = Grade(90, (), (), "t"), Grade(30, (), (), "t")
    stages = tuple(
        Staged(name, "the AUC fell because of skew", poor if name == "summary" else good) for name in ("conclusion", "actions", "summary")
    )
    course = Investigation(
        "n", "l", "asked0", incident.id, MONDAY, ("look",), ("held-out", "inputs"), concluding=True, staged=stages, closed=True
    )
    parts = [held(0, incident.id, investigations.grade(incident, course))]
    (only,) = mistakes(made(parts).entries, parts, LIBRARY)
    assert only.id == "no-business-impact" and "earned 10 of 100" in only.evidence[0]


def test_three_things_to_do_next_each_with_a_command_that_exists() -> None:
    for parts in (usual(), usual(95), [held(0, "precision", None)], [held(0, "gap-after-launch", Grade(20, (), (), "t"))]):
        steps = made(parts).steps
        assert len(steps) == len({command for _, command in steps}) == 3
        for _, command in steps:
            assert re.match(r"/(redo|next|incident|mock|topics)\b", command)
            assert len(command.encode()) <= 64


# ---------------------------------------------------------------------------------------------- words, picture, document


def blocks(one: Report) -> tuple[document.Block, ...]:
    return tuple(document.Block(kind, text) for kind, text in paragraphs.paragraphs(one, "Europe/Berlin"))


@pytest.fixture(scope="module")
def drawn() -> tuple[Report, bytes, str, bytes]:
    """A report with hostile words, its picture, the text of its document, and the document."""
    one = made(usual(70, NASTY), before=[usual(50)])
    title = phrases.title(one, "Europe/Berlin")
    png = pictures.draw(pictures.picture(one, title, f"{one.score}/100 · {one.band}"))
    pdf = document.draw(document.Document(title, blocks(one), png, title))
    return one, png, "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages), pdf


def test_the_message_is_short_and_holds_every_number_of_the_picture(drawn: tuple[Report, bytes, str, bytes]) -> None:
    one, _, text, _ = drawn
    picture = pictures.picture(one, "", "")
    message = told(one)
    assert units(message) <= 2400
    for words in (message, text, phrases.alternative(one)):
        for title, mean, count in picture.competencies:
            assert (f"{title}: {mean:.0f} ({count}" if mean is not None else f"{title}: not asked") in words
        assert " → ".join("–" if score is None else str(score) for _, score in picture.course) in words
    assert str(one.score) in message


def test_the_picture_is_of_a_phones_size_and_has_a_ground_of_its_own(drawn: tuple[Report, bytes, str, bytes]) -> None:
    """Opaque, so that it is read in dark and in light."""
    _, png, _, _ = drawn
    assert png.startswith(b"\x89PNG") and len(png) < 300_000
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    assert width == 900 and 1000 <= height <= 1400
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        ground = image.convert("RGBA").getpixel((2, 2))
        ink = image.convert("L").getextrema()[0]
    assert isinstance(ground, tuple) and ground[3] == 255 and min(ground) > 240 and ink < 60


def test_the_document_is_read_back(drawn: tuple[Report, bytes, str, bytes]) -> None:
    """A4, fonts embedded, text that can be selected, small; the learner's odd words neither break it nor become markup."""
    one, _, text, pdf = drawn
    assert len(pdf) < 500_000
    reader = PdfReader(io.BytesIO(pdf))
    for page in reader.pages:
        assert (round(float(page.mediabox.width)), round(float(page.mediabox.height))) == (595, 842)
        for font in page["/Resources"]["/Font"].values():  # type: ignore[index]
            (inner,) = font["/DescendantFonts"]
            assert "/FontFile2" in inner.get_object()["/FontDescriptor"].get_object()
    flat = " ".join(text.split())
    for entry in one.entries:
        assert f"{entry.number}. {entry.title}" in flat
    assert "precision* is _TP_ <b>over</b> flagged" in flat
    assert "not said: " in flat and "partly said: " in flat and "What a strong reply adds" in flat
    assert "Against your 1 earlier interview" in flat
    for command in (command for _, command in one.steps):
        assert command in flat
    for id in ("asked0", "attempt0", "/work", "/tmp", "content/", "l@"):
        assert id not in flat


def test_a_long_interview_still_makes_a_small_document() -> None:
    """Two hours of full replies."""
    ids = [one.id for one in LIBRARY.questions.values()][:20]
    parts = [held(n, id, graded(LIBRARY.questions[id], 60, Finding.PARTLY, "word " * 60), text="word " * 400) for n, id in enumerate(ids)]
    one = made(parts, one=replace(ONE, minutes=120))
    title = phrases.title(one, "UTC")
    png = pictures.draw(pictures.picture(one, title, "60/100"))
    pdf = document.draw(document.Document(title, blocks(one), png, title))
    assert len(pdf) < 500_000 and len(png) < 300_000
    assert units(told(one)) <= 3000


@pytest.mark.parametrize("text", ["🙂", "精度", "a\u202eb", "\x00", "ﬁ", "é", "a\nb"])
def test_what_the_font_can_not_show_is_a_box_and_never_an_error(text: str) -> None:
    shown = document.readable(f"x {text} y")
    assert shown.startswith("x ") and shown.endswith(" y") and "\x00" not in shown and "🙂" not in shown


# ---------------------------------------------------------------------------------------------- on the platforms


WEAK = "It depends on the data, I would try something and see what comes of it"


async def test_the_report_arrives_on_telegram(library: Library, database: Path) -> None:
    """The picture and the document as real uploads, for the learner alone; an earlier one is asked for by its number."""
    clock = FakeClock()
    async with (
        world(library, database, clock=clock) as home,
        BotApiServer(contract=telegram_contract(), now=lambda: clock().timestamp()) as server,
    ):
        async with at_telegram(home, server) as stage:
            ann, bob = server.person("Ann", started=True), server.person("Bob", started=True)
            await ann.says("/mock 10 screening")
            seen = await everything(ann, stage.courier)
            for _ in range(9):
                clock.move(minutes=1)
                if any("Interview 1 · screening" in one.text for one in seen):
                    break
                await ann.says(f"{WEAK}, secretly")
                seen += await everything(ann, stage.courier)
            (png,) = [one for one in seen if "photo" in one.media]
            (pdf,) = [one for one in seen if "document" in one.media]
            assert png.data.startswith(b"\x89PNG") and pdf.data.startswith(b"%PDF")
            assert pdf.media["document"]["file_name"] == "interview-1.pdf"
            await bob.says("/report 1")
            (heard,) = await everything(bob, stage.courier)
            assert "no interview number 1" in heard.text and "secretly" not in heard.text
            await ann.says("/report 1")
            assert any("photo" in one.media for one in await everything(ann, stage.courier))
        assert server.violations == []


async def everything(person, courier):  # type: ignore[no-untyped-def]
    fresh = [await person.next_message()]
    await courier.drained()
    return fresh + [await person.next_message() for _ in person.unread()]


async def test_the_report_arrives_on_discord(library: Library, database: Path) -> None:
    """In a direct message, and hidden from the others after a slash command in a server."""
    clock = FakeClock()
    async with (
        world(library, database, clock=clock) as home,
        DiscordServer(contract=discord_contract(), now=lambda: clock().timestamp()) as server,
    ):
        async with at_discord(home, server) as stage:
            ann = server.person("Ann", guilds=(server.guild("Study"),))
            await ann.dm("/mock 10 screening")
            seen = await everything(ann, stage.courier)
            for _ in range(9):
                clock.move(minutes=1)
                if any("Interview 1" in one.text for one in seen):
                    break
                await ann.dm(WEAK)
                seen += await everything(ann, stage.courier)
            last = next(one for one in seen if one.files)
            assert set(last.files) == {"interview-1.png", "interview-1.pdf"}
            assert last.attachments[0].description.startswith("Competencies: ")
            assert last.buttons[0].startswith("Take “")
        assert server.violations == []
