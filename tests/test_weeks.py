"""The week of a learner and where they stand: golden texts, the picture, when the message comes, and how many queries it takes."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image
from sqlalchemy import event
from worlds import MONDAY, World, couriers, world

from bot import Place, Right, cards, days, progress, streaks, weeks
from bot.content import Library, Question, Syllabus, load
from bot.messages import Address, Message, Reply
from bot.model import Attempt, Finding, Grade, Learner, Past, Practised, Verdict
from bot.outbox import UNLIMITED
from bot.phrases import progress as standing_words
from bot.phrases import weeks as words
from bot.reports import Studio
from bot.reports.standing import draw, picture

BERLIN = "Europe/Berlin"
SUNDAY = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
"""18:00 in Berlin."""

SECTIONS = {"evaluation": "Model evaluation", "mlops": "MLOps", "features": "Feature engineering", "basics": "Basics"}


def _small() -> Library:
    """A library of four sections with three questions each, all of them like the median."""
    median = load(Path(__file__).parent / "packs/good").questions["median"]
    questions = {
        f"{section}-{number}": median.model_copy(update={"id": f"{section}-{number}", "title": f"{title} {number}", "section": section})
        for section, title in SECTIONS.items()
        for number in (1, 2, 3)
    }
    syllabus = Syllabus(
        SECTIONS, {"ml": "Machine learning interview"}, {"statistics": "Statistics - do you?"}, {"weak-statistics": "Weak statistics"}, {}
    )
    return Library(syllabus, questions)


SMALL = _small()


class History:
    """A learner's replies, told one by one; the day is counted back from Sunday evening."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    def replied(self, question: str, ago: float, *missing: str, words_: str = "the middle one of them all once they are sorted") -> History:
        asked = SMALL.questions[question]
        verdicts = tuple(
            Verdict(point.id, Finding.MISSING) if point.id in missing else Verdict(point.id, Finding.COVERED, words_, 0, len(words_), 1.0)
            for point in asked.points
        )
        whole = sum(point.weight for point in asked.points)
        score = round(100 * sum(point.weight for point in asked.points if point.id not in missing) / whole)
        at = SUNDAY - timedelta(days=ago)
        self.attempts.append(
            Attempt(f"a{len(self.attempts)}", "ann", "q", question, "", words_, at, 0, Grade(score, verdicts, (), "table 1"))
        )
        self.attempts.sort(key=lambda one: one.at)
        return self

    @property
    def practised(self) -> list[Practised]:
        return [Practised(one.at, BERLIN) for one in self.attempts]

    @property
    def past(self) -> list[Past]:
        return [Past(one.question, one.at, one.grade.score) for one in self.attempts]

    def week(self) -> weeks.Week:
        held = cards.fold({}, self.attempts, SMALL, Random(1))
        then = progress.scores_at(self.past, SUNDAY - weeks.WEEK)
        return weeks.week(self.attempts, self.practised, progress.scores(held), then, SMALL, SUNDAY)

    def told(self) -> Reply:
        return words.week(self.week(), streaks.replay(self.practised, [], days.local_day(SUNDAY, BERLIN)).count, SMALL)


def _full() -> History:
    """Three weeks; in the last one the core of a question is there for the first time."""
    return (
        History()
        .replied("evaluation-1", 20, "definition", "skew")
        .replied("evaluation-2", 19, "robust", "cost")
        .replied("mlops-1", 13, "definition")
        .replied("features-1", 12, "skew")
        .replied("evaluation-1", 5.2, "skew", words_="sort the salaries and take the person who stands in the middle")
        .replied("evaluation-2", 4.2)
        .replied("mlops-2", 3.2, "definition", "robust")
        .replied("mlops-3", 2.2, "definition")
        .replied("mlops-1", 2.1, "definition", "cost")
        .replied("basics-1", 1.2, "cost")
    )


# ---------------------------------------------------------------------------------------------- golden texts


def test_a_full_week_is_told_against_the_last_one() -> None:
    reply = _full().told()

    assert reply.text == (
        "Your week\n"
        "6 replies on 5 days, 69 of 100 on average; the week before 2 replies on 2 days, 75 of 100 on average.\n"
        "5 days in a row.\n"
        "\n"
        "Better: Model evaluation 50 → 94\n"
        "Model evaluation 1. You used to leave this out: The median is the middle value once all the values are sorted.\n"
        "This week you said “sort the salaries and take the person who stands in the middle”\n"
        "\n"
        "Weakest: MLOps 46 (fairly sure); Basics 88 (a guess from 1 question); Feature engineering 88 (a guess from 1 question)\n"
        "Why: Weak statistics: 3 of the points you missed.\n"
        "Do this: three questions on MLOps, one a day."
    )
    assert [(choice.label, choice.text) for row in reply.choices for choice in row] == [("Start: MLOps", "/next mlops")]


