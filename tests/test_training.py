"""What the encoder is tuned on: the rubrics' lines, but for those that are kept apart, and lines made wrong by one change."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from bench.generalises import without
from test_encoder import small

from bot.content import Library, default_folder
from bot.grading.training import convert
from bot.grading.training.head import Rows
from bot.grading.training.made import cut, of_stories
from bot.grading.training.reference import Table
from bot.grading.training.reference import read as read_answers
from bot.grading.training.texts import apart, read, renumbered, spared, tunable, turned

REPLIES = Path(__file__).parent / "grading"


def test_nothing_that_is_kept_apart_is_tuned_on(library: Library) -> None:
    """A fifth of the questions with their follow-ups, and one line in sixteen of the others; every statement of those stays."""
    everything = read(default_folder())
    kept = {one.id: one for one in tunable(everything)}
    questions = [one for one in everything if "/" not in one.id]

    assert 0.15 < sum(spared(one.id) is not None for one in questions) / len(questions) < 0.25
    assert {spared(one.id) for one in questions} == {None, 0, 1}
    assert kept.keys() == {one.id for one in everything if spared(one.id.split("/")[0]) is None}
    lines = [text for one in kept.values() for point in one.points for text in (*point.true[1:], *point.wrong)]
    lines += [text for one in kept.values() for belief in one.misbeliefs for text in belief.texts[1:]]
    assert lines
    assert not any(map(apart, lines))
    for one in everything:
        if one.id in kept:
            assert [point.true[0] for point in kept[one.id].points] == [point.true[0] for point in one.points]


def test_a_line_is_turned_round_by_one_change() -> None:
    rng = random.Random(1)

    assert {turned("A higher threshold raises it", rng) for _ in range(20)} == {
        "A lower threshold raises it",
        "A higher threshold lowers it",
    }
    assert {turned("It does not scale", rng) for _ in range(5)} == {"It does scale"}
    assert turned("accuracy > 0.5", rng) == "accuracy < 0.5"
    assert turned("tokens", rng) is None


def test_a_wrong_number_stands_only_for_one_that_the_claim_has_too() -> None:
    rng = random.Random(1)
    made = {renumbered("80 of 1,000 in 5 runs", "It finds 80 of them", rng) for _ in range(40)} - {None}

    assert made
    assert all(text is not None and text.endswith(" of 1,000 in 5 runs") and not text.startswith("80 ") for text in made)
    assert renumbered("80 of 100", "It finds many", rng) is None


def test_tuning_goes_on_from_the_very_weights_of_a_file(tmp_path: Path) -> None:
    """Its whole numbers come back as they were when nothing was tuned."""
    with np.load(small(tmp_path / "small.npz"), allow_pickle=False) as kept:
        before = dict(kept)
    tensors = convert.published(before, 2)
    after = {**convert.common(tensors, bytes(before["vocabulary"]).decode()), **convert.tower(tensors, "text", 2)}
    after["types"] = after["types"][0]

    assert after.keys() == {name for name in before if name != "about" and not name.startswith("judge.")}
    for name, array in after.items():
        assert np.allclose(array, before[name], rtol=1e-6, atol=0), name


def test_the_yardstick_takes_out_the_line_that_it_tries(library: Library) -> None:
    question = next(iter(library.questions.values()))
    line = question.points[0].phrasings[0]
    left = without(question, line)

    assert line not in left.points[0].phrasings
    assert len(left.points[0].phrasings) == len(question.points[0].phrasings) - 1
    assert left.points[1:] == question.points[1:]


def marked(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (REPLIES / f"{name}.jsonl").read_text("utf-8").splitlines()]


def test_every_marked_reply_has_its_readers_labels_and_quotes_of_one_at_least(library: Library) -> None:
    """And dev's are all held: the encoder is never tuned on one."""
    replies = [*marked("dev"), *marked("own"), *marked("unseen"), *marked("bank")]

    assert all(reply["held"] for reply in replies[:208])
    for reply in replies:
        known = {point.id for point in library.questions[reply["question_id"]].points}
        assert (len(reply["points"]), bool(reply["spans"])) == (len(reply["marks"]), True), reply["id"]
        for letters in reply["points"]:
            assert letters.keys() <= known, reply["id"]
            assert set(letters.values()) <= set("CPMX"), reply["id"]
        assert all(words in reply["answer"] for spans in reply["spans"] for words in spans.values() if words), reply["id"]


def test_what_is_for_measuring_alone_shares_no_question_with_what_is_learnt_from() -> None:
    """Nor is the encoder tuned on a line of the rubrics in `unseen`."""
    learnt = {reply["question_id"] for name in ("dev", "own", "bank") for reply in marked(name)}
    assert len({reply["answer"] for reply in marked("stories")}) == len(marked("stories"))
    measured = {name: {reply["question_id"] for reply in marked(name)} for name in ("fresh", "unseen")}

    assert not learnt & measured["unseen"]
    assert not learnt & measured["fresh"]
    assert all(spared(question) == 1 for question in measured["unseen"])


