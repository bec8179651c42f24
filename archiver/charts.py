"""Two drawings as SVG text: money over time, and how latencies are spread. Pure; sizes are in the drawing's own units.

A drawing scales with the page and takes its colours from it, so it is readable on a phone, in the dark and on paper.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from html import escape

from archiver.summary import STEP

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 92, 24, 14, 34
BARS = 24
"""A spread is drawn with at most about so many bars."""


def curve(points: Sequence[tuple[datetime, Decimal]], title: str) -> str:
    """Money over time as a line over its zero; fewer than two points make no line and give an empty text."""
    if len(points) < 2:
        return ""
    moments = [at.timestamp() for at, _ in points]
    money = [float(total) for _, total in points]
    low, high = min(0.0, *money), max(0.0, *money)
    spread = high - low or 1.0
    xs = [_x((m - moments[0]) / (moments[-1] - moments[0] or 1)) for m in moments]
    ys = [_y((value - low) / spread) for value in money]
    zero = _y(-low / spread)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    parts = [
        *(_level(_y((v - low) / spread), f"{v:,.2f}") for v in sorted({low, 0.0, high})),
        f'<polygon class="area" points="{xs[0]:.1f},{zero:.1f} {line} {xs[-1]:.1f},{zero:.1f}"/>',
        f'<polyline class="line" points="{line}"/>',
        _below(LEFT, "start", f"{points[0][0]:%Y-%m-%d %H:%M}"),
        _below(WIDTH - RIGHT, "end", f"{points[-1][0]:%Y-%m-%d %H:%M}"),
    ]
    return _drawing(title, parts)


def bars(classes: Mapping[int, int], title: str) -> str:
    """A spread in classes as `summary.Spread` counts them, as bars; empty without values."""
    if not classes:
        return ""
    first, last = min(classes), max(classes)
    joined = -(-(last - first + 1) // BARS)
    counts = [0] * -(-(last - first + 1) // joined)
    for number, count in classes.items():
        counts[(number - first) // joined] += count
    highest = max(counts)
    wide = (WIDTH - LEFT - RIGHT) / len(counts)
    parts = [_level(_y(1), f"{highest}"), _level(_y(0), "0")]
    parts += [
        f'<rect class="bar" x="{LEFT + i * wide + 1:.1f}" y="{_y(count / highest):.1f}" '
        f'width="{max(wide - 2, 1):.1f}" height="{_y(0) - _y(count / highest):.1f}">'
        f"<title>{_ms(first + i * joined)} to {_ms(first + (i + 1) * joined)} ms: {count}</title></rect>"
        for i, count in enumerate(counts)
    ]
    marks = range(0, len(counts) + 1, max(1, len(counts) // 5))
    parts += [_below(LEFT + i * wide, "middle", _ms(first + i * joined)) for i in marks]
    return _drawing(title, parts)


def _drawing(title: str, parts: Sequence[str]) -> str:
    name = escape(title)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}"><title>{name}</title>'
        f"{''.join(parts)}</svg>"
    )


def _level(y: float, text: str) -> str:
    words = f'<text x="{LEFT - 8}" y="{y + 5:.1f}" text-anchor="end">{escape(text)}</text>'
    return f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>{words}'


def _below(x: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{escape(text)}</text>'


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _ms(number: int) -> str:
    return f"{STEP**number:.3g}"
