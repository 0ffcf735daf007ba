"""Voice notes in the conversation: heard, shown, corrected, graded; and questions that are read aloud."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from voiced import GOOD, Hum, Paper, Running, Told, room
from worlds import ANN, FakeClock, World, couriers, incidents

from bot.content import Library
from bot.errors import FetchError
from bot.grading.plain import PlainGrader
from bot.messages import Address
from bot.speech import Reason
from bot.speech.sound import LARGEST, LONGEST
from bot.voices import Speech
from bot.voices.speaker import Speaker


async def begun(home: World) -> None:
    await home.says("/start")
    await home.says("/track all 3")
    await home.says("/cancel")
    await home.says("/next precision")


async def test_a_voice_note_is_shown_first_and_graded_when_the_learner_says_so(library: Library, database: Path) -> None:
    """What was heard comes with three buttons; *Grade it* grades it as spoken, with its pace; a second press finds it done."""
    async with room(library, database, listener=Told(draft=True)) as home:
        await begun(home)
        await home.speaks(GOOD)
        assert home.heard.startswith(f"I heard\n\n{GOOD}")
        assert "rough draft" in home.heard
        shown = home.hears
        assert [choice.label for choice in shown[0].choices[0]] == ["Grade it", "Edit", "Say again"]
        memory = await home.store.recall(ANN)
        assert memory.learner is not None
        assert not memory.past
        said_at = home.clock()
        home.clock.move(minutes=3)
        await home.taps("Grade it")
        assert "/100 · Precision · spoken" in home.heard
        assert "120 words a minute" in home.heard
        assert "2 fillers, longest pause 1.3 s, 21 s in all" in home.heard
        attempt = await home.store.last_attempt(memory.learner.id)
        assert attempt is not None
        assert (attempt.spoken, attempt.text, attempt.at) == (True, GOOD, said_at)
        typed = await PlainGrader().grade(library.questions["precision"], GOOD)
        assert attempt.grade.score == typed.score
        home.hears = shown
        await home.taps("Grade it")
        assert "done with that voice note" in home.heard


async def test_a_voice_note_is_corrected_or_said_again(library: Library, database: Path) -> None:
    """*Edit* takes the next text as what was said, *Say again* throws it away, and only the latest is kept."""
    async with room(library, database, listener=Told(draft=True)) as home:
        await begun(home)
        first = await home.speaks("Addam is a rock curve.")
        await home.taps("Say again")
        assert "Thrown away" in home.heard
        home.hears = first
        await home.taps("Grade it")
        assert "done with that voice note" in home.heard
        older = await home.speaks("of all the posts we elated")
        newer = await home.speaks("of all the posts we deleted")
        home.hears = older
        await home.taps("Edit")
        assert "latest voice note only" in home.heard
        home.hears = newer
        await home.taps("Edit")
        assert "of all the posts we deleted" in home.heard
        await home.says("/hint")  # a command meanwhile corrects nothing
        assert "Hint 1" in home.heard
        home.hears = newer
        await home.taps("Edit")
        await home.says(GOOD)
        assert "Precision · spoken" in home.heard
        memory = await home.store.recall(ANN)
        assert memory.learner is not None
        assert memory.learner.expecting == ""
        attempt = await home.store.last_attempt(memory.learner.id)
        assert attempt is not None
        assert (attempt.spoken, attempt.text) == (True, GOOD)
        await home.says("/next recall")
        third = await home.speaks("something")
        await home.taps("Edit")
        await home.says("/cancel")
        await home.says("/skip")
        home.hears = third
        await home.taps("Grade it")
        assert "closed" in home.heard
        assert len((await home.store.recall(ANN)).past) == 1


async def test_who_wants_that_is_graded_at_once_but_never_from_a_rough_draft(library: Library, database: Path) -> None:
    """After /voice at once a transcript stands above its grade; a draft is shown first all the same."""
    async with room(library, database, listener=Told()) as home:
        await begun(home)
        await home.says("/settings")
        await home.taps("Voice")
        await home.taps("Grade at once")
        assert "at once" in home.heard
        await home.speaks(GOOD)
        assert home.hears[0].text == f"I heard\n\n{GOOD}"
        assert "Precision · spoken" in home.hears[1].text
        await home.says("/settings")
        assert "voice notes graded at once" in home.heard
    async with room(library, database, listener=Told(draft=True)) as home:
        await home.says("/next recall")
        await home.speaks("the share of positives that we find")
        assert "rough draft" in home.heard
        assert len((await home.store.recall(ANN)).past) == 1
        await home.says("/voice at once")
        assert "rough draft" in home.heard
        await home.says("/voice first")
        assert "you say when to grade it" in home.heard


async def test_what_is_of_no_use_is_told_and_costs_nothing(library: Library, database: Path) -> None:
    """A recording that can't be used gets its sentence; no attempt is recorded, and the question stays open."""
    listener = Told()
    async with room(library, database, listener=listener) as home:
        await home.speaks("hello")
        assert "interview coach" in home.heard
        await home.says("/cancel")
        await home.speaks("hello")
        assert "No question was open" in home.heard
        await home.says("/next precision")
        for reason in Reason:
            await home.speaks(reason.value)
            assert home.heard.endswith("your question is still open."), reason
        await home.speaks("a", size=LARGEST + 1)
        assert "20 MB" in home.heard
        await home.speaks("a", seconds=LONGEST + 1)
        assert "five minutes" in home.heard
        assert "a" not in listener.begun

        async def gone(most: int) -> bytes:
            assert most == LARGEST
            raise FetchError("404", again=False)

        await home.speaks("", fetch=gone)
        assert "could not get that recording" in home.heard
        memory = await home.store.recall(ANN)
        assert memory.open is not None
        assert not memory.past
        assert not memory.practised
    async with room(library, database) as deaf:
        await deaf.speaks("anything")
        assert "can't hear voice notes here" in deaf.heard
        await deaf.says("/voice at once")
        assert "can't hear voice notes here" in deaf.heard


