"""Bars on the server: where each stands, for a template to write as SVG.

No script and no style attribute: the strict content security policy holds, and colours come from
the admin's own variables, so that its dark theme and print are right as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.formats import date_format, number_format

from credentials.overview import Figure

# The units of the drawing (viewBox); it is scaled to the page.
WIDTH, HEIGHT = 640, 180
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 10, 24
_LABELS = 6


@dataclass(frozen=True)
class Bar:
    """One bar: its rectangle, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    moment: str
    count: str


@dataclass(frozen=True)
class Mark:
    """A label beside an axis; a line is drawn across at those of the counts."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A figure as it is drawn."""

    figure: Figure
    id: str
    total: str
    most: str
    bars: list[Bar]
    counts: list[Mark]
    moments: list[Mark]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    base: int = HEIGHT - BOTTOM


def draw(figure: Figure) -> Chart:
    """Return where everything of a figure stands; the words are in the reader's language."""
    top = _round_up(figure.most)
    step = (WIDTH - LEFT - RIGHT) / max(len(figure.counts), 1)
    room = HEIGHT - TOP - BOTTOM
    bars, moments = [], []
    every = max(len(figure.counts) // _LABELS, 1)
    for place, (moment, count) in enumerate(zip(figure.moments, figure.counts, strict=True)):
        x, tall = LEFT + place * step, room * count / top
        bars.append(
            Bar(
                x=round(x + step * 0.1, 2),
                y=round(TOP + room - tall, 2),
                width=round(step * 0.8, 2),
                height=round(tall, 2),
                moment=_moment(moment, by_hour=figure.by_hour),
                count=number_format(count, force_grouping=True),
            )
        )
        if place % every == 0:
            text = date_format(moment, "H:i" if figure.by_hour else "n/j")
            moments.append(Mark(round(x + step / 2, 2), HEIGHT - 8, text))
    levels = sorted({0, top // 2, top})
    counts = [
        Mark(
            LEFT - 6,
            round(TOP + room - room * level / top, 2),
            number_format(level, force_grouping=True),
        )
        for level in levels
    ]
    return Chart(
        figure=figure,
        id=f"{figure.name}-{'hours' if figure.by_hour else 'days'}",
        total=number_format(figure.total, force_grouping=True),
        most=number_format(figure.most, force_grouping=True),
        bars=bars,
        counts=counts,
        moments=moments,
    )


def _moment(moment: datetime, *, by_hour: bool) -> str:
    return date_format(moment, "SHORT_DATETIME_FORMAT" if by_hour else "SHORT_DATE_FORMAT")


def _round_up(count: int) -> int:
    """Return the next even 1, 2 or 5 times a power of ten, so that half of it is whole."""
    size = 1
    while True:
        for lead in (2, 4, 10):
            if lead * size >= count:
                return lead * size
        size *= 10
