"""``score --selfcheck``: the judge tried on damaged and sound pictures of a dataset, and held to its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from kanjiprep.dataset import kanjivg, sources
from kanjiprep.errors import DatasetError
from kanjiprep.evaluation import measures, score
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.features import Values
from kanjiprep.evaluation.judged import PictureScore
from kanjiprep.evaluation.judging import Ways
from kanjiprep.evaluation.proof import material, painted
from kanjiprep.evaluation.proof.corruptions import KINDS, MEDIUM, SEVERITIES, Corruption
from kanjiprep.evaluation.proof.painted import INVENTED, REDRAWN, REDRAWN_PICTURES, SOUND, Measured, Name
from kanjiprep.progress import Progress

PICTURES_PER_KIND: Final = 60
"""Of each kind at each severity: with them it takes about a minute on two processors."""
EXPLODED_AUC: Final = 0.98
"""Least AUC of the score of exploded kinds at medium severity. Source: benchmarks/bench_judge.py."""
CONTENT_AUC: Final = 0.85
"""Least AUC of the score of kinds that damage what a picture shows, at full severity. Source: the same."""
LIKE_SOUND_AUC: Final = (0.40, 0.60)
"""In here lies the AUC of what is no damage: inventions, and characters drawn anew. Source: the same."""
FALSE_ALARMS: Final = 0.02
"""Share of sound pictures that may be called exploded. Source: the same."""
FEW: Final = 60
"""Inventions; the AUC of fewer is off by 0.04 or more, and is told only."""
_REMEDY: Final = "do not leave the choice of a checkpoint on it to the score"


@dataclass(frozen=True, slots=True)
class Figures:
    """How a group of pictures is judged against the sound ones.

    Attributes:
        severity: Of the damage; 0 for none.
        pictures: How many.
        score: Chance (AUC) that one of them has a worse score than a sound picture, half for a tie.
        style: The same of style alone.
        shape: The same of shape alone.
        flagged: Share that is called exploded.
    """

    severity: float
    pictures: int
    score: float
    style: float
    shape: float
    flagged: float


@dataclass(frozen=True, slots=True)
class KindFigures:
    """How a kind of damage is judged.

    Attributes:
        name: Of the kind.
        exploded: Whether it is the picture as a whole that is damaged, as a diverged adapter does it.
        floor: Least AUC of its score; None if none is documented.
        floor_at: The severity that it is documented for.
        rank: Rank correlation of the severity and how bad the score is.
        figures: One for each severity.
    """

    name: str
    exploded: bool
    floor: float | None
    floor_at: float
    rank: float
    figures: tuple[Figures, ...]

    @property
    def reached(self) -> float:
        """AUC of its score at the severity of the floor."""
        return next(one.score for one in self.figures if one.severity == self.floor_at)

    @property
    def is_worse(self) -> bool:
        """Whether it is below its floor."""
        return self.floor is not None and self.reached < self.floor


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """The judge, tried on a dataset.

    Attributes:
        dataset: Its folder.
        digest: Of the dataset; empty if it has none.
        characters: How many of it KanjiVG draws.
        bands_of: How many pictures the bands are made of, none of them of a character that is tried.
        sound: How many sound pictures there are, all of the dataset itself.
        false_alarms: Share of them that is called exploded.
        redrawn: Figures of their characters drawn anew; other than sound ones if the dataset is drawn otherwise.
        invented: Figures of inventions.
        kinds: Figures of each kind of damage.
        worse: What is worse than documented, a phrase each.
    """

    dataset: Path
    digest: str
    characters: int
    bands_of: int
    sound: int
    false_alarms: float
    redrawn: Figures
    invented: Figures
    kinds: tuple[KindFigures, ...]
    worse: tuple[str, ...]


def run(
    ways: Ways, environ: Mapping[str, str], progress: Progress, pictures_per_kind: int = PICTURES_PER_KIND
) -> SelfCheck:
    """The judge, tried on the dataset that ``ways`` names.

    Args:
        ways: With the dataset.
        environ: Where KanjiVG may be named.
        progress: Hears of pictures, and of a download of KanjiVG.
        pictures_per_kind: Of each kind of damage at each severity.

    Raises:
        DatasetError: If the dataset cannot be read, or has too few characters that KanjiVG draws.
        InputError: If KanjiVG cannot be found or read.
    """
    found = sources.find(sources.KANJIVG, None, environ, sources.cache_folder(), progress)
    drawings = kanjivg.parse(sources.read_kanjivg(found))
    made_of = material.read(ways.dataset or Path("dataset"), drawings)
    return of(painted.measure(made_of, pictures_per_kind, progress))


def of(measured: Measured) -> SelfCheck:
    """The judge, tried on pictures that are measured already."""
    sound = _judged(measured, (SOUND, 0.0))
    kinds = tuple(_kind(one, measured, sound) for one in KINDS.values())
    false_alarms = _flagged(sound)
    redrawn = _figures(0.0, _judged(measured, (REDRAWN, 0.0)), sound[:REDRAWN_PICTURES])
    invented = _figures(0.0, _judged(measured, (INVENTED, 0.0)), sound)
    made_of = measured.material
    return SelfCheck(
        dataset=made_of.dataset,
        digest=made_of.digest,
        characters=len(made_of.first) + len(made_of.second),
        bands_of=measured.bands.pictures,
        sound=len(sound),
        false_alarms=false_alarms,
        redrawn=redrawn,
        invented=invented,
        kinds=kinds,
        worse=tuple(_worse(kinds, redrawn, invented, false_alarms)),
    )


def lines(found: SelfCheck) -> Iterator[str]:
    """The figures as a table, and what they say."""
    yield f"dataset    {found.dataset}, {found.characters:,} characters that KanjiVG draws"
    yield f"sound      {found.sound} pictures against bands of {found.bands_of} pictures of others"
    yield ""
    yield f"{'AUC of the score':<18}{''.join(f'{severity:>7}' for severity in SEVERITIES)}   rank  flagged   at least"
    yield from map(_line, found.kinds)
    low, high = LIKE_SOUND_AUC
    for name, one in (("invented", found.invented), ("drawn anew", found.redrawn)):
        mark = "" if one.pictures < FEW else _mark(not _is_like_sound(one))
        told = f"{one.score:7.3f}" if one.pictures else f"{'none':>7}"
        yield f"{name:<18}{told}{'':16}{one.flagged:>14.0%}   {low} to {high}   {mark}".rstrip()
    mark = _mark(found.false_alarms > FALSE_ALARMS)
    yield f"{'false alarms':<18}{found.false_alarms:>7.1%}{'':30}{FALSE_ALARMS:.0%} at most   {mark}"
    yield ""
    yield f"verdict    worse than documented: {'; '.join(found.worse)}" if found.worse else f"verdict    {_GOOD}"


_GOOD: Final = "the judge is as good on this dataset as documented"


def refuse_worse(found: SelfCheck) -> None:
    """Refuse a judge that is worse on a dataset than documented.

    Raises:
        DatasetError: Naming what is worse, and by how much.
    """
    if found.worse:
        what = f"the judge is worse on this dataset than documented: {'; '.join(found.worse)}"
        raise DatasetError(what, str(found.dataset), _REMEDY)


def _kind(kind: Corruption, measured: Measured, sound: Sequence[PictureScore]) -> KindFigures:
    bad = {severity: _judged(measured, (kind.name, severity)) for severity in SEVERITIES}
    severities = np.repeat(SEVERITIES, [len(ones) for ones in bad.values()])
    badness = -np.array([one.score for ones in bad.values() for one in ones])
    return KindFigures(
        name=kind.name,
        exploded=kind.style,
        floor=(EXPLODED_AUC if kind.style else CONTENT_AUC) if kind.named else None,
        floor_at=MEDIUM if kind.style else 1.0,
        rank=measures.rank_correlation(severities, badness),
        figures=tuple(_figures(severity, ones, sound) for severity, ones in bad.items()),
    )


def _figures(severity: float, bad: Sequence[PictureScore], sound: Sequence[PictureScore]) -> Figures:
    def auc(attribute: str, sign: int) -> float:
        low, high = (sign * np.array([getattr(one, attribute) for one in ones]) for ones in (sound, bad))
        return measures.auc(low, high)

    return Figures(severity, len(bad), auc("score", -1), auc("style", 1), auc("shape", 1), _flagged(bad))


def _judged(measured: Measured, name: Name) -> tuple[PictureScore, ...]:
    """The pictures of a group, as those of one checkpoint of a run that is else sound."""
    sound, values = measured.groups[SOUND, 0.0], measured.groups.get(name, np.empty((0, 0)))
    if name[0] == SOUND:
        return _scored(sound, measured)
    return _scored(np.concatenate([sound, values]), measured)[len(sound) :] if len(values) else ()


def _scored(values: Values, measured: Measured) -> tuple[PictureScore, ...]:
    cells = [Cell(0, "", number, measured.material.dataset) for number in range(len(values))]
    return score.judge(cells, values, measured.bands)


def _flagged(ones: Sequence[PictureScore]) -> float:
    return sum(bool(one.fault) for one in ones) / max(1, len(ones))


def _is_like_sound(one: Figures) -> bool:
    low, high = LIKE_SOUND_AUC
    return low <= one.score <= high


def _worse(kinds: Sequence[KindFigures], redrawn: Figures, invented: Figures, false_alarms: float) -> Iterator[str]:
    for kind in kinds:
        if kind.is_worse:
            yield f"{kind.name} {kind.reached:.3f} (at least {kind.floor})"
    low, high = LIKE_SOUND_AUC
    for name, one in (("inventions", invented), ("characters drawn anew", redrawn)):
        if one.pictures >= FEW and not _is_like_sound(one):
            yield f"{name} {one.score:.3f} ({low} to {high})"
    if false_alarms > FALSE_ALARMS:
        yield f"false alarms {false_alarms:.1%} (at most {FALSE_ALARMS:.0%})"


def _line(kind: KindFigures) -> str:
    aucs = "".join(f"{one.score:7.3f}" for one in kind.figures)
    flagged = next(one.flagged for one in kind.figures if one.severity == kind.floor_at)
    floor = f"{kind.floor} at {kind.floor_at:<5}{_mark(kind.is_worse)}" if kind.floor else ""
    return f"{kind.name:<18}{aucs}{kind.rank:7.2f}{flagged:9.0%}   {floor}".rstrip()


def _mark(is_worse: bool) -> str:
    return "worse" if is_worse else "OK"
