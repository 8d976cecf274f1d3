"""Whether a validation picture has gone bad: black, of one colour, or noise.

Only what is beyond doubt is a fault, for a guard that cries wolf is turned off. Untrained models paint photographs
and trained ones paint kanji; neither is ever faulted, and a fault counts only against an earlier picture without it.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageStat

from kanjiprep.errors import TrainerError, os_reason

MOST_PIXELS: Final = 1 << 25
"""Larger pictures are refused unread: three of 3000 x 3000 px side by side are within it."""
LATENT_PX: Final = 8
"""Side of the square that one latent of Stable Diffusion's autoencoders becomes."""
TOKEN_PX: Final = 16
"""Side of the square that one token of SD3's transformer becomes: two latents."""
BLACK: Final = 24.0
"""``Look.brightest`` below this is black; the darkest wallpaper looked at has 37, photographs 80 and more."""
ONE_COLOUR: Final = 8.0
"""``Look.span`` below this is one colour; whole photographs have 37 and more, a piece of sky 11."""
GRAINY: Final = 0.8
"""``Look.grain`` from this on is noise; photographs reach 0.45 and fractal noise 0.66, white noise begins at 0.93."""
BLOCKY: Final = 0.6
"""``Look.blocks`` from this on is noise; gravel and kanji reach 0.51, smooth random latents begin at 0.69."""
MOTTLED: Final = 0.6
"""``Look.mottle`` from this on is noise; photographs reach 0.14, abstract paintings 0.54, what a pipeline with random
weights painted has 0.67 to 0.69."""

_CELLS_PX: Final = (LATENT_PX, TOKEN_PX)
_COLOURFUL: Final = 0.4
_LEAST_COLOUR: Final = 2.0
_LEAST_CELLS: Final = 32
_NEIGHBOURHOOD: Final = 3
_LABEL_PX: Final = 48
_FORMATS: Final = ("PNG", "WEBP", "JPEG")
_NAME: Final = re.compile(r"step_\d+_.*_\d+_(\d{1,5})x(\d{1,5})")
_BROKEN: Final = (SyntaxError, ValueError, EOFError, struct.error, zlib.error)
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
        TrainerError: If it cannot be read, is half written, or has more than ``MOST_PIXELS``.
    """
    try:
        return _facts(_cut(_read(path), path.stem))
    except Image.DecompressionBombError as error:
        what = f"has more than {MOST_PIXELS // 1_000_000} million pixels"
        raise TrainerError(what, str(path), "set a smaller validation size") from error
    except OSError as error:
        raise _unreadable(path, os_reason(error)) from error
    except _BROKEN as error:
        raise _unreadable(path, str(error) or type(error).__name__) from error


def faults(look: Look) -> tuple[str, ...]:
    """What is surely wrong with a picture: "black", "blank" (one colour) or "noise"; mostly nothing."""
    if look.brightest < BLACK:
        return ("black",)
    if look.span < ONE_COLOUR:
        return ("blank",)
    return ("noise",) if look.grain >= GRAINY or look.blocks >= BLOCKY or look.mottle >= MOTTLED else ()


def gone_bad(before: Look | None, now: Look) -> tuple[str, ...]:
    """The faults of ``now`` that ``before``, the last good look at the same prompt, did not have.

    Nothing without a ``before``: what never was good cannot go bad, as with a model of random weights.
    """
    if before is None:
        return ()
    return tuple(fault for fault in faults(now) if fault not in faults(before))


def _unreadable(path: Path, why: str) -> TrainerError:
    remedy = "look again in a few seconds, for the trainer may still be writing it"
    return TrainerError(f"cannot be read as a picture: {why}", str(path), remedy)


def _read(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(path, formats=_FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            return _on_white(picture)


def _on_white(picture: Image.Image) -> Image.Image:
    """The picture in RGB; what is transparent is white, and 16-bit greys keep their range."""
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture).clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    above = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")


def _cut(picture: Image.Image, stem: str) -> Image.Image:
    """The newest picture alone, if the file is named as SimpleTuner names it and so tells the size.

    A strip with the prompt is below it. Where there is more than one picture, 5 px apart, the newest is the last,
    with a label in its upper left corner; a column may be added at the right.

    Source: SimpleTuner 4.10.1 helpers/training/validation.py draw_text_on_image, _stitch_single_images;
    validation_images.py save_images.
    """
    named = _NAME.fullmatch(stem)
    if named is None or not int(named[1]) or not int(named[2]):
        return picture
    width, height = min(int(named[1]), picture.width), min(int(named[2]), picture.height)
    if picture.width < 2 * width:
        return picture.crop((0, 0, width, height))
    # One column less at the right: it may be the added one, and then the picture begins a column earlier.
    return picture.crop((picture.width - width, min(_LABEL_PX, height // 2), picture.width - 1, height))


def _facts(picture: Image.Image) -> Look:
    spreads = ImageStat.Stat(picture).stddev
    strongest = max(range(len(spreads)), key=spreads.__getitem__)
    colour, contrast = picture.getchannel(strongest), max(spreads[strongest], 1.0)
    thumb = np.asarray(picture.reduce(max(1, max(picture.size) // 256)))
    cells = picture.reduce(LATENT_PX)
    coarse = [_noise(colour.reduce(side)) for side in _CELLS_PX if _has_cells(picture, side)]
    return Look(
        brightest=float(np.quantile(thumb.max(axis=-1), 0.999)),
        span=float(np.ptp(np.asarray(cells), axis=(0, 1)).max()),
        grain=_noise(colour) / contrast,
        blocks=max(coarse, default=0.0) / contrast,
        mottle=_mottle(cells) if _has_cells(picture, LATENT_PX) else 0.0,
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
