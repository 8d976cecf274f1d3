"""Norms of adapters that were looked at before, in one small JSON file that may be lost at any time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.evaluation.weights.norms import Norms
from kanjiprep.training.running import files

_VERSION: Final = 1
"""To be raised when norms of the same file come out otherwise."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one state of a file from another.

    Attributes:
        name: With its folder's, which is the checkpoint's.
        bytes: Its size.
        mtime_ns: When it was changed.
    """

    name: str
    bytes: int
    mtime_ns: int


Entries = Mapping[Stamp, Mapping[str, Norms]]
"""Norms by module, of each file."""


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file.

    Raises:
        TrainerError: If there is none.
    """
    try:
        found = path.stat()
    except OSError as error:
        remedy = "take another checkpoint, or copy this one anew"
        raise TrainerError(f"cannot be read: {os_reason(error)}", str(path), remedy) from error
    return Stamp(f"{path.parent.name}/{path.name}", found.st_size, found.st_mtime_ns)


def read(path: Path) -> dict[Stamp, Mapping[str, Norms]]:
    """What is known; nothing, if there is no such file, or it is not what was written."""
    try:
        table = json.loads(path.read_bytes())
        if table["version"] != _VERSION:
            return {}
        return {_stamp(entry): _norms(entry["norms"]) for entry in table["files"]}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return {}


def write(path: Path, entries: Entries) -> None:
    """Write what is known, aside, and rename it; the folder is made.

    Raises:
        TrainerError: If it cannot be written.
    """
    known = [
        {
            "name": stamp.name,
            "bytes": stamp.bytes,
            "mtime_ns": stamp.mtime_ns,
            "norms": {module: _numbers(one) for module, one in norms.items()},
        }
        for stamp, norms in entries.items()
    ]
    text = json.dumps({"version": _VERSION, "files": known}, allow_nan=False, ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot be written: {os_reason(error)}", str(path), "give another folder") from error
    files.replace(path, text.encode())


def _numbers(norms: Norms) -> list[float] | None:
    return [norms.frobenius, norms.spectral] if norms.is_finite else None


def _stamp(entry: Mapping[str, object]) -> Stamp:
    name, size, mtime_ns = entry["name"], entry["bytes"], entry["mtime_ns"]
    if not isinstance(name, str) or type(size) is not int or type(mtime_ns) is not int:
        raise ValueError("no stamp of a file")
    return Stamp(name, size, mtime_ns)


def _norms(entry: Mapping[str, list[float] | None]) -> dict[str, Norms]:
    return {module: _read(pair) for module, pair in entry.items()}


def _read(pair: list[float] | None) -> Norms:
    if pair is None:
        return Norms(math.nan, math.nan)
    frobenius, spectral = pair
    if not 0 <= spectral <= frobenius < math.inf:
        raise ValueError("no two norms of a matrix")
    return Norms(float(frobenius), float(spectral))
