"""How many tokens a caption costs the text encoders, without their vocabularies."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Final

CLIP_LIMIT: Final = 77
"""What CLIP's text encoders see of a caption, begin and end tokens included."""
CLIP_SLACK: Final = 22
"""The most by which ``clip_tokens`` was seen too high."""
T5_LIMIT: Final = 256
"""What SD3's T5 sees of a caption in the usual setting, end token included."""
T5_CUT: Final = 154
"""What SimpleTuner lets it see, whatever is asked. Source: models/sd3/model.py, check_user_config."""

CLIP_COUNTED: Final = (
    "estimate: a word one token for every 4 letters begun, a digit one, other characters their bytes"
)
T5_COUNTED: Final = "upper bound: characters after NFKC, plus 2"

_WORD = re.compile(r"[a-z]+|[0-9]|[^\sa-z0-9]+")
_LETTERS_A_TOKEN = 4


def clip_tokens(text: str) -> int:
    """An estimate of CLIP's tokens for ``text``, begin and end included.

    Against CLIP's own vocabulary on the 6,414 published captions it is 5 to 22 too high and never too
    low; on captions of meanings alone between 3 too low and 14 too high.
    """
    return 2 + sum(map(_word_tokens, _WORD.findall(text.lower())))


def t5_tokens(text: str) -> int:
    """An upper bound of T5's tokens for ``text``: a piece covers at least one character."""
    return len(unicodedata.normalize("NFKC", text)) + 2


def _word_tokens(word: str) -> int:
    return math.ceil(len(word) / _LETTERS_A_TOKEN) if word.isascii() and word.isalpha() else len(word.encode())
