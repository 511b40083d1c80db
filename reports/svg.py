"""The few shapes that charts are made of, as SVG text. Colours come from CSS classes, so that dark mode and print work.

Every function escapes the text that it is given; what it returns is markup.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from reports.words import escape

Number = int | float


def number(value: Number) -> str:
    """A coordinate, to a hundredth, without needless zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"


def rect(x: Number, y: Number, width: Number, height: Number, css: str, title: str = "", radius: Number = 0) -> str:
    """A rectangle, with a title that shows when one points at it."""
    corner = f' rx="{number(radius)}"' if radius else ""
    shape = (
        f'<rect class="{escape(css)}" x="{number(x)}" y="{number(y)}" width="{number(max(0, width))}" '
        f'height="{number(max(0, height))}"{corner}'
    )
    return f"{shape}><title>{escape(title)}</title></rect>" if title else f"{shape}/>"


def text(x: Number, y: Number, words: str, css: str = "label", anchor: str = "start") -> str:
    """A line of text; ``anchor`` is start, middle or end."""
    place = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text class="{escape(css)}" x="{number(x)}" y="{number(y)}"{place}>{escape(words)}</text>'


def line(x1: Number, y1: Number, x2: Number, y2: Number, css: str = "grid") -> str:
    """A straight line."""
    return f'<line class="{escape(css)}" x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"/>'


def group(parts: Iterable[str], title: str) -> str:
    """Shapes that belong together, with a title that shows when one points at any of them."""
    return f"<g><title>{escape(title)}</title>{''.join(parts)}</g>"


def picture(
    name: str, size: tuple[Number, Number], title: str, description: str, parts: Iterable[str], style: str = ""
) -> str:
    """A whole picture that a screen reader can tell.

    Args:
        name: an id of its own on the page.
        size: width and height in its own units; it grows with the page.
        title: what it is.
        description: what it shows, in words.
        parts: the shapes.
        style: its CSS, which makes it a file of its own; without, the page must have it.
    """
    own = ('xmlns="http://www.w3.org/2000/svg" ', f"<style>{style}</style>") if style else ("", "")
    width, height = (number(side) for side in size)
    return (
        f'<svg {own[0]}class="chart" role="img" aria-labelledby="{escape(name)}-t {escape(name)}-d" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<title id="{escape(name)}-t">{escape(title)}</title><desc id="{escape(name)}-d">{escape(description)}</desc>'
        f"{own[1]}{''.join(parts)}</svg>"
    )


def ticks(most: int, about: int = 4) -> list[int]:
    """Round numbers from 0 to at least ``most`` for an axis of counts."""
    if most <= 0:
        return [0, 1]
    raw = most / about
    size = 10 ** math.floor(math.log10(raw)) if raw >= 1 else 1
    step = next(int(size * factor) for factor in (1, 2, 5, 10) if size * factor >= raw)
    return list(range(0, -(-most // step) * step + 1, step))


def spaced(places: Sequence[Number], widths: Sequence[Number], gap: Number = 8) -> list[int]:
    """The numbers of the labels that fit side by side: the first, and each further one that leaves a gap."""
    shown: list[int] = []
    free = -math.inf
    for index, (place, width) in enumerate(zip(places, widths, strict=True)):
        if place - width / 2 >= free:
            shown.append(index)
            free = place + width / 2 + gap
    return shown


def text_width(words: str, size: Number = 12) -> float:
    """Roughly how wide a text is; rather too wide than too narrow."""
    return len(words) * size * 0.58
