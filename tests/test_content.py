"""Packs: the ones that come with the coach are whole, and whatever is wrong with a pack is told in a line."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import jsonschema
import pytest

from bot import content
from bot.content import Library, default_folder, load, read, whole
from bot.errors import ContentError
from bot.grading.plain import PlainGrader
from bot.grading.proof import BY_WORDS, untrue

PACKS = Path(__file__).parent / "packs"
LINE = re.compile(r"[\w./-]+\.toml: [^:]+: [^:]+: \S.*")


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A small pack without a fault, to be spoiled."""
    return Path(shutil.copytree(PACKS / "good", tmp_path / "packs"))


def _problems(folder: Path) -> list[str]:
    """What `coach check` prints."""
    library, problems = read(folder)
    return problems + whole(library) + untrue(library, PlainGrader(), BY_WORDS)


# ---------------------------------------------------------------------------------------------- the packs of the coach


def test_every_question_of_the_syllabus_is_there(library: Library) -> None:
    assert len(library.syllabus.required) == 55
    assert set(library.syllabus.required) <= set(library.questions)


def test_the_syllabus_decides_titles_sections_and_tracks(library: Library) -> None:
    """What the syllabus fixes for an id is what the question says of itself."""
    raw = tomllib.loads((default_folder() / "syllabus.toml").read_text("utf-8"))
    for fixed in (*raw["questions"], *raw["scenarios"]):
        question = library.questions[fixed["id"]]
        assert question.section == fixed.get("section", question.section)
        assert set(fixed.get("tracks", [])) <= set(question.tracks)


@pytest.mark.parametrize("file", sorted(default_folder().glob("*/*.toml")), ids=lambda file: file.stem)
def test_every_question_is_shaped_as_the_guide_for_authors_says(library: Library, file: Path) -> None:
    for question in [one for one in library.questions.values() if one.file.endswith(file.name)]:
        assert 80 <= len(question.answer.split()) <= 200, question.id
        assert 4 <= len(question.points) <= 8
        assert any(point.core for point in question.points)
        assert all(len(point.phrasings) >= 6 for point in question.points)
        assert len(question.wordings) == len(question.hints) == 2
        assert len(question.misconceptions) >= 2
        assert len(question.followups) >= 3
        kinds = {followup.when.split(":")[0] for followup in question.followups}
        assert {"strong", "missing"} <= kinds, question.id


def test_nothing_is_wrong_with_the_packs_of_the_coach() -> None:
    """Shape and what refers to what; that their rubrics hold is proved by `make check`, which takes longer."""
    library, problems = read(default_folder())
    assert problems + whole(library) == []


def test_every_file_holds_to_the_schema_that_editors_use() -> None:
    schema = content.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for file in sorted(default_folder().glob("*/*.toml")):
        assert [error.message for error in validator.iter_errors(tomllib.loads(file.read_text("utf-8")))] == []


def test_the_schema_that_is_kept_for_editors_is_the_present_one() -> None:
    """`coach schema > content/topic.schema.json` brings it up to date."""
    assert json.loads((default_folder() / "topic.schema.json").read_text("utf-8")) == json.loads(json.dumps(content.schema()))


# ---------------------------------------------------------------------------------------------- what is wrong with a pack


def test_a_small_pack_without_a_fault_has_no_problem(pack: Path) -> None:
    assert _problems(pack) == []


def test_all_problems_of_a_broken_pack_are_told_each_with_its_place() -> None:
    problems = _problems(PACKS / "broken")

    assert all(LINE.fullmatch(problem) for problem in problems), problems
    places = [problem.split(": ")[:3] for problem in problems]
    assert ["small/not-toml.toml", "-", "-"] in places
    assert ["small/odd.toml", "-", "colour"] in places
    assert ["small/odd.toml", "-", "questions"] in places
    assert ["syllabus.toml", "median", "id"] in places
    shapes = {field for file, id, field in places if (file, id) == ("small/shapes.toml", "Bad Id")}
    assert shapes == {
        "id", "title", "level", "tracks", "prompt", "wordings", "hints", "answer", "points", "followups", "mood",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("find", "put", "problem"),
    [
        ('id = "median"', 'id = "mean"', "syllabus.toml: median: id: no question with this id"),
        ('tracks = ["ml"]', 'tracks = ["chess"]', "small/basics.toml: median: tracks: 'chess' is not in the syllabus"),
        ('competencies = ["statistics"]', 'competencies = ["x"]', "small/basics.toml: median: competencies: 'x' is not in the syllabus"),
        ('section = "basics"', 'section = "nowhere"', "small/basics.toml: median: section: 'nowhere' is not in the syllabus"),
        ('level = 2\n', 'level = 2\npack = "other"\n', "small/basics.toml: median: pack: unknown field"),
        ('sources = ["Wilcox, Introduction to Robust Estimation and Hypothesis Testing (2012), chapter 3"]\n', "",
         "small/basics.toml: median: sources: none is named"),
        ("core = true\n", "", "small/basics.toml: median: points: none is core"),
        ('mistakes = ["weak-statistics"]', 'mistakes = ["y"]',
         "small/basics.toml: median: points.definition.mistakes: 'y' is not in the syllabus"),
        ('id = "skew"', 'id = "cost"', "small/basics.toml: median: points: 'cost' is used twice"),
        ('  "the 50th percentile",\n', "", "small/basics.toml: median: points.definition.phrasings: has 5, six or more are wanted"),
        ('"the 50th percentile"', '"The middle one after sorting"',
         "small/basics.toml: median: points.definition.phrasings: one stands twice"),
        ('reverses = "definition"', 'reverses = "nothing"',
         "small/basics.toml: median: misconceptions.mode.reverses: there is no point 'nothing'"),
        ('when = "missing:definition"', 'when = "missing:rhythm"',
         "small/basics.toml: median: followups.middle.when: there is no point 'rhythm'"),
        ('when = "misconception:mode"', 'when = "misconception:no"',
         "small/basics.toml: median: followups.mode.when: there is no misconception 'no'"),
        ('when = "strong"', 'when = "missing:cost"',
         "small/basics.toml: median: followups: none goes deeper after a strong reply (when = \"strong\")"),
        ('id = "deeper"', 'id = "middle"', "small/basics.toml: median: followups: 'middle' is used twice"),
        ("The price is efficiency: when the data really are normal, the median needs\nroughly 57 percent more samples to be as precise as "
         "the mean.", "I leave out the price of it here.", "median: answer: point 'cost' is missing in the model answer"),
        ('statement = "The median is a better summary than the mean for every purpose."',
         'statement = "One huge salary can move the mean as far as you like, whereas the median hardly changes."',
         "median: misconceptions.always-better: alone it earns point 'robust'"),
    ],
)  # fmt: skip
def test_one_fault_is_told_as_file_id_field_and_what_is_wrong(pack: Path, find: str, put: str, problem: str) -> None:
    file = pack / "small/basics.toml"
    text = file.read_text("utf-8")
    assert find in text
    file.write_text(text.replace(find, put), "utf-8")

    problems = _problems(pack)

    assert any(problem in line for line in problems), problems
    assert all(LINE.fullmatch(line) for line in problems), problems