def test_a_thin_week_is_told_shortly() -> None:
    assert History().replied("evaluation-1", 9, "skew").replied("evaluation-2", 1.5, "definition").told().text == (
        "A small week\n"
        "1 reply on 1 day, 62 of 100; the week before 1 reply on 1 day, 88 of 100.\n"
        "1 day in a row.\n"
        "\n"
        "So far: Model evaluation 75 (a guess from 2 questions)\n"
        "Why: the core was missing in 1 of your replies. Say the main thing first.\n"
        "Do this: three questions on Model evaluation, one a day."
    )


def test_an_empty_week_is_told_kindly_and_shortly() -> None:
    reply = History().replied("evaluation-1", 9, "skew").told()

    assert reply.text == (
        "A quiet week\nNo replies, and nothing is lost: what is due waits, and never more than a few a day. Two minutes now?"
    )
    assert reply.choices[0][0].text == "/next"


def test_a_first_week_is_compared_with_nothing() -> None:
    assert History().replied("evaluation-1", 2.5, "skew").replied("features-2", 1.5, "cost").replied("mlops-1", 0.5).told().text == (
        "Your first week\n"
        "3 replies on 3 days, 92 of 100 on average. 3 days in a row.\n"
        "\n"
        "Weakest: Model evaluation 88 (a guess from 1 question); Feature engineering 88 (a guess from 1 question); "
        "MLOps 100 (a guess from 1 question)\n"
        "Why: nothing stands out; it is practice that counts.\n"
        "Do this: three questions on Model evaluation, one a day."
    )


def test_a_quote_is_only_of_a_point_that_was_missed_before() -> None:
    assert History().replied("evaluation-1", 5).replied("evaluation-1", 1).week().quote is None
    assert History().replied("evaluation-1", 5, "cost").week().quote is None
    long = "well " * 40
    assert History().replied("evaluation-1", 9, "cost").replied("evaluation-1", 1, words_=long).week().quote is None


# ---------------------------------------------------------------------------------------------- the picture


def _stand(history: History) -> progress.Stand:
    held = cards.fold({}, history.attempts, SMALL, Random(1))
    return progress.stand(held, history.past, history.practised, SUNDAY + timedelta(days=14), BERLIN, SMALL)


async def test_the_picture_is_as_wide_as_two_phones_drawn_once_and_every_number_in_it_is_in_the_text() -> None:
    standing, studio, drawn = _stand(_full()), Studio(), []

    def watched(what: Any) -> bytes:
        assert threading.current_thread() is not threading.main_thread(), "the conversation goes on meanwhile"
        drawn.append(what)
        return draw(what)

    try:
        first = await studio.drawn(watched, picture(standing, SMALL))
        again = await studio.drawn(watched, picture(_stand(_full()), SMALL))
        assert first is again
        assert len(drawn) == 1
        await studio.drawn(watched, picture(_stand(_full().replied("features-3", 0.1)), SMALL))
        assert len(drawn) == 2, "something changed"
    finally:
        studio.close()
    assert first is not None
    image = Image.open(io.BytesIO(first))
    assert (image.format, image.width) == ("PNG", 780)
    assert len(first) < 200_000
    told = standing_words.progress(standing, 10, 5, [], (3, 3), SMALL).text
    what = picture(standing, SMALL)
    for bar in what.bars:
        assert f"{bar.title}: {bar.level}" in told
        assert bar.before is None or f"(a month ago {bar.before})" in told
    assert f"oldest first: {', '.join(str(count) for count in standing.by_week)}" in told
    assert sum(standing.by_week) == sum(what.replies) == 10
    assert len(standing_words.seen(standing, SMALL)) <= 1000


def test_levels_say_how_sure_they_are() -> None:
    def sure(*scores: int) -> progress.Sure:
        many = {
            f"evaluation-{number}": SMALL.questions["evaluation-1"].model_copy(update={"id": f"evaluation-{number}"})
            for number in range(20)
        }
        (found,) = progress.sections({f"evaluation-{number}": score for number, score in enumerate(scores)}, Library(SMALL.syllabus, many))
        return found.sure

    assert sure(90, 10) is progress.Sure.GUESS
    assert sure(90, 10, 50) is progress.Sure.FAIRLY
    assert sure(*[70, 75, 80, 85] * 2) is progress.Sure.SURE
    assert sure(*[0, 100] * 5) is progress.Sure.FAIRLY, "many, but they say different things"