async def test_the_conversation_never_waits_for_what_is_being_heard(library: Library, database: Path) -> None:
    """Two are listened to at a time, the third is told how many are before it, and a text of the same learner is answered at once;
    what was asked meanwhile is not what the voice note answers."""
    listener = Told()
    async with room(library, database, listener=listener) as home:
        people = [Address("console", name, name) for name in ("ann", "ben", "cat", "dan")]
        for one in people:
            await home.says("/start", address=one)
            await home.says("/track all 3", address=one)
            await home.says("/next precision", address=one)
        listener.go.clear()
        turns = []
        for number, one in enumerate(people):
            turns.append(asyncio.create_task(home.speaks(f"note {number}", address=one, key=f"n{number}")))
            if number < 2:
                async with asyncio.timeout(10), listener.changed:
                    await listener.changed.wait_for(lambda number=number: len(listener.begun) == number + 1)  # type: ignore[misc]
        paper = Paper()
        async with couriers(home, [paper]):
            async with asyncio.timeout(10), paper.arrived:
                await paper.arrived.wait_for(lambda: sum("before you" in reply.text for reply in paper.sent) == 2)
            assert {reply.text for reply in paper.sent if "before you" in reply.text} == {
                "I have your voice note; one before you.", "I have your voice note; two before you.",
            }  # fmt: skip
        assert sorted(listener.begun) == ["note 0", "note 1"]
        await home.says("/skip", address=people[0])
        assert "Skipped" in home.heard
        await home.says("/next recall", address=people[0])
        assert "Question" in home.heard
        listener.go.set()
        heard = await asyncio.gather(*turns)
        assert "closed, so I did not grade it" in heard[0][0].text
        assert all("Is that what you said?" in one[0].text for one in heard[1:])


