"""Whether a validation picture has gone bad: black, of one colour, or noise.

Only what is beyond doubt is a fault, for a guard that cries wolf is turned off. Untrained models paint photographs
and trained ones paint kanji; neither is ever faulted, and a fault counts only against an earlier picture without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageStat

from kanjiprep.training.running import picture_file

_LATENT_PX: Final = 8
"""Side of the square that one latent of Stable Diffusion's autoencoders becomes."""
_TOKEN_PX: Final = 16
"""Side of the square that one token of SD3's transformer becomes: two latents."""
_BLACK: Final = 24.0
"""``Look.brightest`` below this is black; the darkest wallpaper looked at has 37, photographs 80 and more."""
_ONE_COLOUR: Final = 8.0
"""``Look.span`` below this is one colour; whole photographs have 37 and more, a piece of sky 11."""
GRAINY: Final = 0.8
"""``Look.grain`` from this on is noise; photographs reach 0.45 and fractal noise 0.66, white noise begins at 0.93."""
BLOCKY: Final = 0.6
"""``Look.blocks`` from this on is noise; gravel and kanji reach 0.51, smooth random latents begin at 0.69."""
_MOTTLED: Final = 0.6
"""``Look.mottle`` from this on is noise; photographs reach 0.14, abstract paintings 0.54, what a pipeline with random
weights painted has 0.67 to 0.69."""

_CELLS_PX: Final = (_LATENT_PX, _TOKEN_PX)
_COLOURFUL: Final = 0.4
_LEAST_COLOUR: Final = 2.0
_LEAST_CELLS: Final = 32
_NEIGHBOURHOOD: Final = 3
_WHITE_NOISE: Final = 0.6745 * 1.25**0.5
"""Median departure from the mean of four neighbours, of Gaussian white noise with standard deviation 1."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one picture looks like, in five numbers.

    Attributes:
        brightest: Level that one pixel in a thousand passes in some colour, 0 to 255.
        span: Widest distance of two 8 px cells' means in one colour, 0 to 255.
        grain: How much of the contrast is noise from pixel to pixel, 0 (none) to about 1 (white noise), in the colour
            with most contrast. The median departure from the four neighbours' mean over the standard deviation, each
            as white noise has it; a median, so that half the picture must be noisy. In the manner of J. Immerkaer,
            "Fast noise variance estimation", CVIU 64 (1996).
        blocks: The same from latent to latent, or from token to token if that is more.
        mottle: The same of both Cb and Cr, the lesser of the two, from latent to latent, of what is left when each
            latent is one colour. 0 where colour varies little beside brightness, as in most photographs.
    """

    brightest: float
    span: float
    grain: float
    blocks: float
    mottle: float


def look(path: Path) -> Look:
    """What the picture at ``path`` (PNG, WebP or JPEG) looks like, without what SimpleTuner draws around it.

    Raises:
        TrainerError: If it cannot be read, is half written, or has more than ``picture_file.MOST_PIXELS``.
    """
    return _facts(_newest(picture_file.read(path), path.name))


def faults(look: Look) -> tuple[str, ...]:
    """What is surely wrong with a picture: "black", "blank" (one colour) or "noise"; mostly nothing."""
    if look.brightest < _BLACK:
        return ("black",)
    if look.span < _ONE_COLOUR:
        return ("blank",)
    return ("noise",) if look.grain >= GRAINY or look.blocks >= BLOCKY or look.mottle >= _MOTTLED else ()


def gone_bad(before: Look | None, now: Look) -> tuple[str, ...]:
    """The faults of ``now`` that ``before``, the last good look at the same prompt, did not have.

    Nothing without a ``before``: what never was good cannot go bad, as with a model of random weights.
    """
    if before is None:
        return ()
    return tuple(fault for fault in faults(now) if fault not in faults(before))


def _newest(picture: Image.Image, file_name: str) -> Image.Image:
    """The newest picture alone, without the rows that its label may be in."""
    found = picture_file.layout(file_name, picture.size)
    left, top, right, bottom = found.newest
    if found.pictures == 1:
        return picture.crop(found.newest)
    # The same pixels whether or not a column was added at the right, and so a part that both have.
    end, label = picture.width - 1, min(picture_file.LABEL_PX, (bottom - top) // 2)
    return picture.crop((end + 1 - (right - left), top + label, end, bottom))


def _facts(picture: Image.Image) -> Look:
    spreads = ImageStat.Stat(picture).stddev
    strongest = max(range(len(spreads)), key=spreads.__getitem__)
    colour, contrast = picture.getchannel(strongest), max(spreads[strongest], 1.0)
    thumb = np.asarray(picture.reduce(max(1, max(picture.size) // 256)))
    cells = picture.reduce(_LATENT_PX)
    coarse = [_noise(colour.reduce(side)) for side in _CELLS_PX if _has_cells(picture, side)]
    return Look(
        brightest=float(np.quantile(thumb.max(axis=-1), 0.999)),
        span=float(np.ptp(np.asarray(cells), axis=(0, 1)).max()),
        grain=_noise(colour) / contrast,
        blocks=max(coarse, default=0.0) / contrast,
        mottle=_mottle(cells) if _has_cells(picture, _LATENT_PX) else 0.0,
    )


def _has_cells(picture: Image.Image, side_px: int) -> bool:
    """Whether there are enough cells that a dense kanji is not taken for a pattern of them."""
    return min(picture.size) >= _LEAST_CELLS * side_px


def _mottle(cells: Image.Image) -> float:
    bands = cells.convert("YCbCr").split()
    luma, *colours = (ImageStat.Stat(band).stddev[0] for band in bands)
    if min(colours) < max(_COLOURFUL * luma, _LEAST_COLOUR):
        return 0.0
    return min(_noise(band) / spread for band, spread in zip(bands[1:], colours, strict=True))


def _noise(picture: Image.Image) -> float:
    """The standard deviation of the white noise that departs as much from its neighbours; 0 if there are too few."""
    levels = np.asarray(picture, np.int16)
    if min(levels.shape) < _NEIGHBOURHOOD:
        return 0.0
    step = max(1, min(levels.shape) // 256)
    before, middle, after = slice(0, -2, step), slice(1, -1, step), slice(2, None, step)
    beside = levels[before, middle] + levels[after, middle] + levels[middle, before] + levels[middle, after]
    return float(np.median(np.abs(4 * levels[middle, middle] - beside))) / 4 / _WHITE_NOISE