def test_what_is_learnt_without_a_question_has_seen_no_marked_reply_to_it(library: Library) -> None:
    """Nor what was made of one; what was made of the packs stays."""
    reply = next(one for one in marked("dev") if one["question_id"] == "recall" and one["mark"] > 50)
    parts = list(cut(reply, library.questions["recall"], 3, random.Random(1)))
    sources = np.array(["recall", *(one.source for one in parts), "test-set", ""])
    rows = Rows(np.arange(len(sources))[:, None], np.eye(4)[[0] * len(sources)], np.ones(len(sources)), sources)

    assert parts
    left = rows.without(["recall"])
    assert list(left.sources) == ["test-set", ""]
    assert list(left.features[:, 0]) == [len(sources) - 2, len(sources) - 1]
    assert len(left.labels) == len(left.counts) == 2


def test_a_story_makes_no_point_of_any_question(library: Library) -> None:
    made = list(of_stories(library, [one["answer"] for one in marked("stories")], random.Random(1)))

    assert {one.question.id for one in made} == set(library.questions)
    assert all(label == (0.0, 0.0, 1.0, 0.0) for one in made for label in one.labels)
    assert {one.source for one in made} == {""}


def test_a_public_set_without_parts_is_measured_by_leaving_its_questions_out(tmp_path: Path) -> None:
    def line(number: int, split: str | None) -> str:
        told = {"question": f"Why {number}?", "question_id": number, "reference": "Because of it.", "answer": f"No {number}", "score": 0.5}
        return json.dumps({**told, "extra": {} if split is None else {"split": split}})

    (tmp_path / "parted.jsonl").write_text("\n".join([line(1, "train"), line(2, "test-ua"), line(3, "train-2")]))
    (tmp_path / "whole.jsonl").write_text("\n".join(line(number, None) for number in (1, 2)))
    parted, whole = (read_answers(tmp_path / f"{name}.jsonl") for name in ("parted", "whole"))

    assert [one.part for one in parted] == ["train", "test", "train"]
    assert [one.part for one in whole] == ["", ""]
    table = Table(np.eye(2), np.array([0.5, 0.5]), np.array(["whole"] * 2), np.array([one.asked for one in whole]))
    left = table.without(whole[0].asked)
    assert list(left.questions) == [whole[1].asked]
    assert left.numbers.tolist() == [[0.0, 1.0]]


def test_the_mean_of_two_weights_lies_half_way_between_what_their_numbers_stand_for(tmp_path: Path) -> None:
    with np.load(small(tmp_path / "small.npz"), allow_pickle=False) as kept:
        one = dict(kept)
    doubled = {name: array * np.float32(2) if name.endswith(".factors") else array for name, array in one.items()}

    same, mean = convert.mean(one, one), convert.mean(one, doubled)
    assert all(np.array_equal(same[name], array) for name, array in one.items() if name != "about")
    assert same.keys() == mean.keys() == one.keys() - {"about"}
    for name, factors in ((name, f"{name}.factors") for name in one if f"{name}.factors" in one):
        stands_for = mean[name] * mean[factors][:, None]
        assert np.allclose(stands_for, 1.5 * (one[name] * one[factors][:, None]), rtol=1e-5), name


def test_lines_for_tuning_alone_come_to_their_question(tmp_path: Path) -> None:
    """To its point or its misconception; one of what is no longer in the packs is left out."""
    plain = {one.id: one for one in read(default_folder())}
    one = next(material for material in plain.values() if material.misbeliefs)
    point, belief = one.points[0], one.misbeliefs[0]
    rows = [
        {"question": one.id, "of": point.id, "kind": "true", "text": "so it is"},
        {"question": one.id, "of": point.id, "kind": "wrong", "text": "so it is not"},
        {"question": one.id, "of": belief.id, "kind": "believed", "text": "so I thought"},
        {"question": "gone", "of": "gone", "kind": "true", "text": "long ago"},
    ]
    file = tmp_path / "lines.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    more = {material.id: material for material in read(default_folder(), file)}

    assert more.keys() == plain.keys()
    assert more[one.id].points[0].true == (*point.true, "so it is")
    assert more[one.id].points[0].wrong == (*point.wrong, "so it is not")
    assert more[one.id].misbeliefs[0].texts == (*belief.texts, "so I thought")
    assert [name for name, material in more.items() if material != plain[name]] == [one.id]


def test_every_line_for_tuning_has_its_point_or_misconception() -> None:
    known = {
        (one.id, name)
        for one in read(default_folder())
        for name in (*(f"p {point.id}" for point in one.points), *(f"m {belief.id}" for belief in one.misbeliefs))
    }
    for row in marked("lines"):
        assert (row["question"], f"{'m' if row['kind'] == 'believed' else 'p'} {row['of']}") in known, row
        assert row["kind"] in ("true", "wrong", "believed")
