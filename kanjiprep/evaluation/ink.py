"""The ink of a picture: which pixels are ink, and what its strokes measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_SPECK_SHARE: Final = 0.0002
_REACH_PX: Final = 4
"""Paper is what lies further than so many pixels from ink."""
_TURN_PX: Final = 4
_UPRIGHT: Final = np.radians(12)
_LINE: Final = 0.9
"""How much longer than wide the skeleton in a small window is, of 1, to count as a line."""
_LEAST_LINE_PX: Final = 4
_LEAST_SPREAD: Final = 1e-9
_JOINT: Final = 3
_TOUCHED: Final = 1e-4
_EIGHT: Final = np.ones((3, 3), bool)
_RING: Final = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
SHAPES: Final = 14
"""How many statistics ``shape`` gives."""


@dataclass(frozen=True, slots=True)
class Ink:
    """Which pixels are ink.

    Attributes:
        mask: (H, W), without specks.
        far: (H, W), paper that is well away from ink.
        specks: How many spots are too small to be ink.
        pieces: How many connected pieces are left.
        outline_px: Length of the outline of the pieces.
    """

    mask: Mask
    far: Mask
    specks: int
    pieces: int
    outline_px: float


def find(grey: NDArray[np.float32]) -> Ink:
    """The ink of a picture, whether it is dark on light or light on dark.

    Args:
        grey: (H, W), 0 black to 1 white.
    """
    from scipy import ndimage

    mask = dark = grey < (split((grey * 255).astype(np.uint8)) + 0.5) / 255
    if dark[[0, -1]].mean() + dark[:, [0, -1]].mean() > 1:
        mask = ~dark
    labels, count = ndimage.label(mask, _EIGHT)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    is_piece = sizes >= _SPECK_SHARE * grey.size
    far = ndimage.uniform_filter(mask.astype(np.float32), 2 * _REACH_PX + 1) < _TOUCHED
    kept = is_piece[labels]
    return Ink(kept, far, int(count - is_piece.sum()), int(is_piece.sum()), _outline(kept))


def split(levels: NDArray[np.uint8]) -> float:
    """The level that parts dark and light best; the dark is at or below it.

    Source: N. Otsu, A threshold selection method from gray-level histograms, IEEE SMC 9 (1979).
    """
    counts = np.bincount(levels.ravel(), minlength=256).astype(np.float64)
    below, sums = counts.cumsum(), (counts * np.arange(256)).cumsum()
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = np.nan_to_num(below * above * (sums / below - (sums[-1] - sums) / above) ** 2)
    return float(np.flatnonzero(between == between.max()).mean())


def shape(found: Ink) -> tuple[float, ...]:
    """The ``SHAPES`` statistics of the shape, in their order; all 0 where there is no ink."""
    from skimage.morphology import skeletonize

    mask, side = found.mask, found.mask.shape[0]
    if not mask.any():
        return (0.0,) * SHAPES
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 2)
    bones = skeletonize(box)
    length = max(1, int(bones.sum())) / side
    middle = (rows[0] + rows[-1]) / 2 / side, (columns[0] + columns[-1]) / 2 / side
    width, spread = _widths(box, bones)
    ends, joints = _ends(bones, length)
    return (
        float(mask.mean()),
        float(np.log1p(found.pieces)),
        width,
        spread,
        length,
        ends,
        joints,
        _holes(box),
        float(max(rows[-1] - rows[0], columns[-1] - columns[0]) / side),
        float(np.hypot(middle[0] - 0.5, middle[1] - 0.5)),
        *_turns(bones),
        found.outline_px / (2 * length * side),
        _fill(box),
    )


def _widths(box: Mask, bones: Mask) -> tuple[float, float]:
    """Median width of the strokes in px, and their quartile distance over it; odd widths come out 1 px too wide."""
    from scipy import ndimage

    widths = 2 * ndimage.distance_transform_edt(box)[bones]
    if not len(widths):
        return 0.0, 0.0
    quarter, median, three = np.quantile(widths, (0.25, 0.5, 0.75))
    return float(median), float((three - quarter) / median)


def _ends(bones: Mask, length: float) -> tuple[float, float]:
    """Ends and joints of the skeleton over its length, in sides of the picture."""
    from scipy import ndimage

    beside = ndimage.convolve(bones.astype(np.uint8), _RING, mode="constant")
    return float((bones & (beside == 1)).sum() / length), _joints(bones, beside) / length


def _holes(box: Mask) -> float:
    from scipy import ndimage

    return float(np.log1p(ndimage.label(~box)[1] - 1))


def _joints(bones: Mask, beside: NDArray[np.uint8]) -> int:
    """Clusters of skeleton pixels with three or more neighbours."""
    from scipy import ndimage

    return int(ndimage.label(bones & (beside >= _JOINT), _EIGHT)[1])


def _outline(box: Mask) -> float:
    """Length of the ink's outline in px, each crossing from ink to paper weighed for slanted lines."""
    return float((np.diff(box, axis=0).sum() + np.diff(box, axis=1).sum()) * np.pi / 4)


def _turns(bones: Mask) -> tuple[float, float]:
    """What the skeleton lacks of a line, 0 to 1 in the mean, and the share of its lines that is level or upright.

    Without a line, as in a dot, 1 and 0. Directions are those of the main axis of the skeleton in a small window
    around each of its pixels.
    """
    from scipy import ndimage

    y, x = np.nonzero(bones)
    down, right = np.mgrid[: bones.shape[0], : bones.shape[1]].astype(np.float32) / bones.shape[0]

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        summed: NDArray[np.float32] = ndimage.uniform_filter(np.where(bones, values, 0), 2 * _TURN_PX + 1)[y, x]
        return summed

    count = mean(np.ones_like(down))
    mx, my = mean(right) / count, mean(down) / count
    sxx, syy = mean(right * right) / count - mx * mx, mean(down * down) / count - my * my
    sxy = mean(right * down) / count - mx * my
    angle = 0.5 * np.arctan2(2 * sxy, sxx - syy)
    line = np.hypot(sxx - syy, 2 * sxy) / np.maximum(sxx + syy, _LEAST_SPREAD)
    is_line = line > _LINE
    if is_line.sum() < _LEAST_LINE_PX:
        return 1.0, 0.0
    off = np.abs((angle[is_line] + np.pi / 4) % (np.pi / 2) - np.pi / 4)
    return float(1 - line.mean()), float((off < _UPRIGHT).mean())


def _fill(box: Mask) -> float:
    middle_y, middle_x = box.shape[0] // 2, box.shape[1] // 2
    quarters = [
        box[:middle_y, :middle_x],
        box[:middle_y, middle_x:],
        box[middle_y:, :middle_x],
        box[middle_y:, middle_x:],
    ]
    shares = [one.mean() for one in quarters]
    return float(min(shares) / max(np.mean(shares), 1e-6))
