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
from bot.grading.training.made import cut
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


def test_every_marked_reply_has_two_readers_labels_and_quotes_of_one_at_least(library: Library) -> None:
    """And dev's are all held: the encoder is never tuned on one."""
    replies = [*marked("dev"), *marked("own")]

    assert all(reply["held"] for reply in replies[:208])
    for reply in replies:
        known = {point.id for point in library.questions[reply["question_id"]].points}
        assert (len(reply["points"]), bool(reply["spans"])) == (2, True), reply["id"]
        for letters in reply["points"]:
            assert letters.keys() <= known, reply["id"]
            assert set(letters.values()) <= set("CPMX"), reply["id"]
        assert all(words in reply["answer"] for spans in reply["spans"] for words in spans.values() if words), reply["id"]


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
