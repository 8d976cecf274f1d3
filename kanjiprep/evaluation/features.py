"""What a picture of a character measures: is it ink on paper, and is it built of strokes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from kanjiprep.evaluation import ink
from kanjiprep.evaluation.ink import Ink

VERSION: Final = 1
"""Of the formulas: raise it when that of any statistic changes, so that bands kept by the old one are made anew."""
SIDE_PX: Final = 256
"""Side of the pictures that are measured; larger ones are reduced to it."""
_LEVELS: Final = 255.0
_BORDER_PX: Final = 6
_MIDDLE: Final = (0.15, 0.85)
_CELLS: Final = 16
_SIGMA_OF_MAD: Final = 1.4826
"""Makes a median absolute deviation a standard deviation, of normal numbers."""
_MOST_SOFT_PX: Final = 32.0
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
"""Source: ITU-R BT.601, which Pillow's mode L uses."""

Kind = Literal["style", "shape"]


@dataclass(frozen=True, slots=True)
class Statistic:
    """A number that is measured in every picture.

    Attributes:
        name: As in ``PictureScore.statistics``.
        kind: ``style`` for ink on paper, ``shape`` for strokes.
        range: Its least and greatest value, in words, with its unit.
        low: What a picture below the band is called; empty if that is no fault.
        high: What a picture above the band is called; empty if that is no fault.
        source: Whose measure it is.
    """

    name: str
    kind: Kind
    range: str
    low: str
    high: str
    source: str


_OURS: Final = "ours"
STATISTICS: Final = (
    Statistic(
        "colour",
        "style",
        "0 grey to 298; 109 is extremely colourful",
        "",
        "colourful",
        "Hasler and Suesstrunk, Measuring colourfulness in natural images, SPIE 5007 (2003), M3",
    ),
    Statistic("middle", "style", "0 to 1, share of pixels of 15 to 85 % brightness", "", "grey all over", _OURS),
    Statistic("paper", "style", "0 black to 1 white, median of the border", "dark paper", "", _OURS),
    Statistic(
        "border",
        "style",
        "0 to 0.75, robust standard deviation of the border's brightness",
        "",
        "ragged border",
        _OURS,
    ),
    Statistic(
        "contrast", "style", "-1 to 1, paper less the darkest 0.4 % of the picture", "little contrast", "", _OURS
    ),
    Statistic(
        "softness",
        "style",
        "0 to 32 px, pixels between ink and paper for each px of outline",
        "",
        "blurred edges",
        _OURS,
    ),
    Statistic("polarity", "style", "-1 to 1, paper less the mean brightness", "light on dark", "", _OURS),
    Statistic(
        "grain",
        "style",
        "0 to 1, mean departure of paper from its neighbours",
        "",
        "grainy paper",
        "after Immerkaer, Fast noise variance estimation, CVIU 64 (1996)",
    ),
    Statistic("unevenness", "style", "0 to 0.5, standard deviation of the paper's cells", "", "uneven paper", _OURS),
    Statistic("specks", "style", "log(1 + number of spots of less than 0.02 % of the picture)", "", "specks", _OURS),
    Statistic(
        "steps",
        "style",
        "0 to 1, share of all slopes on the lines of a grid, 0 for what chance puts there",
        "",
        "a grid of blocks",
        _OURS,
    ),
    Statistic("ink", "shape", "0 to 1, share of pixels that are ink", "little ink", "much ink", _OURS),
    Statistic("pieces", "shape", "log(1 + pieces of connected ink)", "few pieces", "many pieces", _OURS),
    Statistic(
        "width",
        "shape",
        "px, median width of the strokes; an odd one measures one more",
        "thin strokes",
        "thick strokes",
        _OURS,
    ),
    Statistic(
        "width_spread", "shape", "0 up, their quartile distance over their median", "", "uneven strokes", _OURS
    ),
    Statistic(
        "length",
        "shape",
        "0 up, pixels of the skeleton over the side of the picture",
        "few strokes",
        "many strokes",
        _OURS,
    ),
    Statistic(
        "ends",
        "shape",
        "0 up, ends of the skeleton over its length in sides",
        "few stroke ends",
        "many stroke ends",
        _OURS,
    ),
    Statistic(
        "joints", "shape", "0 up, joints of the skeleton over its length in sides", "few joints", "many joints", _OURS
    ),
    Statistic("holes", "shape", "log(1 + holes in the ink)", "few holes", "many holes", _OURS),
    Statistic("extent", "shape", "0 to 1, longer side of the ink's box", "small", "", _OURS),
    Statistic("centre", "shape", "0 to 0.7, distance of the ink's box from the centre", "", "off centre", _OURS),
    Statistic(
        "bend",
        "shape",
        "0 straight to 1, mean of what the skeleton lacks of a line within 9 px",
        "",
        "wavy strokes",
        _OURS,
    ),
    Statistic(
        "upright",
        "shape",
        "0 to 1, share of the straight skeleton within 12 degrees of level or upright",
        "strokes lie across",
        "strokes lie too straight",
        _OURS,
    ),
    Statistic(
        "roughness",
        "shape",
        "0 up, outline over twice the skeleton; smooth strokes have 0.8 if level to 1.7 if slanted",
        "",
        "rough outlines",
        _OURS,
    ),
    Statistic(
        "fill", "shape", "0 to 1, least ink of the box's quarters over their mean", "an empty corner", "", _OURS
    ),
)
NAMES: Final = tuple(one.name for one in STATISTICS)
STYLE: Final = np.array([one.kind == "style" for one in STATISTICS])
Values = NDArray[np.float64]
"""One number for each of ``STATISTICS``, in their order."""


