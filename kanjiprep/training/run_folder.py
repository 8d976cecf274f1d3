"""The run folder: everything that the trainer reads, written aside and then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from kanjiprep.errors import UsageError, os_reason
from kanjiprep.training import configs, locks, pictures, presets
from kanjiprep.training.configs import RenderedConfig
from kanjiprep.training.pictures import Dataset
from kanjiprep.training.presets import Preset

CONFIG: Final = "config"
PICTURES: Final = "pictures"
ORDER: Final = "launch.json"
"""In a folder in which a run was launched."""
_SUMS: Final = "SHA256SUMS"
"""Of every file that a rendering wrote, so that nothing else is ever replaced."""


def write(
    run: Path,
    preset: Preset,
    rendered: RenderedConfig,
    dataset: Dataset,
    beside: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Write ``run.toml``, ``config/``, ``pictures/`` and their sums of a run that has not begun.

    ``pictures/`` holds links into the dataset folder: SimpleTuner keeps its bucket lists beside the
    pictures, and the dataset folder stays as it was built.

    Args:
        run: The run folder, absolute; replaced if it holds no more than an earlier rendering.
        preset: Whose resolved spec is kept.
        rendered: For this very folder.
        dataset: The pictures.
        beside: Further files by name, with which the run counts as begun.

    Raises:
        UsageError: If a run has begun there, something else is in the way, or it cannot be written.
    """
    aside, replaced = (run.with_name(f".{run.name}.{word}") for word in ("preparing", "replaced"))
    with _as_usage_error(run):
        run.parent.mkdir(parents=True, exist_ok=True)
        with locks.held(run.parent), _removed_at_last(aside):  # others who would write a run there wait
            _recover(run, replaced)
            refuse_begun(run)
            shutil.rmtree(aside, ignore_errors=True)
            _fill(aside, preset, rendered, dataset)
            for name, data in beside.items():
                (aside / name).write_bytes(data)
            _put(aside, run, replaced)


def _put(aside: Path, run: Path, replaced: Path) -> None:
    """Give what was written aside the name of the run; an earlier rendering goes, and nothing but that."""
    if run.exists():
        run.rename(replaced)
        _recover(run, replaced)
    aside.rename(run)


def _recover(run: Path, replaced: Path) -> None:
    """Remove an earlier rendering that was moved away; if it is more than that, move it back.

    A run may have begun in it in the last moment, or a kill may have left it.
    """
    if not replaced.exists():
        return
    if not _strangers(replaced):
        shutil.rmtree(replaced)
    elif run.exists():
        raise UsageError("is a run that was moved away and could not be put back", str(replaced), "move it yourself")
    else:
        replaced.rename(run)
        refuse_begun(run)


def _fill(folder: Path, preset: Preset, rendered: RenderedConfig, dataset: Dataset) -> None:
    files = {
        presets.SPEC: presets.to_toml(preset.resolved_spec()),
        **{name: source.encode() for name, source in preset.own_templates().items()},
        **{f"{CONFIG}/{name}": data for name, data in rendered.files().items()},
        f"{CONFIG}/{configs.CAPTIONS}": pictures.captions_jsonl(dataset),
    }
    (folder / CONFIG).mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    lines = (f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    (folder / _SUMS).write_text("".join(lines), "utf-8")
    link(folder / PICTURES, dataset.folder, (picture.file_name for picture in dataset.pictures))


def refuse_begun(run: Path) -> None:
    """Refuse to replace anything but a rendering that nobody has touched.

    Raises:
        UsageError: If there is anything else.
    """
    with _as_usage_error(run):
        if os.path.lexists(run) and not run.is_dir():
            raise UsageError("is no folder", str(run), "move it away, or give the run another --name")
        strangers = _strangers(run) if run.exists() else []
    if ORDER in strangers:
        name = shlex.quote(str(run))
        remedy = f"look at it with kanjiprep monitor {name}, or give the new run another --name"
        raise UsageError("a run was launched here", str(run), remedy)
    if strangers:
        raise UsageError(
            f"holds more than a rendering: {', '.join(strangers[:3])}", str(run), "give the new run another --name"
        )


def _strangers(run: Path) -> list[str]:
    """What in ``run`` a rendering did not write, or not so, by path."""
    ours = _sums(run / _SUMS)
    entries = list(run.iterdir())
    folders = {CONFIG, PICTURES} & {entry.name for entry in entries if entry.is_dir() and not entry.is_symlink()}
    files = [entry.name for entry in entries if entry.name not in folders and (entry.name != _SUMS or entry.is_dir())]
    if CONFIG in folders:
        files += [f"{CONFIG}/{entry.name}" for entry in (run / CONFIG).iterdir()]
    found = [name for name in files if ours.get(name) != _sha256(run / name)]
    if PICTURES in folders:
        found += [f"{PICTURES}/{entry.name}" for entry in (run / PICTURES).iterdir() if not entry.is_symlink()]
    return sorted(found)


def _sums(path: Path) -> dict[str, str]:
    try:
        pairs = (line.split("  ", 1) for line in path.read_text("utf-8").splitlines() if "  " in line)
        return {name: digest for digest, name in pairs}
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError):
        return {}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"


def earlier(run: Path) -> tuple[tuple[int, ...], Mapping[str, object] | None]:
    """The steps of the checkpoints in a run's output folder, ascending, and the config that made them."""
    found = (run / "output").glob("checkpoint-*")
    steps = tuple(sorted(int(path.name[11:]) for path in found if path.name[11:].isdecimal()))
    try:
        previous = json.loads((run / CONFIG / configs.CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError):  # not a run of ours, or none: then nothing is known
        return steps, None
    return steps, previous if isinstance(previous, dict) else None


def link(folder: Path, dataset: Path, names: Iterable[str]) -> None:
    """Make ``folder`` with links to the pictures of that name in ``dataset``.

    Raises:
        OSError: If it cannot be written.
    """
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(dataset / name)


@contextmanager
def _removed_at_last(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
