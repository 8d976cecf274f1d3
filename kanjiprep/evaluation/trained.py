"""The trained judge of a dataset, if it is to look at pictures too."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from kanjiprep.errors import UsageError
from kanjiprep.evaluation.judge import net, store
from kanjiprep.evaluation.judge.store import Judge
from kanjiprep.evaluation.reference import Training


def ready(folder: Path, training: Training, *, must: bool) -> Judge | None:
    """The judge in ``folder`` that was trained on the pictures of ``training``; None if there is none.

    Args:
        folder: Where judges are kept.
        training: The pictures.
        must: Whether it is an error if there is none, or no torch to run it.

    Raises:
        UsageError: If it must be there and is not.
        InputError: If its file is damaged.
    """
    if must:
        net.load_torch()
    found = store.load(folder, training.digest) if training.digest and _has_torch() else None
    if must and found is None:
        what = "no judge was trained on this dataset"
        raise UsageError(what, str(training.folder), "train one with kanjiprep score --train-judge")
    return found


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None
