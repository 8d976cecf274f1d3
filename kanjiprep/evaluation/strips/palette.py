"""A picture in few colours, among them some that stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import KDTree

from kanjiprep.evaluation.strips.pieces import Colour

_SAMPLE_PX: Final = 2_000_000
_BAND_PX: Final = 256
_BITS: Final = 6
"""Of each channel, by which colours are told apart: Pillow's own mapping turns white into nearly white."""


def reduced(picture: Image.Image, own: Sequence[Colour], most: int) -> Image.Image:
    """``picture`` (RGB) in ``most`` colours: ``own`` ones exactly, the rest from what it has.

    Args:
        picture: RGB.
        own: Colours that are kept; they must differ by 4 at least in a channel.
        most: 256 at most, more than there are ``own``.
    """
    colours = np.concatenate([np.array(own, np.uint8), _frequent(picture, most - len(own))])
    pixels = np.asarray(picture)
    keys = np.concatenate([_keys(pixels[top : top + _BAND_PX]) for top in range(0, picture.height, _BAND_PX)])
    found = Image.fromarray(_nearest(keys, colours, len(own))[keys])
    found.putpalette(colours.tobytes())
    return found


def _frequent(picture: Image.Image, most: int) -> NDArray[np.uint8]:
    """Colours that ``picture`` is well shown in, from a part of its pixels."""
    thinner = max(1, round((picture.width * picture.height / _SAMPLE_PX) ** 0.5))
    size = (max(1, picture.width // thinner), max(1, picture.height // thinner))
    sample = picture.resize(size, Image.Resampling.NEAREST).quantize(most, dither=Image.Dither.NONE)
    return np.array(sample.getpalette(), np.uint8).reshape(-1, 3)[:most]


def _nearest(keys: NDArray[np.int32], colours: NDArray[np.uint8], own: int) -> NDArray[np.uint8]:
    """For each key that occurs the colour that is nearest to it."""
    table = np.zeros(1 << 3 * _BITS, np.uint8)
    used = np.flatnonzero(np.bincount(keys.ravel(), minlength=len(table)))
    levels = np.stack([used >> 2 * _BITS, used >> _BITS, used], 1) & (1 << _BITS) - 1
    middles = (levels << 8 - _BITS) + (1 << 7 - _BITS) - 0.5
    table[used] = KDTree(colours.astype(float)).query(middles)[1]
    table[_keys(colours[:own])] = np.arange(own)
    return table


def _keys(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    levels = (pixels >> 8 - _BITS).astype(np.int32)
    keys: NDArray[np.int32] = (levels[..., 0] << 2 * _BITS) | (levels[..., 1] << _BITS) | levels[..., 2]
    return keys
