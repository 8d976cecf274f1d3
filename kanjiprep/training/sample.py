"""The few pictures of a dataset that tell most about it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from kanjiprep.training import pictures
from kanjiprep.training.pictures import Picture

_LONGEST: Final = 4
_WIDEST_IN_16_BITS: Final = 0xFFFF


def sample(whole: Sequence[Picture], resolution_px: int, needed: int, least: int) -> tuple[Picture, ...]:
    """Those of ``whole`` that would break a run first, in their order.

    The longest captions and the shortest, the first picture with each odd character in its name or caption,
    ``needed`` of every bucket, and then the first of all. Buckets that have fewer are left out whole.

    Args:
        whole: Of a dataset.
        resolution_px: What the pictures are scaled to, which decides their buckets.
        needed: Pictures that a bucket must have.
        least: Pictures in all, if there are so many.
    """
    by_bucket = _by_bucket(whole, resolution_px)
    full = [members for members in by_bucket.values() if len(members) >= needed]
    usable = sorted(index for members in full for index in members)
    ranked = list(dict.fromkeys([*_telling(whole, usable), *usable]))
    chosen = set(_telling(whole, usable))
    for members in full:
        inside = set(members)
        chosen |= set([index for index in ranked if index in inside][:needed])
    for index in ranked:
        if len(chosen) < least:
            chosen.add(index)
    return tuple(whole[index] for index in sorted(chosen))


def _by_bucket(whole: Sequence[Picture], resolution_px: int) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, one in enumerate(whole):
        found.setdefault(pictures.bucket(one.width_px, one.height_px, resolution_px), []).append(index)
    return found


def _telling(whole: Sequence[Picture], usable: Sequence[int]) -> list[int]:
    """The longest and the shortest captions, then the first picture of each odd character."""
    by_length = sorted(usable, key=lambda index: -len(whole[index].caption))
    found = [*by_length[:_LONGEST], *by_length[-1:]]
    seen: set[tuple[str, str]] = set()
    for index in usable:
        odd = {("name", kind) for kind in _odd(whole[index].file_name)}
        odd |= {("caption", kind) for kind in _odd(whole[index].caption)}
        if odd - seen:
            found.append(index)
            seen |= odd
    return found


def _odd(text: Iterable[str]) -> Iterator[str]:
    """Each kind of character that file formats and shells have trouble with."""
    for letter in text:
        category = unicodedata.category(letter)
        if category[0] in "CM":
            yield category
        if ord(letter) > _WIDEST_IN_16_BITS:
            yield "beyond 16 bits"
        if letter.isascii() and not letter.isalnum():
            yield letter
