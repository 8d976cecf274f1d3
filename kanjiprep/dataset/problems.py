"""What can be wrong with a dataset, judged from facts alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kanjiprep import metadata, tokens
from kanjiprep.dataset import inspection
from kanjiprep.dataset.folder import Certificate, picture_name
from kanjiprep.dataset.inspection import Picture
from kanjiprep.paths import unportable

NEAR: Final = 0.95
"""Correlation of thumbnails from which two pictures count as nearly the same: 3 pairs in the published set."""
LEAST_INK: Final = 0.001
"""Share of ink below which a picture counts as blank; the lightest kanji, 丶, has 0.009."""


@dataclass(frozen=True, slots=True)
class Item:
    """One place where a problem is.

    Attributes:
        files: The pictures concerned, by file name.
        detail: What there is to say of this place; perhaps nothing.
    """

    files: tuple[str, ...]
    detail: str = ""

    def __str__(self) -> str:
        return ": ".join(filter(None, (" ~ ".join(self.files), self.detail)))


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem with every place where it is.

    Attributes:
        kind: A short name for machines.
        severity: ``error`` makes the dataset unfit to train on, ``warning`` does not.
        what: What is wrong, in words.
        items: Every place.
        remedy: What to do.
    """

    kind: str
    severity: Literal["error", "warning"]
    what: str
    items: tuple[Item, ...]
    remedy: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was read of a dataset folder.

    Attributes:
        rows: (file name, caption) of metadata.csv, in order.
        read_back: For each caption that pandas, and so ``datasets``, reads otherwise: what it reads.
        files: Names of all picture files.
        pictures: What is in those files that rows name.
        changes: How the folder differs from its certificate.
        certificate: Its birth certificate, if it has one.
    """

    rows: tuple[tuple[str, str], ...]
    read_back: Mapping[str, str]
    files: frozenset[str]
    pictures: tuple[Picture, ...]
    changes: tuple[str, ...]
    certificate: Certificate | None


def find(facts: Facts) -> tuple[Problem, ...]:
    """Every problem, errors first."""
    found = [problem for judge in _JUDGES for problem in judge(facts) if problem.items]
    return tuple(sorted(found, key=lambda problem: problem.severity))


def _rows(facts: Facts) -> Iterator[Problem]:
    names = [name for name, _ in facts.rows]
    no_rows = () if names else (Item((), metadata.NAME),)
    yield _error("no_rows", "the table has no row", no_rows, "build the dataset")
    missing = [name for name in names if name not in facts.files]
    yield _error("missing_picture", "rows name pictures that are not there", _each(missing), "restore them")
    strangers = sorted(facts.files.difference(names))
    yield _error("missing_row", "pictures have no row, so loading drops them silently", _each(strangers), "move them")
    twice = [name for name, count in Counter(names).items() if count > 1]
    yield _error("duplicate_row", "pictures have more than one row", _each(twice), "keep one row each")
    unsafe = [name for name in names if "," in name or unportable(name)]
    yield _error("unsafe_name", "file names do not survive every system", _each(unsafe), "rename them")


def _captions(facts: Facts) -> Iterator[Problem]:
    empty = [name for name, text in facts.rows if not text.strip()]
    yield _error("empty_caption", "captions are empty", _each(empty), "write one for each")
    misread = tuple(Item((name,), f"read as {value}") for name, value in facts.read_back.items() if name not in empty)
    yield _error(
        "misread_caption", "captions are read as something else than text", misread, "word them as sentences"
    )
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name, text in facts.rows:
        groups[text].append(name)
    shared = tuple(Item(tuple(names), text) for text, names in groups.items() if len(names) > 1)
    yield _warning(
        "caption_collision", "captions stand for more than one picture", shared, "name the literal in them"
    )
    yield _too_long(facts, "clip", tokens.clip_tokens, tokens.CLIP_LIMIT, tokens.CLIP_COUNTED)
    yield _too_long(facts, "t5", tokens.t5_tokens, tokens.T5_LIMIT, tokens.T5_COUNTED)


def _too_long(facts: Facts, encoder: str, count: Callable[[str], int], limit: int, how: str) -> Problem:
    long = tuple(Item((name,), f"{count(text)} tokens") for name, text in facts.rows if count(text) > limit)
    return _warning(
        f"long_for_{encoder}", f"captions may exceed {limit} tokens ({how})", long, "shorten the template"
    )


def _pictures(facts: Facts) -> Iterator[Problem]:
    readable = [one for one in facts.pictures if not one.fault]
    broken = tuple(Item((one.name,), one.fault) for one in facts.pictures if one.fault)
    yield _error("unreadable_picture", "pictures cannot be read", broken, "build them anew")
    wanted = _wanted_size(readable, facts.certificate)
    odd = tuple(Item((one.name,), "{} x {}".format(*one.size_px)) for one in readable if one.size_px != wanted)
    yield _error("wrong_size", f"pictures are not {wanted[0]} x {wanted[1]} px", odd, "build them anew")
    blank = [one.name for one in readable if one.contrast == 0 or one.ink < LEAST_INK]
    yield _error("blank_picture", "pictures are blank", _each(blank), "build them anew")
    touching = [one.name for one in readable if one.touches_edge and one.name not in blank]
    yield _warning("touches_edge", "strokes touch the edge and may be cut", _each(touching), "build with --margin-px")
    coloured = [one.name for one in readable if not one.is_grey]
    yield _warning("not_grey", "pictures are coloured", _each(coloured), "build them anew")


def _likenesses(facts: Facts) -> Iterator[Problem]:
    drawn = [one for one in facts.pictures if not one.fault and one.contrast > 0]
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for one in drawn:
        groups[one.sha256].append(one.name)
    same = tuple(Item(tuple(names)) for names in groups.values() if len(names) > 1)
    yield _warning("duplicate_picture", "pictures are the same to the pixel", same, "keep one of each")
    near = tuple(Item((a, b), f"{likeness:.3f}") for likeness, a, b in inspection.near_duplicates(drawn, NEAR))
    yield _warning("near_duplicate", "pictures are nearly the same", near, "look whether both belong")


def _origins(facts: Facts) -> Iterator[Problem]:
    changes = tuple(Item((), change) for change in facts.changes)
    yield _warning("changed", "files are no longer what was built", changes, "build with --replace if unmeant")
    differing = facts.certificate.disagreements if facts.certificate else ()
    items = tuple(
        Item((picture_name(one.literal),), f"drawn {one.drawn}, known {'/'.join(map(str, one.known))}")
        for one in differing
    )
    yield _warning("stroke_count", "drawings have a stroke count that KANJIDIC2 does not know", items, "look at them")


_JUDGES: Final[tuple[Callable[[Facts], Iterator[Problem]], ...]] = (
    _rows,
    _captions,
    _pictures,
    _likenesses,
    _origins,
)


def _wanted_size(pictures: Sequence[Picture], certificate: Certificate | None) -> tuple[int, int]:
    if certificate is not None:
        return certificate.style.size_px, certificate.style.size_px
    common = Counter(one.size_px for one in pictures).most_common(1)
    return common[0][0] if common else (0, 0)


def _each(names: Sequence[str]) -> tuple[Item, ...]:
    return tuple(Item((name,)) for name in names)


def _error(kind: str, what: str, items: tuple[Item, ...], remedy: str) -> Problem:
    return Problem(kind, "error", what, items, remedy)


def _warning(kind: str, what: str, items: tuple[Item, ...], remedy: str) -> Problem:
    return Problem(kind, "warning", what, items, remedy)
