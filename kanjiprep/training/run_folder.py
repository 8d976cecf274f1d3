"""The run folder: everything that the trainer reads, written aside and then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kanjiprep.errors import UsageError, os_reason
from kanjiprep.training import configs, pictures, presets
from kanjiprep.training.configs import RenderedConfig
from kanjiprep.training.pictures import Dataset
from kanjiprep.training.presets import Preset

CONFIG: Final = "config"
PICTURES: Final = "pictures"
_PREPARED: Final = frozenset({presets.SPEC, CONFIG, PICTURES})


def write(run: Path, preset: Preset, rendered: RenderedConfig, dataset: Dataset) -> None:
    """Write ``run.toml``, ``config/`` and ``pictures/`` of a run that has not begun.

    ``pictures/`` holds links into the dataset folder: SimpleTuner keeps its bucket lists beside the
    pictures, and the dataset folder stays as it was built.

    Args:
        run: The run folder, absolute; replaced if it holds no more than an earlier rendering.
        preset: Whose resolved spec is kept.
        rendered: For this very folder.
        dataset: The pictures.

    Raises:
        UsageError: If a run has begun there, something else is in the way, or it cannot be written.
    """
    refuse_begun(run)
    aside = run.with_name(f".{run.name}.preparing")
    with _as_usage_error(aside), _removed_on_failure(aside):
        if aside.exists():
            shutil.rmtree(aside)
        (aside / CONFIG).mkdir(parents=True)
        (aside / presets.SPEC).write_bytes(presets.to_toml(preset.resolved_spec()))
        for name, data in rendered.files().items():
            (aside / CONFIG / name).write_bytes(data)
        (aside / CONFIG / configs.CAPTIONS).write_bytes(pictures.captions_jsonl(dataset))
        _link(aside / PICTURES, dataset)
        if run.exists():
            shutil.rmtree(run)  # an earlier rendering, which this one replaces
        aside.rename(run)


def refuse_begun(run: Path) -> None:
    """Refuse a folder that holds more than a rendering.

    Raises:
        UsageError: If it does.
    """
    with _as_usage_error(run):
        strangers = (
            sorted(entry.name for entry in run.iterdir() if entry.name not in _PREPARED) if run.exists() else []
        )
    if strangers:
        raise UsageError(
            f"holds more than a rendering: {', '.join(strangers[:3])}", str(run), "give the new run another --name"
        )


def _link(folder: Path, dataset: Dataset) -> None:
    folder.mkdir()
    for picture in dataset.pictures:
        (folder / picture.file_name).symlink_to(dataset.folder / picture.file_name)


@contextmanager
def _removed_on_failure(aside: Path) -> Iterator[None]:
    try:
        yield
    finally:
        if os.path.lexists(aside):  # gone once it is renamed
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _as_usage_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot be written: {os_reason(error)}",
            str(error.filename or path),
            "free the space, fix the permissions, or work in another folder",
        ) from error
