"""Damage to a whole picture, as a diverged adapter paints it. All sizes are px of a picture of 256.

Every function takes a picture (H, W, 3) with 1 for white, a severity above 0 and at most 1, and a generator. What it
draws at random does not depend on the severity, so that with the same generator more of it is more of the same
damage. ``corruptions`` clips the result to 0 to 1.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from kanjiprep.evaluation.variants import REFERENCE_PX

Levels = NDArray[np.float32]

NOISE: Final = 0.4
"""Standard deviation of what ``noise`` adds at full severity."""
BLOTCH: Final = 0.35
"""Standard deviation of what ``blotch`` adds at full severity."""
TEXTURE: Final = 0.35
"""Standard deviation of what ``texture`` adds at full severity."""
GRID: Final = 0.35
"""Standard deviation of what ``grid`` adds at full severity."""
PATCHES_PX: Final = (4, 8, 16)
"""Sides of a broken patch: 16 px, the patch of Stable Diffusion 3, are 4 of a picture scaled from 1024 to 256."""
MOSAIC_PX: Final = 32
"""Side of a block of ``pixelation`` at full severity."""
TINTED_PAPER: Final = 0.6
"""How much of a bright colour the paper takes on at full severity."""
TINTED_INK: Final = 1.0
"""How much of one the ink takes on at full severity: a picture has far less ink than paper."""
BLUR_PX: Final = 8.0
"""Standard deviation of ``blur`` at full severity; sound pictures have up to 1.2."""
SHADE: Final = 0.75
"""Share of the light that ``shade`` takes from the darkest place at full severity."""
INVERTED_EDGE_PX: Final = 6.0
"""How soft the edge of the inverted part is."""


def noise(picture: Levels, severity: float, rng: np.random.Generator) -> Levels:
    """Grain, grey or coloured, of a standard deviation of 0.4 at 1; the picture is lost in it from 0.5 to 1."""
    height, width, channels = picture.shape
    grain = rng.standard_normal((height, width, channels if rng.random() < _HALF else 1), np.float32)
    return _lost(picture, severity) + np.float32(NOISE * severity) * grain


def blotch(picture: Levels, severity: float, rng: np.random.Generator) -> Levels:
    """Coloured blobs 8 to 64 px wide, of a standard deviation of 0.35 at 1; the picture is lost from 0.5 to 1."""
    blobs = _smooth(picture.shape, float(np.exp(rng.uniform(np.log(8), np.log(64)))), rng)
    return _lost(picture, severity) + np.float32(BLOTCH * severity) * blobs


def texture(picture: Levels, severity: float, rng: np.random.Generator) -> Levels:
    """Wavy stripes 3 to 12 px apart, or two crossed into a weave, of a standard deviation of 0.35 at 1."""
    turn, woven = rng.uniform(0, np.pi), rng.random() < _HALF
    stripes = _stripes(picture.shape, turn, rng)
    if woven:
        stripes = stripes * _stripes(picture.shape, turn + np.pi / 2, rng)
    hue = 1 + np.float32(0.5) * rng.standard_normal(3).astype(np.float32)
    return _lost(picture, severity) + np.float32(TEXTURE * severity) * _unit(stripes)[:, :, None] * hue


def grid(picture: Levels, severity: float, rng: np.random.Generator) -> Levels:
    """The same patch of 4, 8 or 16 px again and again, of a standard deviation of 0.35 at 1, a little uneven."""
    height, width, _ = picture.shape
    side = max(2, round(int(rng.choice(PATCHES_PX)) * width / REFERENCE_PX))
    patch = _unit(rng.standard_normal((side, side, 3)).astype(np.float32))
    times = (-(-height // side), -(-width // side))
    strength = 1 + np.float32(0.3) * rng.standard_normal(times).astype(np.float32)
    tiled = np.tile(patch, (*times, 1)) * np.kron(strength, np.ones((side, side), np.float32))[:, :, None]
    return _lost(picture, severity) + np.float32(GRID * severity) * tiled[:height, :width]


def pixelation(picture: Levels, severity: float, _rng: np.random.Generator) -> Levels:
    """Blocks of one colour, 32 px times ``severity`` wide."""
    height, width, _ = picture.shape
    block = MOSAIC_PX * severity * width / REFERENCE_PX
    few = _image(picture).resize((max(1, round(width / block)), max(1, round(height / block))), Image.Resampling.BOX)
    return _levels(few.resize((width, height), Image.Resampling.NEAREST))


def black(picture: Levels, severity: float, _rng: np.random.Generator) -> Levels:
    """All darkens by ``severity``: black at 1."""
    return picture * np.float32(1 - severity)


def white(picture: Levels, severity: float, _rng: np.random.Generator) -> Levels:
    """The ink fades into the paper by ``severity``: an empty sheet at 1."""
    paper = np.median(picture, (0, 1))
    faded: Levels = picture + np.float32(severity) * (paper - picture)
    return faded


def inverted(picture: Levels, severity: float, rng: np.random.Generator) -> Levels:
    """White on black in ``severity`` of the area, from one side or corner on, with a soft edge of 6 px."""
    height, width, _ = picture.shape
    from_side = rng.uniform(0, 2 * np.pi)
    far = np.arange(height)[:, None] * np.sin(from_side) + np.arange(width) * np.cos(from_side)
    edge = np.quantile(far, severity) + (severity == 1) * width
    softness = INVERTED_EDGE_PX * width / REFERENCE_PX
    there = np.clip((edge - far) / softness + 0.5, 0, 1).astype(np.float32)[:, :, None]
    turned: Levels = picture + there * (1 - 2 * picture)
    return turned


def colour(picture: Levels, severity: float, rng: np.random.Generator) -> Levels:
    """Paper, ink or both take on a bright colour: ``severity`` of it the ink, 0.6 times ``severity`` the paper."""
    paper, ink = _hue(rng), _hue(rng)
    which = rng.integers(3)
    light = 1 - np.float32(TINTED_PAPER * severity * (which != 0)) * (1 - paper)
    dark = np.float32(TINTED_INK * severity * (which != 1)) * ink
    return picture * light + (1 - picture) * dark


def blur(picture: Levels, severity: float, _rng: np.random.Generator) -> Levels:
    """Out of focus by a standard deviation of 8 px times ``severity``."""
    sigma = BLUR_PX * severity * picture.shape[1] / REFERENCE_PX
    return _levels(_image(picture).filter(ImageFilter.GaussianBlur(sigma)))


def shade(picture: Levels, severity: float, rng: np.random.Generator) -> Levels:
    """Uneven dark paper: 0.75 times ``severity`` of the light is gone in the darkest place, none in the lightest."""
    field = _smooth((*picture.shape[:2], 1), rng.uniform(60, 120), rng)
    dark = (field - field.min()) / (field.max() - field.min())
    shaded: Levels = picture * (1 - np.float32(SHADE * severity) * dark)
    return shaded


def patch_shuffle(picture: Levels, severity: float, rng: np.random.Generator) -> Levels:
    """``severity`` of the patches, 16 or 32 px wide, lie where another one belongs."""
    height, width, _ = picture.shape
    side = max(1, round(int(rng.choice((16, 32))) * width / REFERENCE_PX))
    rows, columns = height // side, width // side
    order = rng.permutation(rows * columns)[: max(2, round(severity * rows * columns))]
    shuffled = picture.copy()
    for here, there in zip(order.tolist(), np.roll(order, 1).tolist(), strict=True):
        shuffled[_patch(here, columns, side)] = picture[_patch(there, columns, side)]
    return shuffled


_HALF: Final = 0.5


def _lost(picture: Levels, severity: float) -> Levels:
    """The picture, fading to grey from half severity to full."""
    gone = np.float32(max(0.0, 2 * severity - 1))
    return picture + gone * (np.float32(_HALF) - picture)


def _smooth(shape: tuple[int, ...], wide_px: float, rng: np.random.Generator) -> Levels:
    """Random blobs about ``wide_px`` wide, with a mean of 0 and a standard deviation of 1."""
    height, width, channels = shape
    cells = [max(2, round(REFERENCE_PX / wide_px * side / width)) + 1 for side in (width, height)]
    coarse = rng.standard_normal((cells[1], cells[0], channels)).astype(np.float32)
    planes = [
        np.asarray(Image.fromarray(coarse[:, :, index]).resize((width, height), Image.Resampling.BICUBIC))
        for index in range(channels)
    ]
    return _unit(np.stack(planes, 2))


def _stripes(shape: tuple[int, ...], turn: float, rng: np.random.Generator) -> Levels:
    height, width, _ = shape
    unit = width / REFERENCE_PX
    apart = float(np.exp(rng.uniform(np.log(3), np.log(12)))) * unit
    bend = _smooth((height, width, 1), 48, rng)[:, :, 0]
    down, across = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    return np.sin((down * np.float32(np.sin(turn)) + across * np.float32(np.cos(turn))) * 2 * np.pi / apart + bend)


def _unit(field: Levels) -> Levels:
    scaled: Levels = (field - field.mean()) / (field.std() + np.float32(1e-6))
    return scaled


def _hue(rng: np.random.Generator) -> Levels:
    """A bright colour: one channel full, one empty, one between."""
    return rng.permutation(np.array([0, rng.random(), 1], np.float32))


def _patch(number: int, columns: int, side: int) -> tuple[slice, slice]:
    row, column = divmod(number, columns)
    return slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)


def _image(picture: Levels) -> Image.Image:
    return Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))


def _levels(image: Image.Image) -> Levels:
    return np.asarray(image, np.float32) / np.float32(255)
