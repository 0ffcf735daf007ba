"""What is asked next: ratings, cards, the choice and the plan towards an interview, as histories."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import fmean

import fsrs
import pytest
import simulated
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import MONDAY, FakeClock, World, packs, sql, world

from bot import cards, plans, reviews
from bot.content import Library, Question
from bot.messages import Address, Reply
from bot.model import Attempt, Card, Changes, Finding, Grade, Lately, Learner, PointRecord, Reason, Verdict
from bot.phrases import reviews as words
from bot.plans import DAILY, LIGHT
from bot.reviews import Known

LIBRARY = packs()
LEARNER = Learner("ann", MONDAY, Address("console", "ann", "ann"))
PRECISION = LIBRARY.questions["precision"]
SECTIONS = LIBRARY.sections()


def grade(question: Question, missing: tuple[str, ...] = (), score: int | None = None) -> Grade:
    """A grade in which these points are missing, with the score that follows."""
    verdicts = tuple(
        Verdict(one.id, Finding.MISSING) if one.id in missing else Verdict(one.id, Finding.COVERED, "w", 0, 1, 1.0)
        for one in question.points
    )
    whole = sum(one.weight for one in question.points)
    earned = round(100 * sum(one.weight for one in question.points if one.id not in missing) / whole)
    return Grade(earned if score is None else score, verdicts, (), "table 1")


def attempt(question: Question, at: datetime, given_grade: Grade, followup: str = "", hints: int = 0) -> Attempt:
    return Attempt(f"a{at:%d%H%M}", "ann", "q", question.id, followup, "w", at, hints, given_grade)


def card(question: str, *, ago: float, due_in: float, score: int = 80, missed: tuple[str, ...] = (), stability: float = 10.0) -> Card:
    """A card that was reviewed so many days ago and is due in so many."""
    at = MONDAY - timedelta(days=ago)
    points = tuple(PointRecord(point, 1, 1, Finding.MISSING) for point in missed)
    return Card("ann", question, MONDAY + timedelta(days=due_in), at, at, stability, 5.0, score, 1, 0, points)


def known(*held: Card, lately: list[Lately] | None = None) -> Known:
    asked = lately if lately is not None else [Lately(one.question, one.reviewed_at) for one in held]
    return Known({one.question: one for one in held}, sorted(asked, key=lambda one: one.at))


def of(section: str) -> list[str]:
    return [one.id for one in LIBRARY.about(section)]


# ---------------------------------------------------------------------------------------------- cards


@pytest.mark.parametrize(
    ("score", "ratings"),
    [(100, "Easy Good Hard Hard"), (85, "Easy Good Hard Hard"), (84, "Good Hard Hard Hard"), (60, "Good Hard Hard Hard"),
     (59, "Hard Again Again Again"), (40, "Hard Again Again Again"), (39, "Again Again Again Again"), (0, "Again Again Again Again")],
)  # fmt: skip
def test_score_and_hints_map_to_a_rating_by_one_table(score: int, ratings: str) -> None:
    assert " ".join(cards.rating(score, hints).name for hints in range(4)) == ratings


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 2), st.integers(0, 90 * 24)), min_size=1, max_size=12), st.integers(0, 99))
def test_a_card_is_what_the_library_makes_of_its_ratings_and_its_fuzz_comes_from_the_chance_given(
    history: list[tuple[int, int, int]], seed: int
) -> None:
    scheduler = fsrs.Scheduler(learning_steps=(), relearning_steps=(), enable_fuzzing=False)
    theirs, ours, again, at = fsrs.Card(card_id=1), None, None, MONDAY
    rng, twin = Random(seed), Random(seed)
    for score, hints, hours in history:
        at += timedelta(hours=hours)
        theirs, _ = scheduler.review_card(theirs, cards.rating(score, hints), at)
        ours = cards.reviewed(ours, "ann", "precision", score, hints, at, rng)
        again = cards.reviewed(again, "ann", "precision", score, hints, at, twin)
        assert ours == again
        assert (ours.stability, ours.difficulty, ours.reviewed_at) == (theirs.stability, theirs.difficulty, at)
        wanted, got = (theirs.due - at).days, (ours.due - at).days
        assert got >= 1
        assert abs(got - wanted) <= (0 if wanted < 3 else 1.5 + 0.15 * wanted)
    assert ours is not None
    assert ours.reviews == len(history)
    assert 0 < cards.retrievability(ours, at + timedelta(days=400)) < cards.retrievability(ours, at + timedelta(days=2)) <= 1


def test_cards_that_were_begun_together_do_not_come_back_together() -> None:
    first = cards.reviewed(None, "ann", "precision", 95, 0, MONDAY, Random(0))
    again = [cards.reviewed(first, "ann", "precision", 95, 0, MONDAY + timedelta(days=20), Random(seed)) for seed in range(40)]
    assert len({one.due for one in again}) > 5
    assert len({one.stability for one in again}) == 1


def test_attempts_are_folded_into_cards_and_points_are_counted() -> None:
    missing = PRECISION.points[-1].id
    first = attempt(PRECISION, MONDAY, grade(PRECISION, (missing,)))
    lacking = next((one for one in PRECISION.followups if one.when.startswith("missing:")), None)
    assert lacking is not None
    held = cards.fold({}, [first], LIBRARY, Random(1))["precision"]
    assert [one.point for one in cards.missed(held, PRECISION)] == [missing]
    untold = replace(first, id="x", at=MONDAY + timedelta(days=1), grade=Grade(None, (), (), "t"))
    kept = cards.fold({"precision": held}, [untold], LIBRARY, Random(1))["precision"]
    assert (kept.due, kept.reviews, kept.seen_at) == (held.due, 1, untold.at), "what can't be graded is no review"
    soon = attempt(PRECISION, MONDAY + timedelta(minutes=2), Grade(90, (), (), "t"), followup=lacking.id)
    assert cards.fold({"precision": held}, [soon], LIBRARY, Random(1))["precision"].reviews == 1, "a follow-up at once is the same review"
    later = cards.fold({"precision": held}, [replace(soon, at=MONDAY + timedelta(days=3))], LIBRARY, Random(1))["precision"]
    assert (later.reviews, later.score) == (2, held.score)
    point = lacking.when.partition(":")[2]
    assert next(one for one in later.points if one.point == point).last is Finding.COVERED
    assert cards.fold({}, [replace(first, question="gone")], LIBRARY, Random(1)) == {}


# ---------------------------------------------------------------------------------------------- the choice


def test_what_is_due_comes_before_what_is_weak_and_that_before_what_is_new() -> None:
    weak = [card(id, ago=5 + number, due_in=9, score=30) for number, id in enumerate(of("mlops")[:3])]
    strong = [card(id, ago=5.5 + number, due_in=9, score=90) for number, id in enumerate(of("evaluation")[:3])]
    due = card(of("features")[0], ago=12, due_in=-2)
    lately = [Lately(one.question, one.reviewed_at) for one in (*weak, *strong, due)]

    def reason(*held: Card) -> tuple[Reason, str]:
        pick = reviews.choose(LIBRARY, LEARNER, known(*held, lately=lately), MONDAY, Random(0))
        assert pick is not None
        return pick.reason, pick.question.section

    assert reason(*weak, *strong, due) == (Reason.DUE, "features")
    assert reason(*weak, *strong) == (Reason.WEAK, "mlops")
    assert reason(*strong)[0] is Reason.NEW
    assert reason(*weak[:2], *strong)[0] is Reason.NEW, "two questions are too little evidence"


def test_something_new_is_nearest_to_the_level() -> None:
    for level in (1, 3, 5):
        pick = reviews.choose(LIBRARY, replace(LEARNER, level=level), known(), MONDAY, Random(level))
        assert pick is not None
        assert abs(pick.question.level - level) == min(abs(one.level - level) for one in LIBRARY.questions.values())


def _history(draw: st.DrawFn) -> tuple[Learner, Known]:
    ids = draw(st.lists(st.sampled_from(sorted(LIBRARY.questions)), max_size=40, unique=True))
    held, lately = [], []
    for id in ids:
        ago = draw(st.floats(0, 60))
        lately.append(
            Lately(id, MONDAY - timedelta(days=ago), draw(st.integers(0, 2)), "", draw(st.sampled_from(["", "due", "weak", "new"])))
        )
        if draw(st.booleans()):
            points = tuple(one.id for one in LIBRARY.questions[id].points[: draw(st.integers(0, 2))])
            held.append(card(id, ago=ago, due_in=draw(st.floats(-90, 30)), score=draw(st.integers(0, 100)), missed=points))
    tracks = draw(st.frozensets(st.sampled_from(sorted(LIBRARY.syllabus.tracks)), max_size=2))
    interview = draw(st.none() | st.integers(0, 40).map(lambda ahead: MONDAY.date() + timedelta(days=ahead)))
    return replace(LEARNER, tracks=tracks, level=draw(st.integers(1, 5)), interview_on=interview), known(*held, lately=lately)


histories = st.composite(_history)


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(0, 9))
def test_whatever_was_before_the_choice_keeps_its_rules(history: tuple[Learner, Known], seed: int) -> None:
    """A day of twelve questions: none that rests, none thrice of a kind, no wall of what is due, never the last wording."""
    learner, state = history
    lately = list(state.lately)
    due_asked = 0
    for number in range(12):
        now = MONDAY + timedelta(minutes=5 * number)
        pick = reviews.choose(LIBRARY, learner, Known(state.cards, lately), now, Random(seed))
        resting = {one.question for one in lately if now - one.at < reviews.REST}
        allowed = [one for one in reviews.eligible(LIBRARY, learner) if one.id not in resting]
        if pick is None:
            eve = learner.interview_on is not None and (learner.interview_on - MONDAY.date()).days <= 1
            assert not allowed or eve
            return
        assert pick.question in allowed
        before = [LIBRARY.questions[one.question].section for one in lately[-2:]]
        if len(before) == 2 and before[0] == before[1] == pick.question.section:
            assert {one.section for one in allowed} == {pick.question.section}
        reasons = [one.reason for one in lately[-2:]]
        if reasons == [pick.reason.value] * 2 and pick.reason is not Reason.EARLY:
            others = [one for one in allowed if one.section != pick.question.section]
            fresh = [one for one in others if one.id not in state.cards and one.id not in {at.question for at in lately}]
            assert pick.reason is Reason.NEW or not fresh or learner.interview_on or len(state.cards) > DAILY
        wording = reviews.wording(lately, pick.question)
        assert wording not in [one.wording for one in lately if one.question == pick.question.id][-1:]
        due_asked += pick.reason is Reason.DUE
        assert due_asked <= DAILY
        lately.append(Lately(pick.question.id, now, wording, pick.followup, pick.reason.value))


def test_after_a_gap_there_is_no_wall_the_most_valuable_come_first_and_nothing_new_is_begun() -> None:
    """Forty cards fell due while somebody was away."""
    ids = [id for section in SECTIONS for id in of(section)][:40]
    held = [card(id, ago=60 + number, due_in=-50 - number % 7, score=30 + number, stability=2 + number) for number, id in enumerate(ids)]
    state = known(*held)
    assert reviews.owed_today(LIBRARY, LEARNER, state, MONDAY) == (40, DAILY)
    lately, picks = list(state.lately), []
    for number in range(15):
        now = MONDAY + timedelta(minutes=5 * number)
        pick = reviews.choose(LIBRARY, LEARNER, Known(state.cards, lately), now, Random(1))
        assert pick is not None
        picks.append(pick)
        lately.append(Lately(pick.question.id, now, 1, "", pick.reason.value))
    due = [one for one in picks if one.reason is Reason.DUE]
    assert len(due) == DAILY
    assert Reason.NEW not in {one.reason for one in picks}
    left = {one.id for one in LIBRARY.questions.values() if one.id in ids} - {one.question.id for one in due}
    worth = {id: 1 - cards.retrievability(state.cards[id], MONDAY) for id in ids}
    assert fmean(worth[one.question.id] for one in due) > fmean(worth[id] for id in left)


def test_a_card_that_failed_for_one_point_comes_back_asking_for_that_point() -> None:
    lacking = next(one for one in PRECISION.followups if one.when.startswith("missing:"))
    point = lacking.when.partition(":")[2]
    other = next(one.id for one in PRECISION.points if one.id != point)

    def pick(*missed: str, times: int = 1, score: int = 70) -> reviews.Pick:
        held = card("precision", ago=5, due_in=-1, score=score, missed=missed)
        held = replace(held, points=tuple(replace(one, missed=times) for one in held.points))
        found = reviews.choose(LIBRARY, LEARNER, known(held), MONDAY, Random(0))
        assert found is not None
        return found

    assert (pick(point).focus, pick(point).followup) == (point, lacking.id)
    assert (pick(point, other).focus, pick(point, other).followup) == ("", "")
    assert pick(point, other, times=2).focus in (point, other)
    assert pick(point, other, times=2).followup == "", "the whole question, with its eye on that point"
    assert pick(point, score=20).focus == "", "what failed altogether is asked whole"


def test_by_hand_weak_new_and_a_topic_are_chosen() -> None:
    held = [card(of("mlops")[0], ago=5, due_in=9, score=30), card(of("evaluation")[0], ago=5, due_in=-1, score=95)]
    state = known(*held)

    def pick(**how: object) -> reviews.Pick:
        found = reviews.choose(LIBRARY, LEARNER, state, MONDAY, Random(0), **how)  # type: ignore[arg-type]
        assert found is not None
        return found

    assert pick().reason is Reason.DUE
    assert pick(wish=Reason.WEAK).question.id == of("mlops")[0]
    assert pick(wish=Reason.NEW).question.id not in state.cards
    assert pick(section="features").question.section == "features"
    tired = Known({}, [Lately(id, MONDAY, 0) for id in of("features")])
    named = reviews.choose(LIBRARY, LEARNER, tired, MONDAY, Random(0), section="features")
    assert named is not None, "they name it"
    assert reviews.choose(LIBRARY, LEARNER, Known({}, [Lately(id, MONDAY, 0) for id in LIBRARY.questions]), MONDAY, Random(0)) is None


# ---------------------------------------------------------------------------------------------- the interview


def _days(today: date) -> list[tuple[str, date | None]]:
    return [
        ("2027-01-15", date(2027, 1, 15)), ("15.1.2027", date(2027, 1, 15)), ("15 January", date(2027, 1, 15)),
        ("Jan 15, 2027", date(2027, 1, 15)), ("15th of january 2027", date(2027, 1, 15)), ("december 1", date(2026, 12, 1)),
        ("tomorrow", today + timedelta(days=1)), ("in 3 weeks", today + timedelta(days=21)), ("10 days", today + timedelta(days=10)),
        ("2027-02-30", None), ("soon", None), ("", None), ("31.2.", None), ("foo 12", None),
    ]  # fmt: skip


@pytest.mark.parametrize(("said", "day"), _days(MONDAY.date()))
def test_days_as_people_write_them(said: str, day: date | None) -> None:
    assert plans.day_of(said, MONDAY.date()) == day


def test_the_plan_covers_every_core_question_raises_what_is_wanted_and_is_light_at_the_end() -> None:
    """Somebody with 25 days does each day what the plan says."""
    learner = replace(simulated.LEARNER, tracks=frozenset({"ml"}), interview_on=simulated.BEGAN.date() + timedelta(days=25))
    wanted = [plans.plan(LIBRARY, learner, (), learner.interview_on - timedelta(days=left)) for left in (60, 28, 14, 1, 0)]  # type: ignore[operator]
    retention = [one.wanted for one in wanted if one is not None]
    assert retention[0] == retention[1] == cards.WANTED
    assert retention == sorted(retention)
    assert retention[-1] == plans.HIGHEST

    run = simulated.coached(LIBRARY, frozenset({"mlops"}), 3, 10, span=26, learner=learner)

    core = {one.id for one in plans.core(LIBRARY, learner)}
    assert core <= {pick.question.id for at, pick in run.picks if at.date() < learner.interview_on}  # type: ignore[operator]
    eve = [pick for at, pick in run.picks if (learner.interview_on - at.date()).days == 1]  # type: ignore[operator]
    assert len(eve) == LIGHT
    assert Reason.NEW not in {one.reason for one in eve}
    assert run.most_due <= DAILY


def test_a_plan_with_too_few_days_says_what_it_leaves_out() -> None:
    learner = replace(LEARNER, interview_on=MONDAY.date() + timedelta(days=4))
    plan = plans.plan(LIBRARY, learner, ("precision",), MONDAY.date())
    assert plan is not None
    assert len(plan.new) == 3 * DAILY
    assert len(plan.new) + len(plan.left_out) == plan.core - 1
    assert {one.section for one in plan.new} == set(SECTIONS), "no section is left out whole"
    assert "Honestly, the days are too few" in words.plan(plan, 3, 3).text
    tomorrow = plans.plan(LIBRARY, replace(learner, interview_on=MONDAY.date() + timedelta(days=1)), (), MONDAY.date())
    assert tomorrow is not None
    assert tomorrow.new == ()
    assert plans.plan(LIBRARY, learner, (), MONDAY.date() + timedelta(days=5)) is None


# ---------------------------------------------------------------------------------------------- learners over half a year


def test_the_coachs_order_leaves_a_simulated_learner_stronger_where_they_were_weak() -> None:
    """A small seeded run of what the benchmark measures; no due card starves and no day exceeds its number."""
    weak = frozenset({"mlops", "evaluation"})
    for seed in (1,):
        run = simulated.coached(LIBRARY, weak, seed, 2)
        assert run.strength > simulated.ordered(LIBRARY, weak, seed, 2, shuffled=True)
        assert run.strength > simulated.ordered(LIBRARY, weak, seed, 2, shuffled=False)
        assert run.most_due <= DAILY
        assert max(run.waits) < 45
    gap = simulated.coached(LIBRARY, weak, 3, 6, span=120, at_work=lambda day: not 40 <= day < 80)
    assert gap.most_due <= DAILY


# ---------------------------------------------------------------------------------------------- as a conversation

GOOD = PRECISION.answer


@pytest.fixture
async def home(library: Library, database: Path):  # type: ignore[no-untyped-def]
    async with world(library, database, clock=FakeClock(datetime(2026, 11, 23, 12, tzinfo=UTC))) as one:
        yield one


async def _says(home: World, *texts: str) -> str:
    for one in texts:
        home.clock.move(seconds=30)
        await home.says(one)
    return home.heard


async def test_one_missing_point_is_asked_for_again_days_later_and_then_rests(home: World) -> None:
    lacking = next(one for one in PRECISION.followups if one.when.startswith("missing:"))
    point = lacking.when.partition(":")[2]
    store = home.store
    await _says(home, "/next precision", GOOD)
    last = await store.last_attempt((await store.recall(home.address)).learner.id)  # type: ignore[union-attr]
    assert last is not None
    await _says(home, "/progress")
    assert (await store.cards(last.learner))[1] == []
    changed = replace(last, grade=grade(PRECISION, (point,), 72))
    memory = await store.recall(home.address)
    await store.record("regraded", home.address, Changes(also=(changed,), seen=memory.seen), [], home.clock())
    home.clock.move(days=15)
    heard = await _says(home, "/next")
    assert "One point was missing here last time. Just that one:" in heard
    assert lacking.prompt[:30] in heard
    assert "/100" in await _says(home, " ".join(one.statement for one in lacking.points))
    held, fresh = await store.cards(last.learner)
    assert fresh != []
    await _says(home, "/progress")
    held, fresh = await store.cards(last.learner)
    assert fresh == [], "what was folded is kept"
    assert cards.missed(held["precision"], PRECISION) == []
    assert held["precision"].reviews == 2
    assert "1 day in a row" in await _says(home, "/streak"), "it is a question of its own"


async def test_cards_are_made_again_when_two_chats_are_linked_and_when_they_part(home: World) -> None:
    other = Address("telegram", "7", "7")
    await _says(home, "/next precision", GOOD, "/progress")
    home.clock.move(seconds=30)
    for said in ("/next recall", "recall is TP / (TP + FN)", "/progress"):
        await home.says(said, address=other)
    await _says(home, "/link")
    code = re.search(r"/link ([A-Z-]+)", home.heard)
    assert code is not None
    await home.says(f"/link {code.group(1)}", address=other)
    assert "2 replies graded" in await _says(home, "/progress")
    learner = (await home.store.recall(other)).learner
    assert learner is not None
    held, fresh = await home.store.cards(learner.id)
    assert (set(held), fresh) == ({"precision", "recall"}, [])
    await home.says("/unlink", address=other)
    await home.says("/progress", address=other)
    assert "2 replies graded" in home.heard


async def test_weak_and_new_are_asked_for_by_hand_and_nothing_is_asked_twice_a_day(home: World) -> None:
    heard = await _says(home, "/next weak")
    assert heard.startswith("I know of nothing weak yet, so here is another one.")
    await _says(home, "no idea what this could possibly mean at all")
    first = (await home.store.recall(home.address)).past[-1].question
    home.clock.move(days=3)
    heard = await _says(home, "/next weak")
    assert home.library.questions[first].title in heard or home.library.questions[first].wording(1)[:40] in heard
    asked = {first}
    home.clock.move(days=1)
    for _ in range(30):
        await _says(home, "/next new")
        asked.add((await home.store.recall(home.address)).lately[-1].question)
    assert len(asked) >= 30
    assert "Question · " in await _says(home, "/next mlops")


async def test_a_countdown_is_planned_shown_and_ended(home: World) -> None:
    await _says(home, "/daily 09:00")
    heard = await _says(home, "/interview 2027-01-15")
    assert heard.startswith("Your interview: Friday 15 January, in 53 days\n0 of ")
    assert re.search(r"\d+ are still new: \d new questions? a day covers? all of it in time", heard)
    assert "Your interview: Friday" in await _says(home, "/interview")
    assert "Which day?" in await _says(home, "/interview someday")
    assert "has passed" in await _says(home, "/interview 2020-01-01")
    assert "more than two years" in await _says(home, "/interview 2031-01-01")
    assert "the days are too few" in await _says(home, "/interview in 3 days")
    home.clock.at = datetime(2026, 11, 24, 9, 0, 5, tzinfo=UTC)
    await home.coach.deliver_due(["console"])
    while (owed := (await home.store.claim(["console"], home.clock(), 5))[0]).kind != "daily":
        await home.store.settle(owed, "sent", home.clock())
    reply = await home.coach.compose(owed)
    assert reply is not None
    assert reply.text.startswith("In 2 days: today 6 new questions and 0 due.")
    home.clock.move(days=1)
    for _ in range(LIGHT):
        assert "Question · " in await _says(home, "/next")
    assert "3 are enough on the eve of an interview" in await _says(home, "/next")
    assert "Question · " in await _says(home, "/next mlops")
    assert "No interview ahead" in await _says(home, "/interview off")
    assert "When is your interview?" in await _says(home, "/interview")


async def test_which_attempts_are_in_no_card_is_found_in_an_index(home: World) -> None:
    await _says(home, "/next precision", GOOD)
    plan = """EXPLAIN QUERY PLAN SELECT attempt.id FROM attempt LEFT JOIN card ON card.learner = attempt.learner AND
        card.question = attempt.question WHERE attempt.learner = 'x' AND (card.question IS NULL OR attempt.at > card.seen_at)"""
    steps = " ".join(str(row[3]) for row in await sql(home.store, plan))
    assert "SEARCH attempt USING INDEX ix_attempt_learner" in steps
    assert "SEARCH card USING INDEX" in steps


def test_every_sentence_about_the_choice_fits_a_phone() -> None:
    longest = max(LIBRARY.questions.values(), key=lambda one: len(one.title))
    many = plans.Plan(date(2027, 12, 15), 385, 275, (longest,) * 200, 6, (longest,) * 60)
    said: list[Reply] = [
        words.plan(many, 99, 6), words.plan(replace(many, left=1, new=(), today=0), 0, 0), words.plan(replace(many, left=0), 1, 1),
        words.asked_all(), words.enough(), words.no_interview(), words.no_interview_any_more(), words.interview_unclear(),
        words.interview_past(date(2020, 1, 1)), words.interview_far(),
    ]  # fmt: skip
    for reply in said:
        assert 0 < len(reply.text) <= 900
        assert all(line == line.rstrip() for line in reply.text.split("\n"))
    for question in LIBRARY.questions.values():
        for point in question.points:
            cue = "".join(span.text for span in words.cue(point))
            assert len(cue) < 140
            assert point.statement not in cue
