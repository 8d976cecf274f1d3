"""What the page's form asks for, checked, and how the prompt of it reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from kanjiprep.errors import UsageError
from kanjiprep.publishing.page.offer import Offer
from kanjiprep.publishing.painting.texts import MOST_SEED
from kanjiprep.publishing.painting.wish import Wish
from kanjiprep.training.prompts import Style

MOST_LETTERS: Final = 2000
MOST_PICTURES: Final = 16
MOST_STEPS: Final = 200
MOST_GUIDANCE: Final = 30.0
LEAST_PX: Final = 64
MOST_PX: Final = 2048
SIZE_STEP_PX: Final = 64


@dataclass(frozen=True, slots=True)
class Form:
    """The page's form as it was sent.

    Attributes:
        subject: What is to be painted.
        style: Name of the style.
        negative: What is to be avoided.
        checkpoint: Key of a choice.
        seed: Of the first picture; those after it have the next ones.
        pictures: How many.
        size_px: Width and height.
        steps: Of the sampler.
        guidance: Scale of classifier-free guidance.
    """

    subject: str
    style: str
    negative: str
    checkpoint: str
    seed: float | None
    pictures: float | None
    size_px: float | None
    steps: float | None
    guidance: float | None


def wishes(form: Form, offer: Offer) -> tuple[Wish, ...]:
    """The pictures that ``form`` asks for, with seeds that follow each other.

    Raises:
        UsageError: If something in it cannot be had.
    """
    subject, negative = _text(form.subject, "prompt"), _text(form.negative, "negative prompt")
    if not subject:
        raise UsageError("the prompt is empty", remedy="say what is to be painted")
    style = offer.style(form.style)
    seed = _whole(form.seed, "seed", 0, MOST_SEED)
    size_px = _whole(form.size_px, "size", LEAST_PX, max(MOST_PX, offer.asked.size_px))
    if size_px % SIZE_STEP_PX:
        raise UsageError(f"the size must be a multiple of {SIZE_STEP_PX} px, not {size_px}")
    steps = _whole(form.steps, "number of steps", 1, most_steps(offer))
    guidance = _number(form.guidance, "guidance", 0, MOST_GUIDANCE)
    return tuple(
        Wish(
            subject=subject,
            prompt=style.composed(subject),
            negative=negative,
            style=form.style,
            seed=(seed + number) % (MOST_SEED + 1),
            size_px=size_px,
            steps=steps,
            guidance=guidance,
        )
        for number in range(_whole(form.pictures, "number of pictures", 1, MOST_PICTURES))
    )


def most_steps(offer: Offer) -> int:
    """Of the sampler; never fewer than the run itself takes."""
    return max(MOST_STEPS, offer.asked.inference_steps)


def _text(text: object, what: str) -> str:
    if not isinstance(text, str) or len(text) > MOST_LETTERS:
        raise UsageError(f"the {what} must be a text of at most {MOST_LETTERS:,} letters")
    return " ".join(text.split())


def _number(value: float | None, what: str, least: float, most: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or not is_number or not math.isfinite(value) or not least <= value <= most:
        raise UsageError(f"the {what} must be from {least:,g} to {most:,.0f}")
    return float(value)


def _whole(value: float | None, what: str, least: int, most: int) -> int:
    number = _number(value, what, least, most)
    if number != int(number):
        raise UsageError(f"the {what} must be a whole number, not {number:g}")
    return int(number)


def parted(style: Style, subject: str) -> tuple[str, str, str]:
    """The prompt as the text encoders read it: what is before the subject, the subject, and what is after it."""
    whole = style.composed(subject)
    bare = subject.strip().rstrip(".,") or subject.strip()
    start = len(style.prefix.lstrip()) if style.subject == "within" else 0
    return whole[:start], whole[start : start + len(bare)], whole[start + len(bare) :]
