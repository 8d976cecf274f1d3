"""A rendered character as a good generator might have painted it: natural variation, no damage."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

REFERENCE_PX: Final = 256
"""Side of the picture that every amount below in px is meant for; it grows with the picture."""

SCALES: Final = (0.88, 1.0)
"""Size of the character against the rendered one: generators leave a wider border now and then, rarely a narrower."""
SHIFT_PX: Final = 4.0
"""How far it moves at most, each way: less than the border that KanjiVG's drawings have."""
WIDTH_PX: Final = 0.6
"""How far the edge of a stroke moves at most, out or in: strokes of 7 px become 5.8 to 8.2 px wide."""
BLUR_PX: Final = 1.2
"""Largest standard deviation of the blur: a VAE's edges are one to two px wide after scaling down."""
LEAST_BLUR_PX: Final = 0.2
"""Below this a blur does not change a picture of 8 bits."""
PAPER: Final = (0.88, 1.0)
"""Lightness of the paper: painted white is seldom full white."""
INK: Final = (0.0, 0.15)
"""Lightness of the ink: painted black is seldom full black."""
GRADIENT_SHARE: Final = 0.25
"""Share of pictures whose paper is lighter on one side than on the other."""
GRADIENT: Final = 0.05
"""Largest difference between these sides."""
NOISE: Final = 0.015
"""Largest standard deviation of grain, where 1 is white."""
TINT: Final = 0.012
"""How far a colour channel is off the grey at most: one to three of 255 levels, which no eye sees."""
JPEG_SHARE: Final = 0.3
"""Share of pictures that went through JPEG: strips on the web and some trainers save it."""
JPEG_QUALITY: Final = (80, 95)
"""Qualities that programs save with by default."""

Grey = NDArray[np.uint8]
Levels = NDArray[np.float32]


def vary(grey: Grey, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture with natural variation: (H, W, 3) uint8 RGB.

    Args:
        grey: (H, W), black on white, as ``raster.Canvas`` draws it.
        rng: Decides every amount.
    """
    unit = grey.shape[1] / REFERENCE_PX
    moved = _moved(grey, rng, unit)
    drawn = _blurred(_widened(moved, WIDTH_PX * unit * rng.uniform(-1, 1)), unit * rng.uniform(0, BLUR_PX))
    painted = _coloured(_grained(_inked(drawn, rng), rng), rng)
    return _through_jpeg(painted, int(rng.integers(*JPEG_QUALITY))) if rng.random() < JPEG_SHARE else painted


def _moved(grey: Grey, rng: np.random.Generator, unit: float) -> Grey:
    """Smaller, and a few px from the middle."""
    height, width = grey.shape
    zoom = 1 / rng.uniform(*SCALES)
    right, down = rng.uniform(-SHIFT_PX, SHIFT_PX, 2) * unit
    inverse = (zoom, 0.0, width / 2 * (1 - zoom) - right, 0.0, zoom, height / 2 * (1 - zoom) - down)
    picture = Image.fromarray(grey)
    return np.asarray(
        picture.transform((width, height), Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR, fillcolor=255)
    )


def _widened(grey: Grey, grow_px: float) -> Grey:
    """Every stroke wider by ``grow_px`` on each side, or narrower where it is negative; parts of a px are blended."""
    wide = grey
    for _ in range(int(abs(grow_px))):
        wide = _widened_once(wide, grow_px > 0)
    rest = abs(grow_px) % 1
    mixed = wide * np.float32(1 - rest) + _widened_once(wide, grow_px > 0) * np.float32(rest)
    return mixed.astype(np.uint8)


def _widened_once(grey: Grey, darker: bool) -> Grey:
    """Each px becomes the darkest, or the lightest, of itself and its four neighbours."""
    pick = np.minimum if darker else np.maximum
    wide = grey.copy()
    pick(wide[1:], grey[:-1], out=wide[1:])
    pick(wide[:-1], grey[1:], out=wide[:-1])
    pick(wide[:, 1:], grey[:, :-1], out=wide[:, 1:])
    pick(wide[:, :-1], grey[:, 1:], out=wide[:, :-1])
    return wide


def _blurred(grey: Grey, sigma_px: float) -> Grey:
    if sigma_px < LEAST_BLUR_PX:
        return grey
    return np.asarray(Image.fromarray(grey).filter(ImageFilter.GaussianBlur(sigma_px)))


def _inked(grey: Grey, rng: np.random.Generator) -> Levels:
    """Off-black ink on off-white paper, 0 to 1; now and then one side of the paper is a little darker."""
    paper, ink = rng.uniform(*PAPER), rng.uniform(*INK)
    inked = grey * np.float32((paper - ink) / 255) + np.float32(ink)
    if rng.random() < GRADIENT_SHARE:
        turn, height, width = rng.uniform(0, 2 * np.pi), *grey.shape
        down = np.linspace(-0.5, 0.5, height, dtype=np.float32) * np.float32(np.sin(turn))
        across = np.linspace(-0.5, 0.5, width, dtype=np.float32) * np.float32(np.cos(turn))
        inked *= 1 - np.float32(rng.uniform(0, GRADIENT)) * (0.5 + down[:, None] + across)
    return inked


def _grained(levels: Levels, rng: np.random.Generator) -> Levels:
    sigma = np.float32(rng.uniform(0, NOISE))
    return levels + sigma * rng.standard_normal(levels.shape, np.float32)


def _coloured(levels: Levels, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Three channels of 8 bits, each a trace lighter or darker than the grey."""
    tint = 255 * (1 + rng.uniform(-TINT, TINT, 3))
    coloured = np.empty((*levels.shape, 3), np.uint8)
    for channel in range(3):
        coloured[:, :, channel] = np.clip(levels * np.float32(tint[channel]), 0, 255)
    return coloured


def _through_jpeg(rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=quality)
    with Image.open(stream) as picture:
        return np.array(picture)
