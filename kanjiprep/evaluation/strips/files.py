"""A strip or grid into its two files: a small PNG and the document beside it."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from PIL import Image

from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.evaluation.strips import palette, placed

COLOURS: Final = 128
_OWN: Final = tuple(
    dict.fromkeys((placed.PAPER, placed.INK, placed.GREY, (255, 255, 255), (0, 0, 0), *placed.COLOURS.values()))
)
_EFFORT: Final = 6
"""Of zlib: 9 takes seven times as long for a twentieth less."""


def write(folder: Path, name: str, picture: Image.Image, document: bytes) -> None:
    """Write ``name.png`` and ``name.json`` into ``folder``, aside and then renamed.

    Args:
        folder: Made if it is not there.
        name: Of both files, without its ending.
        picture: RGB.
        document: From ``sidecar``.

    Raises:
        TrainerError: If they cannot be written.
    """
    made = {folder / f"{name}.png": encoded(picture), folder / f"{name}.json": document}
    aside = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in made}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in made.items():
            aside[path].write_bytes(data)
        for path, written in aside.items():
            written.replace(path)
    except OSError as error:
        for written in aside.values():
            with suppress(OSError):
                written.unlink()
        remedy = "free the space, fix the permissions, or give another folder"
        raise TrainerError(f"cannot be written: {os_reason(error)}", str(folder / f"{name}.png"), remedy) from error


def encoded(picture: Image.Image) -> bytes:
    """``picture`` as PNG in ``COLOURS`` colours, a fraction of the bytes, and looks the same."""
    data = io.BytesIO()
    palette.reduced(picture, _OWN, COLOURS).save(data, "PNG", compress_level=_EFFORT)
    return data.getvalue()
