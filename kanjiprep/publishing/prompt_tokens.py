"""How many tokens a prompt costs each text encoder, and whether one of them stops before its subject ends.

Where the tokenizer files of the base model are on this machine, the count is theirs. Where they are not, it is an
upper bound by the rules of ``tokens.clip_at_most`` and ``tokens.t5_at_most``, and says so. Nothing is downloaded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep import tokens
from kanjiprep.errors import InputError
from kanjiprep.publishing import text_encoders
from kanjiprep.publishing.text_encoders import Encoder
from kanjiprep.resources import shipped
from kanjiprep.training.prompts import Style

_LIMITS: Final[Mapping[Encoder, int]] = {
    "CLIP-L": tokens.CLIP_LIMIT,
    "CLIP-G": tokens.CLIP_LIMIT,
    "T5": tokens.T5_LIMIT,
}
"""What each reads when diffusers paints. Source: diffusers 0.42.1 pipeline_stable_diffusion_3.py, its defaults."""
WORDS: Final = "clip_words.txt"


@dataclass(frozen=True, slots=True)
class Count:
    """What a text costs one text encoder.

    Attributes:
        encoder: Which.
        tokens: Of the text, begin and end included; at most so many where ``is_exact`` is false.
        limit: How many it reads.
        is_exact: Whether its own tokenizer counted.
        source: The tokenizer's folder, or why there is a bound only.
    """

    encoder: Encoder
    tokens: int
    limit: int
    is_exact: bool
    source: str


Counter = Callable[[str], tuple[Count, ...]]
"""What a text costs every text encoder of a model."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A subject that a text encoder does not read to its end.

    Attributes:
        encoder: Which.
        end: Tokens up to the end of the subject, begin and end included.
        limit: How many of them it reads.
        is_exact: Whether that is sure; else ``end`` is an upper bound, and the subject may well be read.
        can_move: Whether something stands before the subject.
    """

    encoder: Encoder
    end: int
    limit: int
    is_exact: bool
    can_move: bool


def count(text: str, base: str, environ: Mapping[str, str], family: str = "") -> tuple[Count, ...]:
    """What ``text`` costs each text encoder of ``base``.

    Args:
        text: A prompt.
        base: A repository of the Hub, or a folder in the layout of diffusers.
        environ: For the place of the Hub's cache.
        family: ``sd3`` or ``sd1x``; empty if nobody knows.
    """
    return counter(base, environ, family)(text)


def counter(base: str, environ: Mapping[str, str], family: str = "") -> Counter:
    """``count`` for many texts, with the files read once."""
    found = text_encoders.find(base, family, environ)
    ways = {encoder: _way(folder, encoder) for encoder, folder in found.items()}

    def counted(text: str) -> tuple[Count, ...]:
        return tuple(
            Count(encoder, tell(text), _LIMITS[encoder], is_exact, source)
            for encoder, (tell, is_exact, source) in ways.items()
        )

    return counted


def _way(folder: Path | None, encoder: Encoder) -> tuple[text_encoders.Tokens, bool, str]:
    """What counts, whether it is exact, and its source."""
    bound = t5_at_most if encoder == "T5" else clip_at_most
    if folder is None:
        return bound, False, "a bound: the tokenizer is not on this machine"
    try:
        return text_encoders.load(folder, encoder), True, str(folder)
    except ModuleNotFoundError as error:
        return bound, False, f"a bound: {error.name} is not installed; pip install 'kanjiprep[generate]'"
    except InputError as error:
        return bound, False, f"a bound: {error}"


def clip_at_most(text: str) -> int:
    """An upper bound of CLIP's tokens for ``text``, with the words that ship; see ``tokens.clip_at_most``."""
    return tokens.clip_at_most(text, listed_words()[0])


def t5_at_most(text: str) -> int:
    """An upper bound of T5's tokens for ``text``, with the words that ship; see ``tokens.t5_at_most``."""
    return tokens.t5_at_most(text, listed_words()[1])


@functools.cache
def listed_words() -> tuple[Mapping[str, int], Mapping[str, int]]:
    """CLIP's tokens by word and T5's, as templates/clip_words.txt has them."""
    lines = (shipped("templates") / WORDS).read_text("utf-8").splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    both = [(word, *row[0].split("/")) for row in rows for word in row[1:]]
    return {word: int(clip) for word, clip, _ in both}, {word: int(t5) for word, _, t5 in both if t5 != "-"}


def start(style: Style) -> int:
    """Where the subject begins in ``style.composed``."""
    return len(style.prefix.lstrip()) if style.subject == "within" else 0


def lost(subject: str, prompt: str, counts: Counter, start: int | None = None) -> tuple[Loss, ...]:
    """The text encoders that stop before ``subject`` ends in ``prompt``.

    diffusers cuts a prompt where an encoder's limit is. ComfyUI does not: it gives CLIP what is left in further
    windows of 77 tokens, and T5 the whole.

    Args:
        subject: As the user typed it.
        prompt: The same in its style.
        counts: Of the model that is to read it, by ``counter``.
        start: Where in the prompt it begins; None if nobody knows, then it is looked for.
    """
    bare = subject.strip().rstrip(".,")
    begin, end = _place(bare, prompt) if start is None else (start, start + len(bare))
    return tuple(
        Loss(one.encoder, one.tokens, one.limit, one.is_exact, begin > 0)
        for one in counts(prompt[:end])
        if one.tokens > one.limit
    )


def _place(subject: str, prompt: str) -> tuple[int, int]:
    """Where the subject is: at the start if the prompt begins with it, else where it comes last, else anywhere."""
    start = 0 if prompt.startswith(subject) else prompt.rfind(subject)
    return (0, len(prompt)) if start < 0 else (start, start + len(subject))


def warning(losses: Iterable[Loss]) -> str:
    """``losses`` in one sentence, empty if there are none.

    What is sure is told, and only without it what may be.
    """
    found = tuple(losses)
    sure = tuple(one for one in found if one.is_exact)
    told = tuple(_told(sure or found))
    if not told:
        return ""
    remedy = "put it first, or shorten the style" if any(one.can_move for one in found) else "say it in fewer words"
    ends = "ends at" if sure else "may end as late as"
    return f"the subject {ends} {' and '.join(told)}; {remedy}"


def _told(losses: Iterable[Loss]) -> Iterator[str]:
    """A phrase for each encoder; both CLIPs share one where they agree."""
    phrases = {(one.end, one.limit, one.encoder.partition("-")[0]): None for one in losses}
    yield from (f"token {end} of which {encoder} reads {limit}" for end, limit, encoder in phrases)
