"""Spans, pages and choices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.messages import Choice, Span, Style, bold, markup, pages, say, units

SPANS = st.lists(st.builds(Span, st.text(min_size=1, max_size=300), st.sampled_from(list(Style))), max_size=8)


@given(SPANS, st.integers(20, 120))
def test_pages_fit_and_lose_no_word(spans: list[Span], limit: int) -> None:
    cut = pages(spans, limit)

    assert all(0 < sum(units(span.text) for span in page) <= limit for page in cut)
    assert "".join("".join(span.text for span in spans).split()) == "".join("".join(span.text for page in cut for span in page).split())


def test_a_page_ends_where_a_reader_would_end_it() -> None:
    text = "First paragraph, short.\n\nSecond paragraph that goes on for a while."

    first, second = pages([Span(text)], 60)

    assert first[0].text == "First paragraph, short."
    assert second[0].text.startswith("Second paragraph")


def test_a_cut_code_block_keeps_its_style_on_both_pages() -> None:
    cut = pages([Span("x = 1\n" * 20, Style.BLOCK)], 60)

    assert len(cut) > 1
    assert all(span.style is Style.BLOCK for page in cut for span in page)


def test_markup_of_packs_becomes_spans() -> None:
    assert markup("Use `x^2`, **never** y.") == (Span("Use "), Span("x^2", Style.CODE), Span(", "), bold("never"), Span(" y."))


def test_a_learners_words_are_never_markup() -> None:
    assert say(Span("**no** `code`", Style.QUOTE)).spans == (Span("**no** `code`", Style.QUOTE),)


@pytest.mark.parametrize("text", ["", "x" * 65, "ü" * 33])
def test_a_choice_says_at_most_64_bytes(text: str) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        Choice("label", text)
