"""What an author of questions does at the command line, from a blank page to a green check."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.__main__ import main
from bot.content import Library, Question, default_folder, read
from bot.grading import proof
from bot.grading.plain import PlainGrader

PACKS = Path(__file__).parent / "packs"


@pytest.fixture
def packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small pack without a fault, and a home without settings."""
    monkeypatch.setenv("COACH_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(PACKS / "good", tmp_path / "packs"))


def test_a_new_question_has_every_field_and_the_check_says_what_is_to_be_filled_in(packs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `coach content new` writes is read as a question; only words are missing."""
    assert main(["content", "new", "mode", "--pack", "small", "--topic", "more", "--section", "basics", "--folder", str(packs)]) == 0
    assert "fill in what says TODO" in capsys.readouterr().out

    library, problems = read(packs)
    assert problems == []
    made = library.questions["mode"]
    assert (len(made.points), len(made.misconceptions), len(made.followups)) == (4, 4, 3)
    assert main(["check", str(packs)]) == 1
    told = capsys.readouterr().out
    assert "small/more.toml: mode: answer: has" in told

    assert main(["content", "new", "range", "--pack", "small", "--topic", "more", "--section", "basics", "--folder", str(packs)]) == 0
    assert set(read(packs)[0].questions) == {*library.questions, "range"}


@pytest.mark.parametrize(
    ("id", "pack", "section", "said"),
    [
        ("median", "small", "basics", "there is a question 'median' already, in small/basics.toml"),
        ("mode", "small", "magic", "there is no section 'magic'; there are basics"),
        ("mode", "../out", "basics", "a pack and a topic are plain names"),
    ],
)
def test_what_cannot_be_begun_is_said_and_nothing_is_written(
    packs: Path, capsys: pytest.CaptureFixture[str], id: str, pack: str, section: str, said: str
) -> None:
    before = sorted(packs.rglob("*"))

    assert main(["content", "new", id, "--pack", pack, "--topic", "more", "--section", section, "--folder", str(packs)]) == 1

    assert said in capsys.readouterr().err
    assert sorted(packs.rglob("*")) == before


def test_an_author_tries_a_question_and_sees_why(packs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The prompt, then the working of the grade: each point with its verdict, and the arithmetic."""
    question = read(packs)[0].questions["median"]
    command = [sys.executable, "-m", "adapters", "content", "try", "median", "--folder", str(packs)]

    ended = subprocess.run(command, input=question.answer, capture_output=True, text=True, timeout=120, check=True)

    assert ended.stdout.startswith(question.prompt)
    assert all(point.id in ended.stdout for point in question.points)
    assert "covered" in ended.stdout
    assert main(["content", "try", "nothing", "--folder", str(packs)]) == 1
    assert "there is no question 'nothing'" in capsys.readouterr().err


def test_the_spread_of_the_packs(capsys: pytest.CaptureFixture[str]) -> None:
    """Every pack, section, track and competency with how many questions it has."""
    library, _ = read(default_folder())

    assert main(["content", "stats"]) == 0

    told = capsys.readouterr().out
    assert re.search(rf"^all +{len(library.questions)} ", told, re.MULTILINE)
    for name in (*library.syllabus.sections, *library.syllabus.tracks, *library.syllabus.competencies):
        assert re.search(rf"^  {name} +\d+$", told, re.MULTILINE), name


def test_the_questions_that_are_most_alike(packs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nearest prompts first, by the coach's own encoder."""
    file = packs / "small/basics.toml"
    twin = file.read_text("utf-8").replace('id = "median"', 'id = "median-too"')
    (packs / "small/twin.toml").write_text(twin, "utf-8")

    assert main(["check", "--similar", str(packs)]) == 0

    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("1.000  small/median")
    assert "median-too" in first


# ---------------------------------------------------------------------------------------------- proofs


def _case(library: Library, id: str, beside: Question | None = None, **changed: object) -> proof.Case:
    judge = PlainGrader()
    question = library.questions[id].model_copy(update=changed)
    return proof.Case(question, judge, judge.judge(question, question.answer), beside)


def test_every_proof_holds_of_a_sound_question(library: Library) -> None:
    case = _case(library, "recall", library.questions["mse"])

    assert [*proof.answers(case), *proof.beliefs(case), *proof.key_sentences(case), *proof.heaped(case), *proof.besides(case)] == []


def test_a_point_that_is_said_all_over_the_answer_hangs_on_no_sentence(library: Library) -> None:
    text = library.questions["recall"].point("definition").statement  # type: ignore[union-attr]
    case = _case(library, "recall", answer=f"{text} {text} {text} {text} {library.questions['recall'].answer}")

    assert ("points.definition", f"is covered without its sentences too, by {text[:60]!r}") in [*proof.key_sentences(case)]


def test_a_rubric_that_another_answer_satisfies_is_told(library: Library) -> None:
    """The question asked twice: its own answer stands for another's."""
    case = _case(library, "recall", library.questions["recall"])

    assert [*proof.besides(case)] == [("points", "the model answer of 'recall' earns 100")]


def test_what_was_proved_before_is_taken_from_the_cache_until_a_text_changes(packs: Path, tmp_path: Path) -> None:
    """The second time nothing is graded; a changed word is proved anew."""
    library, _ = read(packs)

    class Counting(PlainGrader):
        asked = 0

        def judge(self, rubric, reply):  # type: ignore[no-untyped-def]
            self.asked += 1
            return super().judge(rubric, reply)

    first, second, third = Counting(), Counting(), Counting()
    told = proof.untrue(library, first, proof.BY_WORDS, cache=tmp_path)
    assert proof.untrue(library, second, proof.BY_WORDS, cache=tmp_path) == told
    file = packs / "small/basics.toml"
    file.write_text(file.read_text("utf-8").replace('title = "The median"', 'title = "Medians"'), "utf-8")
    proof.untrue(read(packs)[0], third, proof.BY_WORDS, cache=tmp_path)
    assert (first.asked > 0, second.asked, third.asked > 0) == (True, 0, True)


def _drafted(text: str, *changes: tuple[str, str]) -> str:
    for final, draft in changes:
        assert text.count(final) == 1
        text = text.replace(final, draft)
    return text


def test_the_example_of_the_guide_goes_from_its_draft_to_green_as_the_guide_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The drafts are made from the finished question; what the check says of them, and of it, stands in the guide word for word."""
    docs = Path(__file__).parents[1] / "docs"
    guide, final = (docs / "authoring.md").read_text("utf-8"), (docs / "early-stopping.toml").read_text("utf-8")
    shown = re.findall(r"```text\n\$ \.venv/bin/coach (check[^\n]*) my-packs\n(.*?)```", guide, re.DOTALL)
    truth = (
        ("stop early with a patience of, say, 5 epochs, so that one unlucky epoch doesn't end the run", "stop when it is time"),
        ("1 - 27 / 60 = 55%", "1 - 27 / 60 = 45%"),
    )
    few = ('  "so um you keep another part of the data locked away and score on that",\n', "")
    fewer = ('  "for reporting must be data which nobody used for tuning",\n', "")
    drafts = [_drafted(final, *truth, few, fewer), _drafted(final, *truth), final]
    packs = tmp_path / "my-packs"
    begun = ["content", "new", "early-stopping", "--pack", "my-pack", "--topic", "training", "--section", "deep-learning"]
    assert main([*begun, "--folder", str(packs)]) == 0
    capsys.readouterr()
    assert len(shown) == len(drafts)

    for draft, (command, said) in zip(drafts, shown, strict=True):
        (packs / "my-pack/training.toml").write_text(draft, "utf-8")
        assert main([*command.split(), str(packs)]) == (0 if draft == final else 1)
        assert capsys.readouterr().out == said
