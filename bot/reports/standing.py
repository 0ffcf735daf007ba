"""The picture of where a learner stands: a bar for each section with last month's mark, and a calendar of twelve weeks."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import date, timedelta

from bot.content import Library
from bot.progress import WEEKS, Stand, Standing, Sure

# Okabe and Ito's blue and vermilion, which every kind of sight tells apart, and four steps of one blue; what is a guess is hatched.
BAR, MARK, GRID, INK, FAINT = "#0072B2", "#D55E00", "#E8ECEF", "#1A1A1A", "#55606A"
STEPS = ("#E8ECEF", "#A6CEE3", "#4C9BCB", "#0B5C94")
"""The colour of a day with no reply, one, two, and three or more."""

WIDTH, DPI = 6.0, 130
"""Inches, and pixels an inch: 780 pixels, twice a phone's width."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A section's level (0..100), the one of a month ago or None, and whether it is a guess from few replies."""

    title: str
    level: int
    before: int | None
    guess: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn. replies: how many on each day of twelve weeks from `monday` on, up to today."""

    bars: tuple[Bar, ...]
    monday: date
    replies: tuple[int, ...]


def picture(stand: Stand, library: Library) -> Picture:
    """The picture of this standing; equal standings have equal pictures."""
    titles = library.syllabus.sections

    def bar(one: Standing) -> Bar:
        before = stand.before.get(one.id)
        return Bar(titles[one.id], round(one.level), None if before is None else round(before), one.sure is Sure.GUESS)

    return Picture(tuple(bar(one) for one in stand.sections), stand.monday, stand.replies)


def draw(picture: Picture) -> bytes:
    """A PNG, readable at the width of a phone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tall, calendar = 0.62 * len(picture.bars) + 0.55, 2.75
    figure = Figure(figsize=(WIDTH, tall + calendar), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    top = figure.add_axes((0.04, calendar / (tall + calendar), 0.92, tall / (tall + calendar)))
    _bars(top, picture.bars)
    bottom = figure.add_axes((0.04, 0.0, 0.92, calendar / (tall + calendar)))
    _calendar(bottom, picture)
    out = io.BytesIO()
    figure.savefig(out, format="png", pil_kwargs={"compress_level": 4})
    return out.getvalue()


def _bars(axes, bars: tuple[Bar, ...]) -> None:  # type: ignore[no-untyped-def]
    axes.set_axis_off()
    axes.set_xlim(0, 100.4)
    axes.set_ylim(len(bars) + 0.05, -0.75)
    marked = any(bar.before is not None for bar in bars)
    axes.text(0, -0.35, "Where you stand", fontsize=15, weight="bold", color=INK, va="center")
    if marked:
        axes.plot([62.5, 62.5], [-0.52, -0.18], color=MARK, linewidth=4)
        axes.text(64.5, -0.35, "a month ago", fontsize=12, color=FAINT, va="center")
    for row, bar in enumerate(bars):
        axes.text(0, row + 0.2, bar.title, fontsize=13, color=INK, va="center")
        words = f"{bar.level} (a guess)" if bar.guess else f"{bar.level}"
        axes.text(100, row + 0.2, words, fontsize=13, weight="bold", color=INK, va="center", ha="right")
        axes.barh(row + 0.62, 100, height=0.3, color=GRID)
        if bar.guess:
            axes.barh(row + 0.62, bar.level, height=0.3, facecolor="white", edgecolor=BAR, hatch="////", linewidth=1.5)
        else:
            axes.barh(row + 0.62, bar.level, height=0.3, color=BAR)
        if bar.before is not None:
            axes.plot([bar.before, bar.before], [row + 0.42, row + 0.82], color=MARK, linewidth=4)


def _calendar(axes, picture: Picture) -> None:  # type: ignore[no-untyped-def]
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    axes.set_axis_off()
    axes.set_xlim(0, WEEKS + 1.6)
    axes.set_ylim(9.0, -1.75)
    axes.text(0, -1.15, "Replies in 12 weeks", fontsize=15, weight="bold", color=INK, va="center")
    for step, label in enumerate(("0", "1", "2", "3+")):
        axes.add_patch(Rectangle((8.2 + step * 1.35, -1.5), 0.6, 0.7, facecolor=STEPS[step]))
        axes.text(8.9 + step * 1.35, -1.15, label, fontsize=12, color=FAINT, va="center")
    for weekday, name in ((0, "Mon"), (3, "Thu"), (6, "Sun")):
        axes.text(0, weekday + 0.45, name, fontsize=12, color=FAINT, va="center")
    squares = [Rectangle((1.5 + number // 7, number % 7), 0.88, 0.86) for number in range(len(picture.replies))]
    # As one collection: eighty-four patches of their own take three times as long.
    axes.add_collection(PatchCollection(squares, facecolors=[STEPS[min(count, 3)] for count in picture.replies]))
    for week in range(WEEKS):
        count = sum(picture.replies[week * 7 : week * 7 + 7])
        axes.text(1.94 + week, 7.5, str(count), fontsize=12, color=INK, va="center", ha="center")
        monday = picture.monday + timedelta(days=7 * week)
        if monday.day <= 7:
            axes.text(1.5 + week, 8.4, f"{monday:%b}", fontsize=12, color=FAINT, va="center")
