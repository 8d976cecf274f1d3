"""The LoRA as ComfyUI is to get it: the file itself where it is fit, else a copy that was mended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.evaluation.weights import safetensors_file
from kanjiprep.publishing.comfyui.written import folder
from kanjiprep.publishing.comfyui.written.folder import Entry
from kanjiprep.publishing.doctor import fixed
from kanjiprep.publishing.tuned import Tuned

Shape = tuple[object, ...]
"""All that a file's header says."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One LoRA for ComfyUI.

    Attributes:
        file: Where its bytes are; None if it stands where it belongs.
        source: The fingerprint of what was trained.
        changes: What was mended.
        bytes: Its size.
        is_shared: Whether it can share its bytes with what was trained, having the same.
    """

    file: Path | None
    source: str
    changes: tuple[str, ...]
    bytes: int
    is_shared: bool


def prepare(tuned: Tuned, there: Path, aside: Path, entry: Entry | None) -> Copy:
    """The LoRA of ``tuned``, mended at ``aside`` if it has to be.

    Args:
        tuned: What was trained.
        there: Where it is to stand.
        aside: Where a mended copy may be written.
        entry: What we know of the file that stands there.

    Raises:
        TrainerError: If it is unfit to be used, or cannot be read.
        UsageError: If it cannot be written.
    """
    found = standing(tuned, there, entry)
    if found is not None:
        return found
    with folder.as_usage_error(aside.parent):
        aside.parent.mkdir(parents=True, exist_ok=True)
    changes = _repaired(tuned, there, aside)
    if changes:
        return Copy(aside, folder.fingerprint(tuned.path), changes, aside.stat().st_size, False)
    aside.unlink()
    return unmended(tuned, there, aside, entry)


def _repaired(tuned: Tuned, there: Path, aside: Path) -> tuple[str, ...]:
    try:
        return fixed.fix(tuned.path, aside, tuned.alpha)
    except TrainerError as error:
        if error.where == str(aside):  # no fault of the LoRA
            raise UsageError(error.what, str(there), error.remedy) from error
        raise


def unmended(tuned: Tuned, there: Path, aside: Path, entry: Entry | None) -> Copy:
    """``prepare`` for whoever knows that there is nothing to mend."""
    size = tuned.path.stat().st_size
    found = Copy(tuned.path, folder.fingerprint(tuned.path), (), size, can_share(tuned.path, aside))
    return standing(tuned, there, entry) or found


def can_share(source: Path, target: Path) -> bool:
    """Whether one file may have both names, as far as the disk tells."""
    place = next(folder for folder in target.parents if folder.is_dir())
    return source.stat().st_dev == place.stat().st_dev


def standing(tuned: Tuned, there: Path, entry: Entry | None) -> Copy | None:
    """What stands there, if it was made from the very same file and nobody has touched it since."""
    source = folder.fingerprint(tuned.path)
    if entry is None or not source or entry.source != source or folder.fingerprint(there) != entry.print:
        return None
    return Copy(None, source, entry.changes, there.stat().st_size, there.samefile(tuned.path))


def shape(path: Path) -> Shape | None:
    """What must be equal for two files to be mended equally; None if numbers in the file matter too.

    Raises:
        TrainerError: If it is no .safetensors file, or cannot be read.
    """
    header = safetensors_file.read(path)
    if any(name.endswith(".alpha") for name in header.tensors):
        return None
    tensors = sorted((one.name, one.dtype, one.shape) for one in header.tensors.values())
    return (*tensors, *sorted(header.metadata.items()))
