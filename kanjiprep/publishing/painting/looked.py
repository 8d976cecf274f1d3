"""What can be known of a series before its model is loaded or fetched: whether its LoRAs and its folder serve."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.evaluation.weights import lora as loras
from kanjiprep.publishing.painting.planned import Plan, name_of
from kanjiprep.publishing.tuned import Tuned

_MOST_WHOLE: Final = 3
"""So many files are read whole, a second each; of more, the first one is, and the headers of the others."""


def look(plan: Plan) -> Mapping[Path, TrainerError]:
    """What is wrong with LoRAs that have pictures to paint yet, by file; the folder is tried too.

    Raises:
        TrainerError: If none of them can be used, or the folder cannot be written into.
    """
    todo = list(_todo(plan))
    found = unfit([one for one in todo if one is not None])
    if todo:
        try_folder(plan.out)
    return found


def _todo(plan: Plan) -> Iterator[Tuned | None]:
    """What has pictures to paint yet; None for the base model."""
    for column in plan.columns:
        if not all(os.path.lexists(plan.out / name_of(column, one)) for one in plan.pictures):
            yield column.tuned


def unfit(tuned: Sequence[Tuned]) -> Mapping[Path, TrainerError]:
    """What is wrong with LoRAs among ``tuned``, by file; the first one is read whole.

    Raises:
        TrainerError: If there are some and none can be used.
    """
    files = [one.path for one in tuned if one.kind == "lora"]
    found = {
        path: error
        for number, path in enumerate(files)
        if (error := _fault(path, number == 0 or len(files) <= _MOST_WHOLE)) is not None
    }
    if files and len(found) == len(set(files)) == len(tuned):
        raise found[files[0]]
    return found


def _fault(path: Path, is_whole: bool) -> TrainerError | None:
    try:
        loras.refuse_unfit(loras.outline(path))
        if is_whole:
            loras.refuse_unfit(loras.inspect(path))
    except TrainerError as error:
        return error
    return None


def try_folder(out: Path) -> None:
    """Make the folder ``out`` and a file in it, and take away again what was not there.

    Raises:
        TrainerError: If that cannot be done.
    """
    made = [one for one in (out, *out.parents) if not os.path.lexists(one)]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        what = f"cannot be written into: {os_reason(error)}"
        raise TrainerError(what, str(out), "give --out another folder") from error
    finally:
        for one in made:
            with suppress(OSError):  # another process may have put something there by now
                one.rmdir()
