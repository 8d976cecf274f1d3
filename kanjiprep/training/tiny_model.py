"""A tiny model of random weights, for rehearsals on a CPU: nothing is downloaded, nothing is learnt."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.training import trainer as trainers
from kanjiprep.training.trainer import Trainer

TIMEOUT_S: Final = 600.0
_INDEX: Final = "model_index.json"


def make(trainer: Trainer, out: Path, family: str = "sd3", *, seed: int = 0, timeout_s: float = TIMEOUT_S) -> Path:
    """``out``, with a tiny pipeline in the layout of diffusers; one that is there already is kept.

    Args:
        trainer: Its Python makes the model.
        out: The folder; nothing stands there before it is whole.
        family: ``sd3`` or ``sd1x``.
        seed: The same seed gives the same bytes, with the same trainer.
        timeout_s: Longest wait.

    Raises:
        TrainerError: If something else is there, it cannot be written, or the trainer fails.
    """
    if (out / _INDEX).is_file():
        return out
    if out.exists():
        raise TrainerError("is in the way and no finished model", str(out), "move it away")
    with _aside(out) as part:
        trainers.inside(trainer, "tiny_model.py", str(part), str(seed), family, timeout_s=timeout_s, cwd=part)
    return out


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that becomes ``out`` after the block, unless somebody was faster."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".building", dir=out.parent)).resolve()
        part.chmod(0o755)
        try:
            yield part
            if not (out / _INDEX).is_file():
                part.rename(out)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        place = str(error.filename or out)
        raise TrainerError(f"cannot be written: {os_reason(error)}", place, "give another folder") from error
