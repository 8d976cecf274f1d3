"""A strip or grid into its two files: a small PNG and the document beside it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

from PIL import Image

from kanjiprep.evaluation.strips import palette, placed
from kanjiprep.training.running import files

COLOURS: Final = 128
_OWN: Final = tuple(
    dict.fromkeys((placed.PAPER, placed.INK, placed.GREY, (255, 255, 255), (0, 0, 0), *placed.COLOURS.values()))
)
_EFFORT: Final = 6
"""Of zlib: 9 takes seven times as long for a twentieth less."""


def write(folder: Path, name: str, picture: Image.Image, document: bytes) -> None:
    """Write ``name.png`` and ``name.json`` into ``folder``.

    Args:
        folder: One that is there.
        name: Of both files, without its ending.
        picture: RGB.
        document: From ``sidecar``.

    Raises:
        TrainerError: If they cannot be written.
    """
    files.replace(folder / f"{name}.png", encoded(picture))
    files.replace(folder / f"{name}.json", document)


def encoded(picture: Image.Image) -> bytes:
    """``picture`` as PNG in ``COLOURS`` colours, a fraction of the bytes, and looks the same."""
    data = io.BytesIO()
    palette.reduced(picture, _OWN, COLOURS).save(data, "PNG", compress_level=_EFFORT)
    return data.getvalue()
