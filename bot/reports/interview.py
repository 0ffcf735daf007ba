"""The picture of a mock interview: how the competencies stand, and how it went question by question."""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass

from bot.reporting import Report

# Okabe and Ito's blue, which every kind of sight tells from grey; dark ink on a light card of its own is read in dark mode too.
CARD, BAR, REST, INK, FAINT = "#FBFAF7", "#0072B2", "#E3E6E8", "#1A1A1A", "#4A545C"
WIDTH, DPI = 6.0, 150
"""Inches, and pixels an inch: 900 pixels, twice a phone's width and more."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn: the heading, (title, mean or None, number of questions) of each competency, and (label, score or None) of
    each question."""

    heading: str
    verdict: str
    competencies: tuple[tuple[str, float | None, int], ...]
    course: tuple[tuple[str, int | None], ...]


def picture(report: Report, heading: str, verdict: str) -> Picture:
    return Picture(
        heading,
        verdict,
        tuple((one.title, one.mean, one.count) for one in report.competencies),
        tuple((one.title, one.score) for one in report.entries),
    )


def draw(picture: Picture) -> bytes:
    """A PNG, readable at the width of a phone. Raises ImportError where nothing here can draw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    head, bars, course = 1.15, 0.62 * len(picture.competencies) + 0.5, 3.1
    tall = head + bars + course
    figure = Figure(figsize=(WIDTH, tall), dpi=DPI, facecolor=CARD)
    FigureCanvasAgg(figure)
    figure.text(0.05, 1 - 0.33 / tall, picture.heading, fontsize=13, color=FAINT, va="center")
    for number, line in enumerate(textwrap.wrap(picture.verdict, 40)[:2]):
        figure.text(0.05, 1 - (0.66 + 0.3 * number) / tall, line, fontsize=15.5, weight="bold", color=INK, va="center")
    top = figure.add_axes((0.05, course / tall, 0.9, bars / tall))
    top.set_axis_off()
    top.set_xlim(0, 100)
    top.set_ylim(len(picture.competencies) - 0.1, -0.9)
    top.text(0, -0.55, "Competencies", fontsize=14, weight="bold", color=INK, va="center")
    for row, (title, mean, count) in enumerate(picture.competencies):
        top.text(0, row + 0.02, title, fontsize=12.5, color=INK, va="center")
        top.barh(row + 0.4, 100, 0.2, color=REST)
        if mean is not None:
            top.barh(row + 0.4, max(mean, 0.6), 0.2, color=BAR)
        words = "not asked" if mean is None else f"{mean:.0f}  ({count})"
        top.text(100, row + 0.02, words, fontsize=12.5, color=FAINT if mean is None else INK, va="center", ha="right")
    axes = figure.add_axes((0.09, 0.42 / tall, 0.86, (course - 1.15) / tall))
    figure.text(0.05, (course - 0.32) / tall, "Question by question", fontsize=14, weight="bold", color=INK, va="center")
    axes.set_facecolor(CARD)
    places = list(range(1, len(picture.course) + 1))
    known = [(at, score) for at, (_, score) in zip(places, picture.course, strict=True) if score is not None]
    axes.axhspan(65, 100, color="#EAF3F8", zorder=0)
    axes.text(max(2, len(places)) + 0.46, 67, "solid from 65", fontsize=10.5, color=FAINT, ha="right", va="bottom")
    axes.plot([at for at, _ in known], [score for _, score in known], color=BAR, linewidth=2.5, zorder=2)
    axes.scatter([at for at, _ in known], [score for _, score in known], s=70, color=BAR, zorder=3)
    for at, points in known:
        axes.annotate(str(points), (at, points), xytext=(0, 9), textcoords="offset points", ha="center", fontsize=12, color=INK)
    for at, (_, score) in zip(places, picture.course, strict=True):
        if score is None:
            axes.text(at, 4, "–", ha="center", fontsize=14, color=FAINT)
    axes.set_xlim(0.5, max(2, len(places)) + 0.5)
    axes.set_ylim(0, 118)
    axes.set_yticks([0, 50, 100])
    axes.set_xticks(places)
    axes.tick_params(labelsize=11.5, colors=FAINT, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(REST)
    out = io.BytesIO()
    figure.savefig(out, format="png", facecolor=CARD, pil_kwargs={"compress_level": 6})
    return out.getvalue()
