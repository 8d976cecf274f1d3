"""report/scores.csv of a run: a score a checkpoint, and which was chosen."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.evaluation.choose import Ranked, Verdict
from kanjiprep.evaluation.judged import JudgedStep

NAME: Final = "report/scores.csv"
_STEP: Final = re.compile(r"[0-9]{1,9}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_CHOSEN: Final = {"yes": True, "no": False, "": False}
_REMEDY: Final = "score the run anew, or move the file away"


@dataclass(frozen=True, slots=True)
class Score:
    """A row.

    Attributes:
        step: Of the checkpoint.
        score: Higher is better.
        more: All further columns, as they are.
    """

    step: int
    score: float
    more: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scores:
    """The whole file.

    Attributes:
        rows: In its order.
        chosen: Step of the best checkpoint; None if none could be told from the others.
    """

    rows: tuple[Score, ...]
    chosen: int | None


def read(run: Path) -> Scores | None:
    """The scores of ``run``; None if it has none.

    Raises:
        TrainerError: With the line, if the file cannot be read or is not such a table.
    """
    path = run / NAME
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise TrainerError("is not UTF-8 text", f"{path}:{line}", _REMEDY) from error
    except OSError as error:
        raise TrainerError(f"cannot be read: {os_reason(error)}", str(path), _REMEDY) from error
    return _scores(text, str(path))


def to_csv(steps: Sequence[JudgedStep], verdict: Verdict) -> bytes:
    """scores.csv of the judged checkpoints, ascending by step."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    of = {one.step: one for one in steps}
    writer.writerows(_fields(one, of[one.step], one.step == verdict.step) for one in verdict.ranked)
    return text.getvalue().encode()


_COLUMNS: Final = ("step", "score", "low", "high", "chosen", "tied", "style", "shape", "pictures", "flags")


def _fields(place: Ranked, step: JudgedStep, is_chosen: bool) -> tuple[object, ...]:
    numbers = (place.smooth, place.low, place.high)
    marks = ("yes" if is_chosen else "no", "yes" if place.is_tied else "no")
    flags = ", ".join(dict.fromkeys(flag.about for flag in place.flags))
    more = (f"{step.style:.3f}", f"{step.shape:.3f}", step.pictures, flags)
    return (place.step, *(f"{number:.2f}" for number in numbers), *marks, *more)


def _scores(text: str, path: str) -> Scores:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    found: list[Score] = []
    chosen: list[int] = []
    try:
        header = _header(next(reader, []), path)
        for fields in filter(None, reader):
            where = f"{path}:{reader.line_num}"
            score, is_chosen = _row(header, fields, where)
            _refuse(any(one.step == score.step for one in found), f"has step {score.step} again", where)
            _refuse(is_chosen and bool(chosen), "chooses a second checkpoint", where)
            found.append(score)
            chosen += [score.step] if is_chosen else []
    except csv.Error as error:
        raise TrainerError(f"is not CSV: {error}", f"{path}:{reader.line_num}", _REMEDY) from error
    _refuse(not found, "has no rows", f"{path}:1")
    return Scores(tuple(found), chosen[0] if chosen else None)


def _header(fields: list[str], path: str) -> list[str]:
    where = f"{path}:1"
    for name in ("step", "score"):
        _refuse(name not in fields, f"has no column {name!r}", where)
    _refuse(len(set(fields)) < len(fields), "has a column twice", where)
    return fields


def _row(header: list[str], fields: list[str], where: str) -> tuple[Score, bool]:
    _refuse(len(fields) != len(header), f"has {len(fields)} fields instead of {len(header)}", where)
    row = dict(zip(header, fields, strict=True))
    step, score, chosen = row.pop("step"), row.pop("score"), row.pop("chosen", "")
    _refuse(not _STEP.fullmatch(step), f"step must be a whole number, not {step!r:.40}", where)
    is_number = bool(_NUMBER.fullmatch(score)) and math.isfinite(float(score))
    _refuse(not is_number, f"score must be a number, not {score!r:.40}", where)
    _refuse(chosen not in _CHOSEN, f"chosen must be yes or no, not {chosen!r:.40}", where)
    return Score(int(step), float(score), row), _CHOSEN[chosen]


def _refuse(is_wrong: bool, what: str, where: str) -> None:
    if is_wrong:
        raise TrainerError(what, where, _REMEDY)