async def test_a_kill_while_it_is_heard_loses_nothing(library: Library, database: Path) -> None:
    """A voice note that was being listened to when the process ended is still in the inbox, is heard again and answered once."""
    listener = Told()
    clock = FakeClock()
    async with room(library, database, listener=listener, clock=clock) as home:
        await begun(home)
        await home.coach.take("console", [("v", "raw")], {"v": "ann aloud"})
        listener.go.clear()
        turn = asyncio.create_task(home.speaks(GOOD, key="v"))
        async with asyncio.timeout(10), listener.changed:
            await listener.changed.wait_for(lambda: bool(listener.begun))
        turn.cancel()
        await asyncio.wait([turn])
    listener = Told()
    async with room(library, database, listener=listener, clock=clock) as home:
        assert await home.coach.waiting("console") == [("v", "raw")]
        await home.speaks(GOOD, key="v")
        assert GOOD in home.heard
        await home.speaks(GOOD, key="v")
        assert home.hears == ()
        assert await home.coach.waiting("console") == []


async def test_on_postgresql_too_a_text_does_not_wait_for_what_was_said_before_it(library: Library, postgres_url: str) -> None:
    """One person's updates are handled in order there, but what is said aloud is in another line than what is typed; and the tables
    of voice are kept as on SQLite."""
    listener = Told()
    async with room(library, postgres_url, listener=listener) as home:
        await begun(home)
        await home.says("/voice at once")
        listener.go.clear()
        await home.coach.take("console", [("v", "raw")], {"v": "ann aloud"})
        turn = asyncio.create_task(home.speaks(GOOD, key="v"))
        async with asyncio.timeout(20), listener.changed:
            await listener.changed.wait_for(lambda: bool(listener.begun))
        await home.coach.take("console", [("t", "raw")], {"t": "ann"})
        await home.says("/hint", key="t")
        assert "Hint 1" in home.heard
        listener.go.set()
        shown = await turn
        assert "Precision · spoken" in shown[1].text
        await home.says("/next recall")
        await home.says("/voice first")
        await home.speaks("the share of positives that we find")
        await home.taps("Grade it")
        assert "spoken" in home.heard


async def test_spoken_replies_in_a_mock_interview_and_an_incident(library: Library, database: Path) -> None:
    """In an interview a spoken reply leads to the next question, in an incident to what is found; in real mode its pace is not said."""
    async with room(library, database, listener=Told()) as home:
        await begun(home)
        await home.says("/mock 30 real")
        asked = (await home.store.recall(ANN)).open
        assert asked is not None
        await home.speaks(library.questions[asked.question].answer)
        await home.taps("Grade it")
        memory = await home.store.recall(ANN)
        assert memory.open is not None
        assert memory.open.id != asked.id
        assert "words a minute" not in home.heard
        await home.says("/pause")
        await home.speaks("too late")
        assert "mock interview is waiting" in home.heard
        one = next(iter(incidents(library)))
        await home.says(f"/incident {one}")
        shown = await home.speaks("I would compare the live feature distributions with training")
        assert shown[0].choices[0][0].label == "Send it"
        await home.taps("Send it")
        assert "Hint" in [choice.label for row in home.hears[0].choices for choice in row]
        await home.says("/hint")
        await home.says("I would look at the labels")
        memory = await home.store.recall(ANN)
        assert memory.open is not None
        assert memory.learner is not None
        course = await home.store.investigation(memory.learner.id, memory.open.id)
        assert course is not None
        assert course.looks[0].startswith("I would compare the live")


# ---------------------------------------------------------------------------------------------- reading aloud


async def test_a_follow_up_is_answered_aloud(library: Library, database: Path) -> None:
    """What is said is graded against the follow-up, and not as another reply to the question before it."""
    async with room(library, database, listener=Told(draft=True)) as home:
        await begun(home)
        await home.says(GOOD)
        await home.taps("Go deeper")
        asked = (await home.store.recall(ANN)).open
        assert asked is not None and asked.followup
        wanted = library.questions["precision"].followup(asked.followup)
        assert wanted is not None
        await home.speaks(wanted.answer)
        await home.taps("Grade it")
        assert "· spoken" in home.heard
        attempt = await home.store.last_attempt(asked.learner)
        assert attempt is not None
        assert (attempt.asked, attempt.spoken, attempt.text) == (asked.id, True, wanted.answer)
        assert {verdict.point for verdict in attempt.grade.verdicts} == {point.id for point in wanted.points}