def test_every_sentence_about_weeks_fits_a_phone(library: Library) -> None:
    longest = max(library.questions.values(), key=lambda one: len(one.title))
    points = max(library.questions.values(), key=lambda one: sum(len(point.statement) for point in one.points))
    standing = [progress.Standing(id, 55.5, 2, progress.Sure.GUESS) for id in library.syllabus.sections]
    skills = [progress.Standing(id, 55.5, 2, progress.Sure.GUESS) for id in library.syllabus.competencies]
    whole = progress.Stand(tuple(standing), tuple(skills), {one.id: 44.4 for one in standing}, MONDAY.date(), (9,) * 84)
    weak = [progress.Weak(one, 40, tuple(point.id for point in one.points)) for one in (longest, points, points)]
    quote = weeks.Quote(longest.title, "s" * 400, "w" * 120)
    count, risen = weeks.Count(99, 7, 55.5), tuple((one.id, 10.0, 90.0) for one in standing[:2])
    told = weeks.Week(SUNDAY, count, count, risen, quote,
                      tuple(standing[:3]), "weak-statistics", 99, standing[0].id)  # fmt: skip
    for reply in (
        standing_words.progress(whole, 999, 365, weak, (99, 6), library), standing_words.nothing_yet(),
        *(words.week(replace(told, cause=cause), 365, library) for cause in (*library.syllabus.mistakes, "core", "false", "")),
        words.empty(), words.nothing_yet(), words.unclear(), words.settings(Learner("l", MONDAY, Address("c", "a", "a"))),
    ):  # fmt: skip
        assert 0 < len(reply.text) <= 1900, reply.text
        assert all(line == line.rstrip() for line in reply.text.split("\n"))
        for choice in (choice for row in reply.choices for choice in row):
            assert len(choice.label) <= 40


# ---------------------------------------------------------------------------------------------- when it comes


class Paper:
    """A platform that keeps what is sent to it."""

    platform, pace = "console", UNLIMITED

    def __init__(self) -> None:
        self.sent: list[tuple[str, Reply]] = []

    async def send(self, address: Address, reply: Reply, key: str, since: datetime | None = None) -> str:
        self.sent.append((key, reply))
        return str(len(self.sent))


async def _tick(home: World, at: datetime, paper: Paper) -> list[Reply]:
    """What comes by itself at this time."""
    home.clock.at = at
    before = len(paper.sent)
    await home.coach.deliver_due(["console"])
    async with couriers(home, [paper]) as courier:
        courier.wake()
        await courier.drained()
    return [reply for key, reply in paper.sent[before:] if key.startswith(("week:", "board:"))]


async def test_the_week_comes_at_its_time_and_after_two_empty_ones_no_more_until_they_return(library: Library, url: str) -> None:
    paper = Paper()
    async with world(library, "", url=url) as home:
        await home.says("/daily off")
        await home.says("/zone Berlin")
        await home.says("/next precision")
        await home.says("precision is TP / (TP + FP)")
        first = datetime(2026, 11, 29, 17, 0, 1, tzinfo=UTC)
        assert await _tick(home, first - timedelta(minutes=1), paper) == []
        (reply,) = await _tick(home, first, paper)
        assert reply.text.startswith("Your first week\n1 reply on 1 day")
        assert [file.picture for file in reply.files] == [True]
        assert await _tick(home, first + timedelta(seconds=5), paper) == []
        for week in (1, 2):
            (reply,) = await _tick(home, first + week * weeks.WEEK, paper)
            assert reply.text.startswith("A quiet week")
        assert await _tick(home, first + 3 * weeks.WEEK, paper) == []
        assert await _tick(home, first + 4 * weeks.WEEK, paper) == []
        await home.says("/next recall")
        await home.says("recall is TP / (TP + FN)")
        (reply,) = await _tick(home, first + 5 * weeks.WEEK, paper)
        assert reply.text.startswith("A small week\n1 reply on 1 day")
        assert "the week before none." in reply.text
        assert await _tick(home, first + 6 * weeks.WEEK + timedelta(days=3), paper) == [], "days too late it is left out"
        await home.says("/pause")
        assert await _tick(home, first + 7 * weeks.WEEK, paper) == [], "nobody who rests is reminded"


async def test_the_week_is_set_shown_and_switched_off(library: Library, database: Path) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await home.says("/week")
        assert "There is no week to look back on yet" in home.heard
        await home.says("/week friday 7:30")
        assert home.heard == "Your week comes every Friday at 07:30."
        for wrong in ("/week whenever", "/week sat sun", "/week sat 25:00"):
            await home.says(wrong)
            assert "When shall it come?" in home.heard
        await home.says("/next precision")
        await home.says("precision is TP / (TP + FP)")
        await home.says("/week")
        assert "Your first week" in home.heard
        await home.taps("Start: Model evaluation")
        assert home.heard.startswith("Question · Model evaluation")
        learner = (await home.store.recall(home.address)).learner
        assert learner is not None
        assert learner.next_week_at == datetime(2026, 11, 27, 7, 30, tzinfo=UTC)
        await home.says("/week sat 23:30")
        night = datetime(2026, 11, 28, 23, 30, 1, tzinfo=UTC)
        (reply,) = await _tick(home, night, paper)
        assert reply.text.startswith("Your first week"), "they chose the hour, however late it is"
        home.clock.at = MONDAY + timedelta(hours=1)
        await home.says("/week off")
        assert "No weekly message any more" in home.heard
        assert await _tick(home, datetime(2026, 11, 27, 7, 31, tzinfo=UTC), paper) == []


