"""Text on a picture that is right for kanji and kana too, with no font to install.

Letters are drawn with the font inside Pillow, which has a hundred of them; what it lacks with KanjiVG's strokes,
then with plainer characters that say the same, then with a font of the system. What is left becomes its code point
in a box, never an empty square.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from kanjiprep.evaluation.strips import glyphs, pieces, stand_ins
from kanjiprep.evaluation.strips.pieces import Colour

Anchor = Literal["la", "ma", "ra", "lm", "mm", "rm", "ls", "ms", "rs"]
"""Where the text is to its point, as Pillow names it: left, middle or right; ascender, middle or baseline."""

ELLIPSIS: Final = "…"
SYSTEM_FONTS: Final = tuple(
    Path("/usr/share/fonts") / name
    for name in (
        "opentype/noto/NotoSansCJK-Regular.ttc",
        "noto-cjk/NotoSansCJK-Regular.ttc",
        "google-noto-cjk/NotoSansCJK-Regular.ttc",
        "google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
        "truetype/dejavu/DejaVuSans.ttf",
        "TTF/DejaVuSans.ttf",
        "dejavu-sans-fonts/DejaVuSans.ttf",
    )
)
"""Fonts with many characters, where Debian, Arch and Fedora put them."""

_WORD: Final = re.compile(r"[^\s_/\u2e80-\U0003ffff-]+[_/-]*\s*|\S\s*")
"""Between two of these a line may end: behind a space or hyphen, and on both sides of a kanji."""
_LEFT: Final = {"l": 0.0, "m": 0.5, "r": 1.0}
_BASE: Final = {"a": 1.0, "m": 0.36, "s": 0.0}


@dataclass(frozen=True, slots=True)
class Labels:
    """What text is drawn with.

    Attributes:
        kanjivg: A folder, zip or document of KanjiVG; None without it.
        fonts: Of the system; the first that has a character is taken.
    """

    kanjivg: Path | None = None
    fonts: tuple[Path, ...] = ()

    def width_px(self, text: str, size_px: int) -> float:
        """How wide ``text`` is."""
        return sum(pieces.width_px(piece, size_px) for piece in self._pieces(text))

    def draw(
        self,
        picture: Image.Image,
        xy: tuple[float, float],
        text: str,
        size_px: int,
        colour: Colour,
        anchor: Anchor = "la",
    ) -> None:
        """Draw ``text`` on ``picture`` (RGB) in one line."""
        left = xy[0] - _LEFT[anchor[0]] * self.width_px(text, size_px)
        base = xy[1] + _BASE[anchor[1]] * size_px
        for piece in self._pieces(text):
            pieces.draw(picture, left, base, piece, size_px, colour, self.kanjivg)
            left += pieces.width_px(piece, size_px)

    def fitted(self, text: str, size_px: int, width_px: float) -> str:
        """``text``, shortened with an ellipsis if it is wider than ``width_px``; empty if nothing fits."""
        text = tidy(text)
        if self.width_px(text, size_px) <= width_px:
            return text
        low, high = -1, len(text) - 1
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.width_px(text[:middle].rstrip() + ELLIPSIS, size_px) <= width_px
            low, high = (middle, high) if fits else (low, middle - 1)
        return text[:low].rstrip() + ELLIPSIS if low >= 0 else ""

    def wrapped(self, text: str, size_px: int, width_px: float, most: int) -> tuple[str, ...]:
        """``text`` in ``most`` lines at most, none wider than ``width_px``; the last one shortened if need be."""
        lines: list[str] = []
        rest = _WORD.findall(tidy(text))
        while rest and len(lines) < most - 1:
            count = self._fitting(rest, size_px, width_px)
            lines.append("".join(rest[:count]))
            rest = rest[count:]
        return tuple(self.fitted(line, size_px, width_px) for line in (*lines, "".join(rest)) if line)

    def _fitting(self, words: list[str], size_px: int, width_px: float) -> int:
        count = 1
        while count < len(words) and self.width_px("".join(words[: count + 1]).rstrip(), size_px) <= width_px:
            count += 1
        return count

    def _pieces(self, text: str) -> tuple[pieces.Piece, ...]:
        return tuple(pieces.pieces(tidy(text), self.kanjivg, self.fonts))


def found(environ: Mapping[str, str], cache: Path) -> Labels:
    """What text is drawn with on this machine.

    Args:
        environ: The environment.
        cache: The folder of the sources' earlier downloads.
    """
    return Labels(glyphs.found_kanjivg(environ, cache), tuple(path for path in SYSTEM_FONTS if path.is_file()))


def tidy(text: str) -> str:
    """``text`` in one line, its accents composed, without characters that show nothing."""
    line = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(character for character in line if not stand_ins.is_invisible(character))
