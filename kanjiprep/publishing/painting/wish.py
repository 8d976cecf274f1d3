"""What a picture is asked for with, and who paints it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.tokens import T5_LIMIT

if TYPE_CHECKING:
    from PIL import Image

    from kanjiprep.publishing.tuned import Tuned

Stepped = Callable[[int, int], None]
"""Told after every step of the sampler: how many are done, of how many."""


_MULTIPLES: Final = {"sd3": 16, "sd1x": 8}
"""Of which a picture's side is one, by family."""


class Unpainted(TrainerError):
    """A picture that came out as no numbers, which would be saved as black; others may be well."""


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
        shift: Of the noise levels of sd3; None for the model's own.
        t5_tokens: How much of the prompt T5 reads, of sd3.
    """

    subject: str
    prompt: str
    negative: str = ""
    style: str = ""
    seed: int = 1
    size_px: int = 1024
    steps: int = 30
    guidance: float = 4.5
    shift: float | None = None
    t5_tokens: int = T5_LIMIT


class Painter(Protocol):
    """A model that is loaded."""

    def paint(self, wish: Wish, stepped: Stepped) -> Image.Image:
        """The picture that ``wish`` asks for; the same wish gives the same picture on the same machine.

        Raises:
            UsageError: If the model has no pictures of that size.
            Unpainted: If numbers overflow, as a training that has exploded makes them.
            TrainerError: If memory does not suffice, or the model fails.
        """
        ...

    def take(self, tuned: Tuned | None) -> None:
        """Go on with another checkpoint of the same base model, or with the base model alone.

        Raises:
            UsageError: If it belongs to another kind of model.
            TrainerError: If it is unfit or cannot be loaded; another can be taken then.
        """
        ...


def refuse_size(size_px: int, family: str) -> None:
    """Refuse a size that a model has no latent for.

    Raises:
        UsageError: If it is no multiple of what the family needs.
    """
    multiple = _MULTIPLES[family]
    if size_px < multiple or size_px % multiple:
        near = max(multiple, round(size_px / multiple) * multiple)
        raise UsageError(f"{size_px} is no multiple of {multiple}", "--size-px", f"give {near}")
