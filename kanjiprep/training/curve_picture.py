"""A learning-rate curve drawn: in characters, and as SVG or PNG."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from kanjiprep.errors import UsageError, os_reason

_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Braille's bits by row and column of a cell. Source: Unicode block U+2800."""
_BLANK: Final = 0x2800
SUFFIXES: Final = (".svg", ".png")
WIDTH_PX: Final = 960
HEIGHT_PX: Final = 320
_MARGIN_PX: Final = 64
_MOST_POINTS: Final = 2000


def in_characters(rates: Sequence[float], columns: int = 60, rows: int = 8) -> list[str]:
    """``rates`` over the run as lines of braille with an axis, ``rows`` + 1 of them, ``columns`` dots pairs wide."""
    grid = [[0] * columns for _ in range(rows)]
    top = max(rates) or 1.0
    for x in range(columns * 2):
        first, last = (round(edge * (len(rates) - 1) / (columns * 2)) for edge in (x, x + 1))
        part = rates[first : last + 1]
        for y in range(_dot(min(part), top, rows), _dot(max(part), top, rows) + 1):
            grid[rows - 1 - y // 4][x // 2] |= _DOTS[3 - y % 4][x % 2]
    lines = ["".join(chr(_BLANK + cell) for cell in row) for row in grid]
    labels = [f"{top:.3g}", *[""] * (rows - 2), "0"]
    drawn = [f"{label:>9} {line}" for label, line in zip(labels, lines, strict=True)]
    end = f"{len(rates) - 1:,} steps"
    return [*drawn, f"{'':>9} 0{end:>{columns - 1}}"]


def svg(rates: Sequence[float], title: str) -> bytes:
    """``rates`` over the run as an SVG picture of ``WIDTH_PX`` x ``HEIGHT_PX``."""
    wide, high = WIDTH_PX - 2 * _MARGIN_PX, HEIGHT_PX - 2 * _MARGIN_PX
    top = max(rates) or 1.0
    count = len(rates)
    picks = sorted({round(index * (count - 1) / (_MOST_POINTS - 1)) for index in range(_MOST_POINTS)})
    points = " ".join(
        f"{_MARGIN_PX + wide * step / max(1, count - 1):.1f},{_MARGIN_PX + high * (1 - rates[step] / top):.1f}"
        for step in picks
    )
    left, right, base = _MARGIN_PX, WIDTH_PX - _MARGIN_PX, HEIGHT_PX - _MARGIN_PX
    texts = (
        (left, _MARGIN_PX - 24, "start", _escaped(title)),
        (left - 8, _MARGIN_PX + 5, "end", f"{top:.3g}"),
        (left - 8, base + 5, "end", "0"),
        (left, base + 24, "middle", "0"),
        (right, base + 24, "middle", f"{count - 1:,} steps"),
    )
    labels = "".join(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in texts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{HEIGHT_PX}" '
        f'font-family="sans-serif" font-size="14"><rect width="100%" height="100%" fill="#fff"/>'
        f'<path d="M{left},{_MARGIN_PX}V{base}H{right}" fill="none" stroke="#999"/>'
        f'<polyline points="{points}" fill="none" stroke="#c0392b" stroke-width="2"/>{labels}</svg>\n'
    ).encode()


def write(path: Path, rates: Sequence[float], title: str) -> None:
    """Write the curve to ``path``, aside and renamed: SVG or PNG, as its ending says.

    Raises:
        UsageError: For another ending, or if it cannot be written.
    """
    picture = svg(rates, title)
    if path.suffix.lower() == ".png":
        import cairosvg

        picture = cairosvg.svg2png(bytestring=picture)
    elif path.suffix.lower() != ".svg":
        raise UsageError("is neither .svg nor .png", str(path), "end its name with one of them")
    aside = path.with_name(f".{path.name}.part")
    try:
        aside.write_bytes(picture)
        aside.rename(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise UsageError(f"cannot be written: {os_reason(error)}", str(path), "give another path") from error


def _dot(rate: float, top: float, rows: int) -> int:
    return min(rows * 4 - 1, int(rate / top * (rows * 4 - 1) + 0.5))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
