"""How many tokens a caption costs the text encoders, without their vocabularies."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

CLIP_LIMIT: Final = 77
"""What CLIP's text encoders see of a caption, begin and end tokens included."""
CLIP_SLACK: Final = 22
"""The most by which ``clip_tokens`` was seen too high."""
T5_LIMIT: Final = 256
"""What SD3's T5 sees of a caption in the usual setting, end token included."""
T5_CUT: Final = 154
"""What SimpleTuner lets it see, whatever is asked. Source: models/sd3/model.py, check_user_config."""

_LETTER: Final = "\u00e9"
"""Stands for every letter that is not ASCII."""
_NO_SPACES: Final = "\x1c\x1d\x1e\x1f"
"""White space to Python, but not to Unicode, by which CLIP goes."""

CLIP_COUNTED: Final = (
    "estimate: a word one token for every 4 letters begun, a digit one, other characters their bytes"
)
T5_COUNTED: Final = "upper bound: characters after NFKC, plus 2"


def _pairs(rows: str) -> frozenset[str]:
    """Each first letter of ``rows`` with each of the letters that follow it."""
    return frozenset(row[0] + second for row in rows.split() for second in row[1:])


_WORD = re.compile(r"[a-z]+|[0-9]|[^\sa-z0-9]+")
_LETTERS_A_TOKEN = 4

_PIECE: Final = re.compile(rf"'(?:s|t|re|ve|m|ll|d)|[a-z{_LETTER}]+|[0-9]|[^\sa-z0-9{_LETTER}]+")
"""Of a text whose characters beyond ASCII are replaced by ``_shape``."""
_KEPT_APART: Final = _pairs(
    "bqxz dq fkqz gjx hjxz jqxz kq lqxz nq oaq pqz qbcdefghjklmnoprstvwxyz rqz tq uq vdfkqxz wz "
    "xabcdfghjkmnpqrstvwz ycfghjkqvx zbcdfgjklmnpqrstvwx"
)
"""Pairs of letters within a word that are no merge of CLIP."""
_KEPT_APART_LAST: Final = _pairs(
    "bq fqv gj hjx ijy jqxyz kq lq mq nq oq pq qdghjknopqvwyz rqz uj vqz wqz xgkwz yfjqvw zbcdfgjkpqv"
)
"""The same for the last two letters of a word. Source: both read from merges.txt of openai/clip-vit-large-patch14."""

_T5_SPACE: Final = re.compile(r"[ \t\n\r]+")
_T5_LETTERS: Final = re.compile(r"[A-Za-z]+")


def clip_tokens(text: str) -> int:
    """An estimate of CLIP's tokens for ``text``, begin and end included.

    Against CLIP's own vocabulary on the 6,414 published captions it is 5 to 22 too high and never too
    low; on captions of meanings alone between 3 too low and 14 too high.
    """
    return 2 + sum(map(_word_tokens, _WORD.findall(text.lower())))


def clip_at_most(text: str, listed: Mapping[str, int]) -> int:
    """An upper bound of CLIP's tokens for ``text``, begin and end included, without CLIP's vocabulary.

    The rule: ``text`` is cut into pieces as CLIP cuts it. A piece that is listed costs what the list says. Any other
    word of English letters costs the most tokens that it can be made of such that no two single letters stand side by
    side that CLIP would have merged (see ``_most_tokens``). Everything else costs a token for every byte of UTF-8.

    Args:
        text: A prompt.
        listed: Tokens by word, in lower case.
    """
    return 2 + sum(listed.get(piece) or _most_tokens(piece) for piece in clip_pieces(text))


def clip_pieces(text: str) -> Iterator[str]:
    """What CLIP cuts ``text`` into before it merges bytes: words, digits and runs of other signs.

    Source: transformers 5.24 models/clip/tokenization_clip.py. A letter that this Python does not know yet counts as
    a letter, so that no word is taken for a listed one that is longer.
    """
    cleaned = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode()).lower()
    for match in _PIECE.finditer("".join(map(_shape, cleaned))):
        yield cleaned[match.start() : match.end()]


def t5_tokens(text: str) -> int:
    """An upper bound of T5's tokens for ``text``: a piece covers at least one character."""
    return len(unicodedata.normalize("NFKC", text)) + 2


def _word_tokens(word: str) -> int:
    return math.ceil(len(word) / _LETTERS_A_TOKEN) if word.isascii() and word.isalpha() else len(word.encode())


def t5_at_most(text: str, listed: Mapping[str, int]) -> int:
    """An upper bound of T5's tokens for ``text``, tighter than ``t5_tokens``, end token included.

    The rule: no piece of T5's vocabulary holds a letter beside another sign, and none goes over a space, so words and
    what stands between them are cut apart from each other. A word that is listed, as it is written and after a space,
    costs what the list says; everything else a token for every character, and one for the space before it.

    Args:
        text: A prompt.
        listed: Tokens by word, in upper and lower case.
    """
    return 1 + sum(_t5_most(word, listed) for word in _T5_SPACE.split(text) if word)


def _t5_most(word: str, listed: Mapping[str, int]) -> int:
    if not (word.isascii() and word.isprintable()):  # its table of characters may turn the others into letters
        return 1 + len(unicodedata.normalize("NFKC", word))
    letters = _T5_LETTERS.match(word)
    first = letters.group() if letters else ""
    return listed.get(first, 1 + len(first)) + len(word) - len(first)


def _shape(char: str) -> str:
    """``char`` itself if ASCII, else a character of ASCII, or ``_LETTER``, that CLIP's cut treats alike."""
    if char.isascii():
        return "!" if char in _NO_SPACES else char
    category = unicodedata.category(char)
    if category[0] == "L" or category == "Cn":
        return _LETTER
    return "0" if category[0] == "N" else " " if char.isspace() else "!"


def _most_tokens(piece: str) -> int:
    """The most tokens that CLIP can make of ``piece``, a proof without its merges but for those of two letters.

    CLIP merges until no two neighbours can be merged. So where two neighbours are single letters, they are a pair
    that it keeps apart; and a token that is no single letter has two letters at least.
    """
    if not (piece.isascii() and piece.isalpha()):
        return len(piece.encode())
    after_one, after_more = 1, 0  # most tokens so far, if the last has one letter, or more; 0 for impossible
    before = 0  # the most for a letter less
    for place in range(1, len(piece)):
        apart = _KEPT_APART_LAST if place == len(piece) - 1 else _KEPT_APART
        one = max(after_more, after_one if piece[place - 1 : place + 1] in apart else -1) + 1
        before, after_one, after_more = max(after_one, after_more), one, before + 1
    return max(after_one, after_more)
