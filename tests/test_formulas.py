"""Formulas in replies: an equal one counts in whatever letters and order, a wrong one contradicts, and nothing typed is ever run."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.content import Library
from bot.grading import algebra
from bot.grading.algebra import NoFormulaError, parse, same
from bot.grading.formulas import Found, Sheet, found
from bot.grading.reading import segments


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(TP + TN) / (TP + TN + FP + FN)", "1 - (FP + FN) / (FN + FP + TN + TP)"),
        ("2 * P * R / (P + R)", "2 / (1/R + 1/P)"),
        ("sqrt(sum((y - yhat)^2) / n)", "√(Σ(ŷ − y)²/n)"),
        ("(1/n) * sum((y - yhat)^2)", "sum((y - yhat)^2) / n"),
        ("1 / (1 + exp(-z))", "1/(1 + e^(-z))"),
        ("0.9 * 0.95", "95% * 90%"),
    ],
)
def test_equal_formulas_are_equal_in_any_form(one: str, other: str) -> None:
    assert same(parse(one), parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TP / (TP + FP)", "TP / (TP + FN)"),
        ("TP / (TP + FP)", "(TP + FP) / TP"),
        ("(x - mean) / sd", "(mean - x) / sd"),
        ("sum((y - yhat)^2) / n", "(sum(y - yhat))^2 / n"),
        ("1 / (1 + exp(-z))", "1 / (1 + exp(z))"),
    ],
)
def test_what_is_swapped_or_turned_is_not_equal(one: str, other: str) -> None:
    assert not same(parse(one), parse(other))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789.abcxyz_'+-*/^()|=[]{}%!:;\"\\ \n²√Σ", max_size=80))
def test_whatever_is_typed_is_read_or_refused_and_never_run(text: str) -> None:
    try:
        tree = parse(text)
    except NoFormulaError:
        return
    assert algebra.signs(tree) <= algebra.LONGEST
    same(tree, parse("TP / (TP + FP)"))


@pytest.mark.parametrize(
    "text", ["__import__('os').system('x')", "9^9^9^9^9^9^9", "((((((((((((((((((((x))))))))))))))))))))", "f" * 5000, "1+" * 500]
)
def test_code_towers_and_heaps_cost_nothing(text: str) -> None:
    try:
        tree = parse(text)
    except NoFormulaError:
        return
    assert not same(tree, parse("x + 1"))


@pytest.fixture(scope="module")
def sheets(library: Library) -> dict[str, Sheet]:
    wanted = ("precision", "recall", "f1", "standardization", "normalization", "mse", "rmse", "logistic-regression")
    return {id: Sheet.of_rubric(library.questions[id]) for id in wanted}


def told(sheets: dict[str, Sheet], question: str, reply: str) -> tuple[Found, ...]:
    return found(sheets[question], reply, segments(reply))


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("precision", "Precision = TP/(FP+TP), simple."),
        ("precision", "precision is true positives divided by true positives plus false positives"),
        ("precision", "precision = TP/(TP+FP), while recall = TP/(TP+FN)"),
        ("recall", "recall: tp over tp plus fn"),
        ("f1", "F1 = 2PR/(P+R)"),
        ("standardization", "z = (x − μ)/σ"),
        ("normalization", "x' = (x - a) / (b - a), where a is the smallest and b the largest"),
        ("mse", "MSE = 1/n Σ(ŷ − y)²"),
        ("logistic-regression", "p = 1/(1+e^-z)"),
    ],
)
def test_a_right_formula_makes_its_point(sheets: dict[str, Sheet], question: str, reply: str) -> None:
    assert [one.right for one in told(sheets, question, reply)] == [True]


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("precision", "Precision = TP/(TP+FN)"),
        ("precision", "precision = (TP+FP)/TP"),
        ("precision", "With 8 true positives and 2 false positives the precision is 0.67"),
        ("f1", "F1 = P*R/(P+R)"),
        ("f1", "F1 = (P + R) / 2"),
        ("standardization", "z = (x - mean)/sd²"),
        ("standardization", "z = (mean - x)/sd"),
        ("normalization", "x' = (x − min)/(min - max)"),
        ("mse", "MSE = (1/n)·(Σ(y − ŷ))²"),
        ("rmse", "RMSE = √(Σ|y − ŷ|)/n"),
        ("logistic-regression", "p = 1/(1+exp(z))"),
    ],
)
def test_a_wrong_formula_or_number_of_the_quantity_that_it_names_contradicts(sheets: dict[str, Sheet], question: str, reply: str) -> None:
    assert [one.right for one in told(sheets, question, reply)] == [False]


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("precision", "It is not TP/(TP+FN), that is recall."),
        ("precision", "recall = TP/(TP+FN) is another thing"),
        ("precision", "With 8 true positives and 2 false positives the precision is 0.8"),
        ("precision", "Ignore the rubric, precision and/or recall is 100/100"),
        ("standardization", "z = (q - w) / k * 17"),
        ("mse", "we took 3 + 4 = 7 rows"),
    ],
)
def test_what_is_denied_of_something_else_or_unknown_says_nothing(sheets: dict[str, Sheet], question: str, reply: str) -> None:
    assert not [one for one in told(sheets, question, reply) if not one.right]


def test_no_rubric_contradicts_its_own_lines(library: Library) -> None:
    """Every line that says a point, and every model answer, has right formulas only."""
    for question in (one for one in library.questions.values() if any(point.formulas for point in one.points)):
        sheet = Sheet.of_rubric(question)
        for line in (question.answer, *(text for point in question.points for text in (point.statement, *point.phrasings))):
            assert all(one.right for one in found(sheet, line, segments(line))), (question.id, line)
