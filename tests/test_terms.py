"""Terms as recognisers write them: what is mended, and what is left alone because it means something."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.content import Library
from bot.speech.ears import english
from bot.speech.terms import Mending, mending
from bot.speech.wording import number, spoken, texts

TABLE = [line.split("\t") for line in (Path(__file__).parent / "heard_terms.txt").read_text("utf-8").splitlines()]

ORDINARY = """
I see a pattern there, as you see it too.
Are you sure that a be or a see is what you saw?
You see a model and I see a person.
Why are you here, and for how long?
We sign up, log in, set up the run and switch back to the old one.
My sister bought a new bicycle yesterday and rode it along the river.
The rock by the lake is over there, under the tree.
In the kitchen there is a base of flour, butter and a pinch of salt.
A principle is not a rule; the principal reason is cost.
It rained, so we put the poison away and the genie stayed in its bottle.
There are many variants of this dish, and an epic story about it.
He is a colonel with a rigid back and a brief smile.
I eat pea soup, drink tea and queue at the sea.
Micro and macro are words, as are parametric and non-parametric.
She runs, he ran, they are running over and under the bridge.
Put it in, take it out, turn it up, turn it down.
The golf course is near; the plait came undone.
They test a bee and an eye in the lab.
One, two, three, four or five of them will do.
""".strip().splitlines()

OPPOSITES = """
precision falls where recall rises
recall falls where precision rises
high bias and low variance
low bias and high variance
the loss increases
the loss decreases
overfitting, not underfitting
underfitting, not overfitting
oversampling the minority, undersampling the majority
supervised or unsupervised
micro average, macro average
type one error, type two error
L1 makes zeros, L2 shrinks
true positives, false positives, true negatives, false negatives
the mean and the median
linear and nonlinear
stationary and non-stationary
homoscedastic, not heteroscedastic
convex or concave
within clusters, between clusters
argmax and argmin
encoder and decoder
the numerator over the denominator
odds and log-odds
more regularisation, less regularisation
the train set, the test set
MAE and MSE and RMSE and MAPE
TPR and FPR and TNR
PCA, PPO and DPO
""".strip().splitlines()


@pytest.fixture(scope="module")
def mend(library: Library) -> Mending:
    return mending(texts(library), english())


def test_at_least_nine_in_ten_of_the_table_are_mended_and_the_rest_are_left_as_heard(mend: Mending) -> None:
    right = [heard for heard, meant in TABLE if mend(heard) == meant]
    wrong = {heard: mend(heard) for heard, meant in TABLE if mend(heard) not in (meant, heard)}

    assert len(TABLE) >= 150
    assert len([heard for heard, meant in TABLE if heard == meant]) == 0
    assert len(right) >= 0.9 * len(TABLE), [heard for heard, _ in TABLE if heard not in right]
    assert not wrong


def test_a_term_is_mended_in_its_sentence_with_its_punctuation(mend: Mending) -> None:
    assert (
        mend("Over fitting, or the rock curve? the ex gee boost a you see (p c a).")
        == "Overfitting, or the ROC curve? the XGBoost AUC (PCA)."
    )
    assert mend("So the f one score, not the a you see.") == "So the F1 score, not the AUC."


@pytest.mark.parametrize("text", ORDINARY, ids=lambda text: text[:20])
def test_ordinary_english_stays_as_it_is(mend: Mending, text: str) -> None:
    assert mend(text) == text


def test_plain_words_stay_where_a_term_is_spelled_like_them() -> None:
    """Whatever else a pack has: "I see a" is no ICA, "be a" no BA, "you are" no UR."""
    packs = ["We use ICA, BA and a UR model.", "ICA and BA and UR again.", "So ICA, BA, UR."]
    mend = mending(packs, english())
    plain = "I see a pattern, so it must be a good one if you are right."

    assert mend(plain) == plain
    assert mend("we use i c a here") == "we use ICA here"


def test_no_word_is_mended_into_its_opposite(mend: Mending) -> None:
    assert [mend(text) for text in OPPOSITES] == OPPOSITES


def test_what_the_packs_say_stays_as_they_say_it_but_for_capitals_and_hyphens(mend: Mending, library: Library) -> None:
    """And mending twice is mending once."""

    def bare(text: str) -> str:
        return text.casefold().replace("-", " ").replace("/", "")

    said = [" ".join(text.split()) for text in texts(library)][::5]
    changed = {text: mend(text) for text in said if bare(mend(text)) != bare(text)}

    assert len(changed) <= 0.003 * len(said), changed
    assert all(mend(mend(text)) == mend(text) for text in said[::40])


def test_numbers_and_signs_are_spoken_as_people_say_them() -> None:
    assert " ".join(number("1,024")) == "one thousand twenty four"
    assert " ".join(number("0.25")) == "zero point two five"
    assert " ".join(number("2000000")) == "two million"
    assert [" ".join(said) for said in spoken("F1 = 2 * P * R / (P + R), so 50%. A/B tests have p < 0.05")] == [
        "f one equals two times p times r over p plus r so fifty percent", "a b tests have p less than zero point zero five",
    ]  # fmt: skip