def measure(picture: NDArray[np.uint8]) -> Values:
    """Every statistic of a picture.

    Args:
        picture: (256, 256, 3) uint8, RGB.

    Returns:
        (``len(STATISTICS)``,) float64, all finite, in the order of ``STATISTICS``.
    """
    rgb = picture.astype(np.float32) / np.float32(_LEVELS)
    grey = (rgb @ _LUMA).astype(np.float32)
    found = ink.find(grey)
    return np.array([*_style(rgb, grey, found), *ink.shape(found)], np.float64)


def _style(rgb: NDArray[np.float32], grey: NDArray[np.float32], found: Ink) -> tuple[float, ...]:
    border = _border(grey)
    paper = float(np.median(border))
    low, high = _MIDDLE
    middle = float(((grey > low) & (grey < high)).mean())
    return (
        _colour(rgb),
        middle,
        paper,
        _SIGMA_OF_MAD * float(np.median(np.abs(border - paper))),
        paper - float(np.quantile(grey[::2, ::2], 0.004)),
        _softness(grey, found),
        paper - float(grey.mean()),
        _grain(grey, found),
        _unevenness(grey, found),
        float(np.log1p(found.specks)),
        _steps(grey),
    )


def _border(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    edge = _BORDER_PX
    return np.concatenate(
        [grey[:edge].ravel(), grey[-edge:].ravel(), grey[:, :edge].ravel(), grey[:, -edge:].ravel()]
    )


def _colour(rgb: NDArray[np.float32]) -> float:
    some = rgb[::2, ::2] * np.float32(_LEVELS)
    red, green, blue = some[..., 0], some[..., 1], some[..., 2]
    first, second = red - green, (red + green) / 2 - blue
    spread = np.hypot(first.std(), second.std())
    return float(spread + 0.3 * np.hypot(first.mean(), second.mean()))


def _softness(grey: NDArray[np.float32], found: Ink) -> float:
    """Pixels between ink and paper for each pixel of outline: how wide the way from one to the other is."""
    if not found.outline_px:
        return 0.0
    dark, light = np.quantile(grey[::2, ::2], (0.01, 0.99))
    low, high = (dark + share * (light - dark) for share in _MIDDLE)
    return min(_MOST_SOFT_PX, float(((grey > low) & (grey < high)).sum()) / found.outline_px)


def _grain(grey: NDArray[np.float32], found: Ink) -> float:
    middle = grey[1:-1, 1:-1]
    beside = (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]) / 4
    paper = found.far[1:-1, 1:-1]
    departures = np.abs(middle - beside)
    return float(departures[paper].mean() if paper.any() else departures.mean())


def _unevenness(grey: NDArray[np.float32], found: Ink) -> float:
    """Between the means of the paper in each of 16 x 16 cells."""
    side = grey.shape[0] // _CELLS
    counts = found.far.reshape(_CELLS, side, _CELLS, side).sum((1, 3))
    sums = np.where(found.far, grey, 0).reshape(_CELLS, side, _CELLS, side).sum((1, 3))
    enough = counts > side
    return float((sums[enough] / counts[enough]).std()) if enough.any() else 0.5


def _steps(grey: NDArray[np.float32]) -> float:
    """How much stronger slopes are on the lines of a grid than elsewhere, for the likeliest grid."""
    best = 0.0
    across, along = np.abs(np.diff(grey, axis=1)).sum(0), np.abs(np.diff(grey, axis=0)).sum(1)
    for period in (2, 4, 8, 16):
        for slopes in (across, along):
            shares = [slopes[start::period].sum() for start in range(period)]
            total = sum(shares)
            if total > 0:
                best = max(best, (max(shares) / total - 1 / period) / (1 - 1 / period))
    return best
