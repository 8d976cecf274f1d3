"""Writes templates/clip_words.txt: words with the number of tokens that CLIP and T5 make of each.

First the words of the styles and prompts that ship and those that two captions or more have, then words that CLIP and
T5 both have as one token, in T5's order, which is about that of their frequency, until the file has --bytes.

Usage: python benchmarks/clip_words.py --clip FOLDER --t5 FOLDER --dataset DIR [--bytes 60000] > FILE
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import re
import textwrap
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kanjiprep import tokens
from kanjiprep.publishing import text_encoders
from kanjiprep.resources import shipped

Costs = Callable[[str], str]

HEAD = """\
# How many tokens CLIP and T5 make of a word: CLIP's number, T5's, then words that cost as much.
# Counted with the vocabularies of Stable Diffusion 3.5; that of 1.5 is the same CLIP's.
# Written by benchmarks/clip_words.py; a word that is not listed is bounded by a rule, see docs/prompts.md.
"""
LISTED = re.compile(r"'?[a-z]+|[A-Z][A-Za-z]*|[\"-/:-@\[-`{-~]{2,}")
"""Words of English letters, the short forms after an apostrophe, and runs of marks but the one CLIP-G pads with."""
CAPITAL = re.compile(r"[A-Z][A-Za-z]*")
"""T5 tells capitals from small letters; CLIP does not."""
MARKS = ("...", "??", "--", '."', '",', ".)", "),", ").", "::", "((", "))")
BEGIN_AND_END = 2
END = 1
SHORT = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


def captions(dataset: Path) -> list[str]:
    """The captions of a dataset folder."""
    with (dataset / "metadata.csv").open(encoding="utf-8", newline="") as table:
        return [row["text"] for row in csv.DictReader(table)]


def shipped_texts() -> Iterator[str]:
    """Every text of the styles and prompts that ship."""
    for path in sorted((shipped("templates") / "styles").glob("*.toml")):
        yield from tomllib.loads(path.read_text("utf-8")).values()
    for path in sorted((shipped("templates") / "prompts").glob("*.toml")):
        yield from tomllib.loads(path.read_text("utf-8"))["prompts"].values()


def common_words(folder: Path) -> Iterator[str]:
    """Whole words of T5's vocabulary, the most frequent first."""
    vocabulary = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    words = (piece.removeprefix("\u2581").lower() for piece, _ in vocabulary if piece.startswith("\u2581"))
    yield from dict.fromkeys(word for word in words if re.fullmatch("[a-z]{3,}", word))


def caption_words(texts: Iterable[str]) -> list[str]:
    """The pieces that stand in two captions or more."""
    seen = Counter(piece for text in texts for piece in {*tokens.clip_pieces(text), *CAPITAL.findall(text)})
    return sorted(piece for piece, captions_with in seen.items() if captions_with > 1)


def chosen(own: Iterable[str], common: Iterable[str], cost: Costs, limit: int) -> dict[str, str]:
    """CLIP's and T5's tokens by word, until the file is full."""
    pieces = [piece for piece in dict.fromkeys(own) if LISTED.fullmatch(piece)]
    listed = {piece: cost(piece) for piece in pieces if is_worth_it(piece, cost(piece))}
    size = len(document(listed))
    for word in common:
        if word not in listed and cost(word).startswith("1/"):
            size += len(word) + 1
            if size > limit:
                break
            listed[word] = cost(word)
    return listed


def is_worth_it(piece: str, label: str) -> bool:
    """Whether a listed piece makes a bound lower."""
    clip, t5 = label.split("/")
    is_lower = int(clip) < tokens.clip_at_most(piece, {}) - BEGIN_AND_END
    return is_lower or (t5 != "-" and int(t5) < len(piece) + 1 and len(piece) > 1)


def costs(clip: text_encoders.Tokens, t5: text_encoders.Tokens) -> Costs:
    """What is written before a piece."""

    def label(piece: str) -> str:
        return f"{clip(piece) - BEGIN_AND_END}/{t5(piece) - END if piece.isalpha() else '-'}"

    return label


def document(listed: dict[str, str]) -> str:
    """The file."""
    lines: list[str] = []
    for label in sorted(set(listed.values())):
        words = " ".join(sorted(word for word, cost in listed.items() if cost == label))
        lines += [f"{label} {line}" for line in textwrap.wrap(words, 112, break_on_hyphens=False)]
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Print the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--clip", "--t5", "--dataset"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--bytes", type=int, default=60_000)
    asked = parser.parse_args()
    texts = list(shipped_texts())
    styles = itertools.chain.from_iterable([*tokens.clip_pieces(text), *CAPITAL.findall(text)] for text in texts)
    own = [*SHORT, *MARKS, *styles, *caption_words(captions(asked.dataset))]
    cost = costs(text_encoders.load(asked.clip, "CLIP-L"), text_encoders.load(asked.t5, "T5"))
    listed = chosen(own, common_words(asked.t5), cost, asked.bytes)
    print(document(listed), end="")


if __name__ == "__main__":
    main()