def test_an_answer_that_is_too_short_or_too_long_for_a_page_is_told(pack: Path) -> None:
    file = pack / "small/basics.toml"
    text = file.read_text("utf-8")
    file.write_text(re.sub(r'answer = """.*?"""', f'answer = "{"word " * 400}"', text, count=1, flags=re.DOTALL), "utf-8")
    assert any(": median: answer: string should have at most" in line for line in _problems(pack))
    file.write_text(re.sub(r'answer = """.*?"""', 'answer = "Far too short an answer."', text, count=1, flags=re.DOTALL), "utf-8")
    assert "small/basics.toml: median: answer: has 5 words, 80 to 200 are wanted" in _problems(pack)


@pytest.mark.parametrize(("lines", "told"), [(12, False), (13, True)])
def test_code_that_is_longer_than_a_phone_shows_is_told(pack: Path, lines: int, told: bool) -> None:
    file = pack / "small/basics.toml"
    text = file.read_text("utf-8")
    code = "```python\n" + "x = 1\n" * lines + "```\n"
    file.write_text(text.replace('answer = """\n', f'answer = """\n{code}', 1), "utf-8")

    assert ("small/basics.toml: median: answer: has more than 12 lines of code in a row" in _problems(pack)) is told


def test_an_id_in_two_files_is_told(pack: Path) -> None:
    shutil.copy(pack / "small/basics.toml", pack / "small/more.toml")

    assert _problems(pack) == ["small/more.toml: median: id: used twice"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "syllabus.toml: -: -: can't be read: No such file or directory"),
        ("[sections]\n", "syllabus.toml: -: 'tracks': is missing"),
        ("not toml", "syllabus.toml: -: -: can't be read: Expected"),
    ],
)
def test_a_folder_without_a_usable_syllabus_is_told(pack: Path, text: str | None, problem: str) -> None:
    (pack / "syllabus.toml").unlink()
    if text is not None:
        (pack / "syllabus.toml").write_text(text, "utf-8")

    with pytest.raises(ContentError) as caught:
        load(pack)

    assert caught.value.problems[0].startswith(problem)


def test_a_folder_without_packs_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="there is no pack here"):
        load(tmp_path)


# ---------------------------------------------------------------------------------------------- the cache


def test_what_was_read_is_kept_and_read_again_until_a_file_changes(pack: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    fresh = load(pack, cache)
    (kept,) = cache.iterdir()
    assert load(pack, cache) == fresh

    # What stands in the cache is what is used ...
    kept.write_text(kept.read_text("utf-8").replace('"The median"', '"The kept one"'), "utf-8")
    assert load(pack, cache).questions["median"].title == "The kept one"

    # ... until a file is another one; then the old entry goes too.
    file = pack / "small/basics.toml"
    file.write_text(file.read_text("utf-8").replace('title = "The median"', 'title = "The new one"'), "utf-8")
    assert load(pack, cache).questions["median"].title == "The new one"
    assert [one.name for one in cache.iterdir()] != [kept.name]
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"syllabus": {}, "questions": [{}]}'])
def test_a_damaged_cache_is_made_anew(pack: Path, tmp_path: Path, damage: str) -> None:
    fresh = load(pack, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text(damage, "utf-8")

    assert load(pack, tmp_path / "cache") == fresh


def test_a_cache_that_cannot_be_written_only_costs_time(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("in the way", "utf-8")

    assert "median" in load(pack, tmp_path / "a-file").questions
