"""What can be wrong with a dataset, judged from facts alone."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kanjiprep.dataset import inspection, tokens
from kanjiprep.dataset.folder import Certificate
from kanjiprep.dataset.inspection import Picture

NEAR: Final = 0.95
"""Correlation of thumbnails from which two pictures count as nearly the same: 3 pairs in the published set."""
LEAST_INK: Final = 0.001
"""Share of ink below which a picture counts as blank; the lightest kanji, 丶, has 0.009."""

_UNSAFE = frozenset('<>:"/\\|?*')


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem with every place where it is.

    Attributes:
        kind: A short name for machines.
        severity: ``error`` makes the dataset unfit to train on, ``warning`` does not.
        what: What is wrong, in words.
        items: Files or pairs concerned, each with its detail.
        remedy: What to do.
    """

    kind: str
    severity: Literal["error", "warning"]
    what: str
    items: tuple[str, ...]
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
    yield _error("no_rows", "metadata.csv has no row", () if names else ("metadata.csv",), "build the dataset")
    missing = tuple(name for name in names if name not in facts.files)
    yield _error("missing_picture", "rows name pictures that are not there", missing, "restore them or drop the rows")
    strangers = tuple(sorted(facts.files.difference(names)))
    yield _error(
        "missing_row", "pictures have no row, so loading drops them silently", strangers, "add rows or move them"
    )
    twice = tuple(name for name, count in Counter(names).items() if count > 1)
    yield _error("duplicate_row", "pictures have more than one row", twice, "keep one row each")
    unsafe = tuple(name for name in names if _UNSAFE & set(name) or unicodedata.normalize("NFC", name) != name)
    yield _error("unsafe_name", "file names do not survive every system", unsafe, "rename them")


def _captions(facts: Facts) -> Iterator[Problem]:
    empty = tuple(name for name, text in facts.rows if not text.strip())
    yield _error("empty_caption", "captions are empty", empty, "write one for each")
    misread = tuple(f"{name}: {value}" for name, value in facts.read_back.items() if name not in empty)
    yield _error("misread_caption", "captions that pandas reads as something else", misread, "word them as sentences")
    groups = defaultdict(list)
    for name, text in facts.rows:
        groups[text].append(name)
    shared = tuple(
        f"{' '.join(name[0] for name in group)}: {text}" for text, group in groups.items() if len(group) > 1
    )
    yield _warning(
        "caption_collision", "captions stand for more than one picture", shared, "name the literal in them"
    )
    for encoder, count, limit, how in (
        ("clip", tokens.clip_tokens, tokens.CLIP_LIMIT, tokens.CLIP_COUNTED),
        ("t5", tokens.t5_tokens, tokens.T5_LIMIT, tokens.T5_COUNTED),
    ):
        long = tuple(f"{name}: {count(text)}" for name, text in facts.rows if count(text) > limit)
        yield _warning(
            f"long_for_{encoder}", f"captions may exceed {limit} tokens ({how})", long, "shorten the template"
        )


def _pictures(facts: Facts) -> Iterator[Problem]:
    readable = [one for one in facts.pictures if not one.fault]
    broken = tuple(f"{one.name}: {one.fault}" for one in facts.pictures if one.fault)
    yield _error("unreadable_picture", "pictures cannot be read", broken, "build them anew")
    wanted = _wanted_size(readable, facts.certificate)
    odd = tuple(f"{one.name}: {one.size_px[0]} x {one.size_px[1]}" for one in readable if one.size_px != wanted)
    yield _error("wrong_size", f"pictures are not {wanted[0]} x {wanted[1]} px", odd, "build them anew")
    blank = _names(readable, lambda one: one.contrast == 0 or one.ink < LEAST_INK)
    yield _error("blank_picture", "pictures are blank", blank, "build them anew")
    touching = _names(readable, lambda one: one.touches_edge and one.name not in blank)
    yield _warning("touches_edge", "strokes touch the edge and may be cut", touching, "build with --margin-px")
    coloured = _names(readable, lambda one: not one.is_grey)
    yield _warning("not_grey", "pictures are coloured", coloured, "build them anew")


def _likenesses(facts: Facts) -> Iterator[Problem]:
    drawn = [one for one in facts.pictures if not one.fault and one.contrast > 0]
    groups = defaultdict(list)
    for one in drawn:
        groups[one.sha256].append(one.name)
    same = tuple(" = ".join(group) for group in groups.values() if len(group) > 1)
    yield _warning("duplicate_picture", "pictures are the same to the pixel", same, "keep one of each")
    near = tuple(f"{a} ~ {b}: {likeness:.3f}" for likeness, a, b in inspection.near_duplicates(drawn, NEAR))
    yield _warning("near_duplicate", "pictures are nearly the same", near, "look whether both belong")


def _origins(facts: Facts) -> Iterator[Problem]:
    yield _warning("changed", "files are no longer what was built", facts.changes, "build with --replace if unmeant")
    differing = facts.certificate.disagreements if facts.certificate else ()
    items = tuple(f"{one.literal}: drawn {one.drawn}, known {'/'.join(map(str, one.known))}" for one in differing)
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


def _names(pictures: Sequence[Picture], condition: Callable[[Picture], bool]) -> tuple[str, ...]:
    return tuple(one.name for one in pictures if condition(one))


def _error(kind: str, what: str, items: tuple[str, ...], remedy: str) -> Problem:
    return Problem(kind, "error", what, items, remedy)


def _warning(kind: str, what: str, items: tuple[str, ...], remedy: str) -> Problem:
    return Problem(kind, "warning", what, items, remedy)