async def test_questions_are_read_aloud_to_who_wants_that(library: Library, database: Path, tmp_path: Path) -> None:
    """After /voice on a question, its follow-up and the question of the day come as a voice note after their text, without a learner's
    words; a voice that fails costs nothing, and /voice off ends it."""
    voice = Hum()
    paper = Paper()
    async with (
        room(library, database, speaker=Speaker(voice, tmp_path / "voice"), clock=Running()) as home,
        couriers(home, [paper]) as courier,
    ):
        await begun(home)
        await courier.drained()
        assert not voice.said
        await home.says("/skip")
        await home.says("/voice on")
        await home.says("/next precision")
        await courier.drained()
        assert sum(reply.note is not None for reply in paper.sent) == 2
        assert voice.said[0] == "From now on I read questions aloud."
        note = paper.sent[-1].note
        assert note is not None
        assert note.seconds == pytest.approx(0.5, abs=0.1)
        assert voice.said[-1].startswith("What is precision?")
        home.clock.move(hours=22)
        seen = len(paper.sent)
        await home.coach.deliver_due(["console"])
        await paper.until(seen + 2)
        await courier.drained()
        daily, spoken = paper.sent[-2:]
        assert "Question of the day" in daily.text
        assert spoken.note is not None
        await home.says("TP over TP plus FN. The mean of something else.")
        await courier.drained()
        assert all("The mean of something" not in said for said in voice.said)
        voice.fails = True
        await home.says("/next recall")
        await courier.drained()
        assert "Recall" in paper.sent[-1].text or paper.sent[-1].text.startswith("Question")
        await home.says("/voice off")
        before = len(voice.said)
        await home.says("/next f1")
        await courier.drained()
        assert len(voice.said) == before
        await home.says("/voice")
        assert "in text" in home.heard
    async with room(library, database) as mute:
        await mute.says("/voice on")
        assert "no voice here" in mute.heard


async def test_a_voice_that_is_slow_holds_up_nothing(library: Library, database: Path, tmp_path: Path) -> None:
    """While a voice note is being made the learner's next message is answered; the note comes when it is ready, not ten minutes later."""

    class Slow(Hum):
        go = asyncio.Event()

        async def say(self, text: str) -> Speech:
            await self.go.wait()
            return await super().say(text)

    voice, paper = Slow(), Paper()
    voice.go.set()
    async with (
        room(library, database, speaker=Speaker(voice, tmp_path / "voice"), clock=Running()) as home,
        couriers(home, [paper]) as courier,
    ):
        await begun(home)
        await home.says("/skip")
        await home.says("/voice on")
        await courier.drained()
        voice.go.clear()
        seen = len(paper.sent)
        await home.says("/next precision")
        await paper.until(seen + 1)
        await home.says("/hint")
        await paper.until(seen + 2)
        assert paper.sent[-1].text.startswith("Hint 1")
        voice.go.set()
        await paper.until(seen + 3)
        assert paper.sent[-1].note is not None
        voice.go.clear()
        await home.says("/next recall")
        await paper.until(seen + 4)
        home.clock.move(minutes=11)
        voice.go.set()
        courier.wake()
        await courier.drained()
        assert len(paper.sent) == seen + 4


def test_a_follow_up_is_read_aloud_without_the_words_of_the_learner() -> None:
    """What is kept of voices belongs to nobody: a learner's own words are never said."""
    from bot.content import Followup
    from bot.interviews import Chosen
    from bot.interviews import Reason as Why
    from bot.model import Asked, Occasion
    from bot.phrases import follow_up

    asked = Asked("a", "l", "precision", Occasion.FOLLOWUP, FakeClock()())
    one = Followup.model_construct(id="f", prompt="And with `TP + FN` below?")
    reply = follow_up(asked, one, Chosen(one, Why.STRONG, "my secret words"))
    assert "my secret words" in reply.text
    assert reply.aloud == "And with `TP + FN` below?"
    assert replace(reply, aloud="") != reply
