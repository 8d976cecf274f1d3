"""What a picture is asked for with, and who paints it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL import Image

    from kanjiprep.publishing.tuned import Tuned

Stepped = Callable[[int, int], None]
"""Told after every step of the sampler: how many are done, of how many."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One picture.

    Attributes:
        subject: What it is to show, in the user's words.
        prompt: The same in its style, as the text encoders read it.
        negative: What it is to avoid; empty for nothing.
        style: Name of the style; empty for none.
        seed: Of the noise that it begins with.
        size_px: Width and height, a multiple of 8 (sd1x) or 16 (sd3).
        steps: Of the sampler.
        guidance: Scale of classifier-free guidance.
    """

    subject: str
    prompt: str
    negative: str = ""
    style: str = ""
    seed: int = 1
    size_px: int = 1024
    steps: int = 30
    guidance: float = 4.5


class Painter(Protocol):
    """A model that is loaded."""

    def paint(self, wish: Wish, stepped: Stepped) -> Image.Image:
        """The picture that ``wish`` asks for; the same wish gives the same picture on the same machine."""
        ...

    def take(self, tuned: Tuned | None) -> None:
        """Go on with another checkpoint of the same base model, or with the base model alone."""
        ...

    def tokens(self, text: str) -> dict[str, tuple[int, int]]:
        """How many tokens each text encoder's own tokenizer makes of ``text``, and how many it reads."""
        ...