async def test_ten_thousand_weeks_are_planned_in_one_query_a_batch(library: Library, database: Path) -> None:
    counted: list[str] = []
    at = SUNDAY - timedelta(seconds=1)
    async with world(library, database) as home:
        await home.says("/help")
        with sqlite3.connect(database) as connection:
            names = "id joined_at home_platform home_user home_chat zone tracks level expecting reachable next_week_at".split()  # noqa: SIM905
            zones = (BERLIN, "America/New_York", "Asia/Kolkata")
            stamp = f"{at:%Y-%m-%d %H:%M:%S.%f}"
            rows = [(f"l{n}", stamp, "paper", f"u{n}", f"u{n}", zones[n % 3], "", 3, "", 1, stamp) for n in range(10_000)]
            connection.executemany(f"INSERT INTO learner ({','.join(names)}) VALUES ({','.join('?' * len(names))})", rows)
            practised = [(f"l{n}", f"{at - timedelta(days=n % 40):%Y-%m-%d %H:%M:%S.%f}", BERLIN) for n in range(10_000)]
            connection.executemany("INSERT INTO practised (learner, at, zone) VALUES (?, ?, ?)", practised)
        engine = home.store.base.engine
        event.listen(engine, "before_cursor_execute", lambda _c, _cur, statement, *_: counted.append(statement))
        home.clock.at = SUNDAY
        await home.coach.deliver_due(["paper"])
        planned = [one for one in counted if "next_week_at" in one and "practised" in one and one.startswith("SELECT")]
        written = [one for one in counted if one.startswith(("INSERT", "UPDATE learner"))]
        assert len(planned) == 10_000 // 200
        assert len(written) <= 2 * 10_000 // 200
        assert not any(one.startswith("SELECT") and "FROM attempt" in one for one in counted)
        with sqlite3.connect(database) as connection:
            (owed,) = connection.execute("SELECT count(*) FROM outbox WHERE kind = 'week'").fetchone()
            (late,) = connection.execute(
                "SELECT count(*) FROM learner WHERE next_week_at <= ?", (f"{SUNDAY:%Y-%m-%d %H:%M:%S.%f}",)
            ).fetchone()
    assert owed == sum(n % 40 < 21 for n in range(10_000)), "those who practised in this week or one of the two before"
    assert late == 0


# ---------------------------------------------------------------------------------------------- a server's week


async def test_a_server_that_asked_for_it_gets_its_board_every_week_without_anybodys_text(library: Library, database: Path) -> None:
    paper = Paper()
    managing = Place("server", "channel", frozenset(Right))

    async with world(library, database) as home:

        async def says(who: str, text: str, **given: str) -> str:
            message = Message(
                f"{who}{home.keys()}", Address("console", who, who), text, home.clock(), False, place=managing, name=who, given=given
            )
            return "\n".join(reply.text for reply in await home.coach.handle(message))

        assert "Weekly board: Sundays at 18:00" in await says("ann", "/quiz setup", zone="Berlin", weekly="sunday 18:00")
        assert "When shall the board come?" in await says("ann", "/quiz setup", weekly="now and then")
        await says("ann", "/quiz start precision")
        (opened,) = await home.store.rounds_open("console", "server")
        for who in ("bob", "cyd"):
            await says(who, f"/quiz reply {opened.id}", reply=f"precision is TP / (TP + FP), says {who}")
        home.clock.move(minutes=11)
        for _ in range(200):
            await home.coach.deliver_due(["console"])
            if (one := await home.store.round(opened.id)) is not None and one.stage.value == "revealed":
                break
            await asyncio.sleep(0.01)
        (board,) = await _tick(home, datetime(2026, 11, 29, 17, 0, 1, tzinfo=UTC), paper)
        assert board.text.startswith("The week on this server\n\n🥇 bob · ")
        assert "cyd" in board.text
        assert "TP" not in board.text
        assert await _tick(home, datetime(2026, 12, 6, 17, 0, 1, tzinfo=UTC), paper) == [], "nothing happened that week"
        await says("ann", "/quiz setup", weekly="off")
        assert (await home.store.setup("console", "server")).next_board_at is None  # type: ignore[union-attr]


def test_the_questions_of_this_file_have_points_with_a_mistake() -> None:
    question: Question = SMALL.questions["mlops-1"]
    assert question.points[0].mistakes == ("weak-statistics",)
