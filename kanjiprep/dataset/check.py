"""Whether a dataset folder is fit to train on: facts gathered, judged and counted."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kanjiprep import metadata, tokens
from kanjiprep.dataset import folder, inspection, problems, sheet
from kanjiprep.errors import DatasetError
from kanjiprep.paths import picture_place, resolved
from kanjiprep.progress import Progress

if TYPE_CHECKING:
    from kanjiprep.dataset.inspection import Picture
    from kanjiprep.dataset.problems import Facts, Problem


@dataclass(frozen=True, slots=True)
class Spread:
    """Smallest, median and largest of a measure."""

    least: float
    median: float
    most: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """A dataset in numbers.

    Attributes:
        samples: Rows of metadata.csv.
        picture_bytes: Size of all pictures.
        ink: Share of black, 0 to 1.
        caption_characters: Length of the captions.
        clip_tokens: Counted as ``clip_counted`` says.
        clip_counted: How.
        t5_tokens: Counted as ``t5_counted`` says.
        t5_counted: How.
        strokes: Strokes drawn in all, from the birth certificate; None without one.
    """

    samples: int
    picture_bytes: int
    ink: Spread
    caption_characters: Spread
    clip_tokens: Spread
    clip_counted: str
    t5_tokens: Spread
    t5_counted: str
    strokes: int | None


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict on a dataset folder; ``sheet`` is None if none was drawn."""

    folder: Path
    problems: tuple[Problem, ...]
    statistics: Statistics
    sheet: Path | None

    @property
    def is_fit(self) -> bool:
        """Whether it can be trained on: no problem is an error."""
        return all(problem.severity != "error" for problem in self.problems)


def check(path: Path, sheet_path: Path | None, workers: int, progress: Progress) -> Checked:
    """The verdict on the dataset in ``path``, with a contact sheet drawn.

    Args:
        path: The dataset folder.
        sheet_path: Where the contact sheet goes; None for ``NAME-sheet.png`` beside the folder.
        workers: How many threads look at pictures.
        progress: Hears pictures looked at.

    Raises:
        UsageError: If the sheet would go into a dataset, or in the place of what is no picture.
        DatasetError: If there is no dataset to judge: no folder, or no metadata.csv that can be read.
    """
    at = resolved(path)
    wanted = sheet_path or at.with_name(f"{at.name}-sheet{sheet.SUFFIX}")
    metadata.refuse_in_dataset("--sheet", wanted)
    target = picture_place(wanted, (sheet.SUFFIX,))
    facts = _gather(at, workers, progress)
    checked = _judged(at, facts, target)
    names = [name for name, _ in facts.rows if name in facts.files]
    troubled = frozenset(name for problem in checked.problems for item in problem.items for name in item.files)
    sheet.write(sheet.draw(at, sheet.choose(names, troubled), troubled), target)
    return checked


def judge(path: Path, workers: int, progress: Progress) -> Checked:
    """The verdict on the dataset in ``path``, with nothing drawn.

    Raises:
        DatasetError: As ``check``.
    """
    at = resolved(path)
    return _judged(at, _gather(at, workers, progress), None)


def _judged(at: Path, facts: Facts, drawn: Path | None) -> Checked:
    return Checked(at, problems.find(facts), _statistics(at, facts), drawn)


def _gather(path: Path, workers: int, progress: Progress) -> Facts:
    """All that the judges need to know of the folder ``path``.

    Raises:
        DatasetError: If there is no folder, or no metadata.csv that can be read.
    """
    rows = metadata.read_rows(path / metadata.NAME)
    files = frozenset(entry.name for entry in path.iterdir() if _is_picture(entry))
    names = list(dict.fromkeys(name for name, _ in rows if name in files))
    pictures: list[Picture] = []
    for run in inspection.inspect_all(path, names, workers):
        pictures += run
        progress("look at pictures", len(pictures), len(names))
    certificate = folder.read_certificate(path)
    changes = folder.differences(path, certificate, progress) if certificate else ()
    return problems.Facts(rows, _read_back(path / metadata.NAME, rows), files, tuple(pictures), changes, certificate)


def _is_picture(path: Path) -> bool:
    """Whether ``path`` is called like one and can be opened without waiting for anybody."""
    return path.suffix.lower() in folder.PICTURE_SUFFIXES and (path.is_file() or path.is_symlink())


def _read_back(path: Path, rows: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """What pandas makes of captions that it does not leave alone, as ``datasets`` reads metadata.csv with it."""
    import pandas as pd

    try:
        pairs = list(zip(rows, pd.read_csv(path)["text"].tolist(), strict=True))
    except ValueError as error:  # its ParserError, or another number of rows than ours
        raise DatasetError(f"pandas, which loads it, cannot: {error}", str(path), "mend that line") from error
    return {name: repr(value) for (name, text), value in pairs if value != text}


def _statistics(path: Path, facts: Facts) -> Statistics:
    captions = [text for _, text in facts.rows]
    counts = facts.certificate.counts if facts.certificate else None
    return Statistics(
        samples=len(facts.rows),
        picture_bytes=sum((path / one.name).stat().st_size for one in facts.pictures if not one.fault),
        ink=_spread([one.ink for one in facts.pictures if not one.fault]),
        caption_characters=_spread(list(map(len, captions))),
        clip_tokens=_spread(list(map(tokens.clip_tokens, captions))),
        clip_counted=tokens.CLIP_COUNTED,
        t5_tokens=_spread(list(map(tokens.t5_tokens, captions))),
        t5_counted=tokens.T5_COUNTED,
        strokes=counts.strokes if counts else None,
    )


def _spread(values: list[float] | list[int]) -> Spread:
    return Spread(min(values), statistics.median(values), max(values)) if values else Spread(0, 0, 0)
