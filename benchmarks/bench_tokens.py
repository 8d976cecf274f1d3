"""How much too high the token bounds are, and that they are never too low, against the real vocabularies.

The texts: every caption of a dataset, every shipped style around subjects of 1 to 12 words, 10,000 mixes of words (of
captions, of T5's vocabulary, made up, with capitals, digits and marks), and 10,000 texts of characters from all of
Unicode. A folder holds the tokenizer files as in the layout of diffusers. The last line is one JSON document.

Usage: python benchmarks/bench_tokens.py --clip FOLDER --t5 FOLDER --dataset DIR
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import clip_words

from kanjiprep import tokens
from kanjiprep.publishing import prompt_tokens, text_encoders
from kanjiprep.training import prompts

MIXES = 10_000
SUBJECT = "mountains"


@dataclass(frozen=True, slots=True)
class Row:
    """How far a bound is from the truth, in tokens; negative would be too low."""

    texts: str
    encoder: str
    number: int
    tokens_median: float
    too_low: int
    excess_median: float
    excess_95: float
    excess_most: int
    share_median: float


@dataclass(frozen=True, slots=True)
class Room:
    """What a style costs, and how many of CLIP's tokens a subject may have: in pictures asked for, in validation."""

    style: str
    clip: int
    t5: int
    asked: int
    validation: int
    negative: int


def row(name: str, encoder: str, texts: list[str], exact: text_encoders.Tokens, bound: text_encoders.Tokens) -> Row:
    """The bound of every text beside its count."""
    counts = [exact(text) for text in texts]
    excess = [bound(text) - count for text, count in zip(texts, counts, strict=True)]
    return Row(
        texts=name,
        encoder=encoder,
        number=len(texts),
        tokens_median=statistics.median(counts),
        too_low=sum(one < 0 for one in excess),
        excess_median=statistics.median(excess),
        excess_95=sorted(excess)[len(excess) * 95 // 100],
        excess_most=max(excess),
        share_median=round(statistics.median(one / count for one, count in zip(excess, counts, strict=True)), 3),
    )


def styled(words: list[str], dice: random.Random) -> Iterator[str]:
    """Subjects in every shipped style, as pictures are asked for afterwards and as validation asks."""
    for name in prompts.names("styles"):
        style = prompts.style(name, Path())
        for size in range(1, 13):
            for _ in range(20):
                subject = " ".join(dice.choices(words, k=size))
                yield from (style.composed(subject), style.around(subject))


def mixes(words: list[str], dice: random.Random) -> Iterator[str]:
    """Word after word, some of them nobody's."""
    makers: list[Callable[[], str]] = [
        lambda: dice.choice(words),
        lambda: dice.choice(words).capitalize(),
        lambda: "".join(dice.choices(string.ascii_lowercase, k=dice.randint(1, 14))),
        lambda: str(dice.randint(0, 9999)),
        lambda: dice.choice(words) + dice.choice([",", ".", "'s", "!", "...", ")", "-" + dice.choice(words)]),
    ]
    for _ in range(MIXES):
        yield " ".join(maker() for maker in dice.choices(makers, weights=(12, 4, 1, 1, 4), k=dice.randint(1, 40)))


def unicode_texts(dice: random.Random) -> Iterator[str]:
    """Characters of every kind, with ASCII between them."""
    ranges = [
        (0x20, 0x7F),
        (0x20, 0x7F),
        (0x80, 0x250),
        (0x2000, 0x2200),
        (0x3000, 0xA000),
        (1, 0xD800),
        (0xE000, 0x30000),
    ]
    for _ in range(MIXES):
        places = [dice.randrange(*dice.choice(ranges)) for _ in range(dice.randint(1, 60))]
        yield "".join(chr(place) for place in places)


def groups(dataset: Path, t5: Path) -> Iterator[tuple[str, list[str]]]:
    """The texts by name."""
    dice = random.Random(7)  # noqa: S311
    captions = clip_words.captions(dataset)
    own = sorted({word for text in captions for word in text.split() if word.isascii()})
    common = list(clip_words.common_words(t5))
    yield "captions", captions
    yield "styles", list(styled(common[:3000], dice))
    yield "T5's words", list(mixes(common, dice))
    yield "captions' words", list(mixes(own, dice))
    yield "unicode", list(unicode_texts(dice))


def room(clip: text_encoders.Tokens, t5: text_encoders.Tokens) -> Iterator[Room]:
    """What every shipped style costs, and what it leaves."""
    for name in prompts.names("styles"):
        style = prompts.style(name, Path())
        whole = style.composed(SUBJECT)
        before = whole[: whole.index(SUBJECT)]
        first, behind = tokens.CLIP_LIMIT - clip(before), tokens.CLIP_LIMIT - clip(style.prefix)
        yield Room(name, clip(whole) - clip(SUBJECT), t5(whole) - t5(SUBJECT), first, behind, clip(style.negative))


def table(rows: Iterable[Row]) -> Iterator[str]:
    """The rows for people."""
    yield "texts                  number median too low excess  95 %  most  share"
    for one in rows:
        yield (
            f"{one.texts:<16} {one.encoder:<5} {one.number:>6} {one.tokens_median:>6g} {one.too_low:>7} "
            f"{one.excess_median:>6g} {one.excess_95:>5g} {one.excess_most:>5} {one.share_median:>6.0%}"
        )


def main() -> None:
    """Print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--clip", "--t5", "--dataset"):
        parser.add_argument(name, type=Path, required=True)
    asked = parser.parse_args()
    clip, t5 = text_encoders.load(asked.clip, "CLIP-L"), text_encoders.load(asked.t5, "T5")
    rows = []
    for name, texts in groups(asked.dataset, asked.t5):
        rows += [
            row(name, "CLIP", texts, clip, prompt_tokens.clip_at_most),
            row(name, "T5", texts, t5, prompt_tokens.t5_at_most),
        ]
    rooms = list(room(clip, t5))
    print("\n".join(table(rows)))
    print("\nstyle        CLIP   T5 subject: asked validation negative")
    for one in rooms:
        print(f"{one.style:<12} {one.clip:>4} {one.t5:>4} {one.asked:>14} {one.validation:>10} {one.negative:>8}")
    print(json.dumps({"rows": [asdict(one) for one in rows], "styles": [asdict(one) for one in rooms]}))


if __name__ == "__main__":
    main()
