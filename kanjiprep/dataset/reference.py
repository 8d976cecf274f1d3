"""CairoSVG's own rendering: the reference for every pixel, and the way to draw anything unusual."""

from __future__ import annotations

import io
import re

import cairosvg
import numpy as np
from lxml import etree
from PIL import Image

from kanjiprep.dataset.raster import Pixels, Style
from kanjiprep.errors import InputError

_STROKE_WIDTH = re.compile(r"stroke-width\s*:[^;]*")


def render(svg: bytes, style: Style, where: str) -> Pixels:
    """The picture of an SVG document of strokes on white, (size_px, size_px) uint8.

    Raises:
        InputError: If CairoSVG cannot draw it.
    """
    try:
        png = cairosvg.svg2png(
            bytestring=_styled(svg, style),
            output_width=style.size_px,
            output_height=style.size_px,
            background_color="white",
        )
    except Exception as error:  # CairoSVG raises whatever its parsers and cairo happen to raise
        raise InputError(
            f"CairoSVG cannot draw it: {type(error).__name__}: {error}", where, "mend the SVG"
        ) from error
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB").convert("L"))


def _styled(svg: bytes, style: Style) -> bytes:
    """``svg`` with the style's margin as its view box and the style's stroke width."""
    root = etree.fromstring(svg)
    begin, width = style.view_box()
    if style.margin_px:
        root.set("viewBox", f"{begin!r} {begin!r} {width!r} {width!r}")
    for group in root.iter("{http://www.w3.org/2000/svg}g"):
        if group.get("id", "").startswith("kvg:StrokePaths"):
            wide = f"stroke-width:{style.stroke_width:g}"
            group.set("style", _STROKE_WIDTH.sub(wide, group.get("style", "")))
    return etree.tostring(root)
