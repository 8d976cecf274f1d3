"""A picture file on disk: its pixels in RGB, and how SimpleTuner lays out a validation picture."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from kanjiprep.errors import TrainerError, os_reason

MOST_PIXELS: Final = 1 << 25
"""Larger pictures are refused unread: three of 3000 x 3000 px side by side are within it."""
NAME: Final = re.compile(r"step_(\d+)_(.+)_(\d+)_(\d{1,5})x(\d{1,5})\.(?:png|webp|jpe?g)")
"""Step, prompt, index, size. Source: SimpleTuner 4.10.1 helpers/training/validation_images.py save_images."""
LABEL_PX: Final = 48
"""Rows at the top of a picture in a row of pictures that its label may reach into.

It is drawn 10 px below the top and right of the left edge, white with a black edge of 2 px: "base model", "step 800"
or "EMA". In DejaVu Sans Bold of 28 px, which is taken if it is installed, it reaches row 43, and column 190 or so; in
Pillow's own font row 23. Source: SimpleTuner 4.10.1 helpers/training/validation.py get_font_for_labels.
"""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, the last two behind the last pixel."""

_GAP_PX: Final = 5
"""Between the pictures that SimpleTuner puts side by side."""
_ALIGN_PX: Final = 16
"""A row of pictures whose width is no multiple of this gets one more column at the right."""
_BROKEN: Final = (SyntaxError, ValueError, EOFError, struct.error, zlib.error)
_TAIL: Final = 4096
_JPEG_END: Final = b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class Named:
    """What the name of a validation picture tells.

    Attributes:
        step: By the trainer's own count.
        prompt: Its short name.
        index: Of the picture among those of this prompt and step, from 0.
        width_px: Of one picture.
        height_px: Of one picture.
    """

    step: int
    prompt: str
    index: int
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the pictures in a validation picture's file are.

    Attributes:
        newest: The last one, which is what the step has painted.
        first: The base model's, or the step's where the weights' average is beside it; None if there is only one.
        pictures: How many there are; if more than one, a label is in the corner of the newest.
    """

    newest: Box
    first: Box | None
    pictures: int


def named(file_name: str) -> Named | None:
    """What ``file_name`` tells, if SimpleTuner names validation pictures so."""
    match = NAME.fullmatch(file_name)
    if match is None:
        return None
    return Named(int(match[1]), match[2], int(match[3]), int(match[4]), int(match[5]))


def layout(file_name: str, size: tuple[int, int]) -> Layout:
    """Where the pictures are in a file of this name, ``size`` pixels wide and high.

    The name tells the size of one; without it the whole is one picture. A black strip with the prompt is below.
    Where there is more than one picture, they are 5 px apart, and each but the first may have brought a column.

    Source: SimpleTuner 4.10.1 helpers/training/validation.py draw_text_on_image, _stitch_single_images.
    """
    name, (whole_width, whole_height) = named(file_name), size
    if name is None or not name.width_px or not name.height_px:
        return Layout((0, 0, *size), None, 1)
    width, height = min(name.width_px, whole_width), min(name.height_px, whole_height)
    pictures = max(1, (whole_width + _GAP_PX) // (width + _GAP_PX))
    spare = whole_width - pictures * (width + _GAP_PX) + _GAP_PX
    left, right = 0, width
    for _ in range(pictures - 1):
        left = right + _GAP_PX
        has_column = spare > 0 and (left + width) % _ALIGN_PX > 0
        spare -= has_column
        right = left + width + has_column
    first = (0, 0, width, height) if pictures > 1 else None
    return Layout((left, 0, left + width, height), first, pictures)


def read(path: Path) -> Image.Image:
    """The picture at ``path`` (PNG, WebP or JPEG) in RGB, as it is stored: EXIF does not turn it.

    Raises:
        TrainerError: If it cannot be read, is half written, or has more than ``MOST_PIXELS``.
    """
    with opened(path) as picture:
        return on_white(picture)


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of the picture at ``path``, of which is seen that it is whole, mostly without decoding it.

    Raises:
        TrainerError: As ``read``; harm inside a WebP or JPEG that is not cut off is not seen.
    """
    with opened(path) as picture:
        size = picture.size
        if picture.format == "PNG":
            picture.verify()
        elif not _has_its_end(path, str(picture.format)):
            picture.load()
        return size


@contextmanager
def opened(path: Path, most_pixels: int = MOST_PIXELS) -> Iterator[Image.Image]:
    """The picture at ``path``, not decoded yet; what goes wrong while it is decoded is told as what is wrong with it.

    Raises:
        TrainerError: If it cannot be read, is half written, or has more than ``most_pixels``.
    """
    try:
        with path.open("rb") as stream:
            picture = _header(stream)
            if picture.width * picture.height > most_pixels:
                what = f"has more than {most_pixels // 1_000_000} million pixels"
                raise TrainerError(what, str(path), "set a smaller validation size")
            yield picture
    except OSError as error:
        raise _unreadable(path, os_reason(error)) from error
    except _BROKEN as error:
        raise _unreadable(path, str(error) or type(error).__name__) from error


def on_white(picture: Image.Image) -> Image.Image:
    """The picture in RGB, itself if it is so; what is transparent is white, and 16-bit greys keep their range."""
    if picture.mode == "RGB" and not picture.has_transparency_data:
        picture.load()
        return picture
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture).clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    above = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")


def _header(stream: BinaryIO) -> Image.Image:
    """The picture of which only the header is read.

    Not by Image.open: its limit of pixels is one for the whole process, and below that of long strips.
    """
    start = stream.read(12)
    stream.seek(0)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile(stream)
    if start.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile(stream)
    if start.startswith(b"RIFF") and start.endswith(b"WEBP"):
        return WebPImagePlugin.WebPImageFile(stream)
    raise ValueError("is neither PNG nor WebP nor JPEG" if start else "it is empty")


def _has_its_end(path: Path, kind: str) -> bool:
    """Whether a JPEG or WebP is surely not cut off."""
    with path.open("rb") as stream:
        start = stream.read(8)
        length = stream.seek(0, 2)
        if kind == "WEBP":
            return int.from_bytes(start[4:], "little") + 8 <= length
        stream.seek(max(0, length - _TAIL))
        return _JPEG_END in stream.read()


def _unreadable(path: Path, why: str) -> TrainerError:
    remedy = "look again in a few seconds, for the trainer may still be writing it"
    return TrainerError(f"cannot be read as a picture: {why}", str(path), remedy)
