"""The run folder: everything that the trainer reads, written aside and then renamed."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kanjiprep.errors import UsageError, os_reason
from kanjiprep.training import configs, pictures, presets
from kanjiprep.training.configs import RenderedConfig
from kanjiprep.training.pictures import Dataset
from kanjiprep.training.presets import Preset

CONFIG: Final = "config"
_PREPARING: Final = ".preparing"
SUMS: Final = "SHA256SUMS"
PICTURES: Final = "pictures"
_PREPARED: Final = frozenset({presets.SPEC, CONFIG, PICTURES, *map("{}.j2".format, configs.FILES)})


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
    with _as_usage_error(run):
        run.parent.mkdir(parents=True, exist_ok=True)
        _sweep(run)
        aside = Path(tempfile.mkdtemp(prefix=f".{run.name}.", suffix=_PREPARING, dir=run.parent))
        with _removed_at_last(aside), _held(aside):
            _fill(aside / run.name, preset, rendered, dataset)
            if os.path.lexists(run):
                _take_away(run, aside / "replaced")
            (aside / run.name).rename(run)


def _sweep(run: Path) -> None:
    """Remove what launches that were killed left aside; those at work hold theirs."""
    for left in run.parent.glob(f".{glob.escape(run.name)}.*{_PREPARING}"):
        with suppress(BlockingIOError, FileNotFoundError), _held(left):
            shutil.rmtree(left)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def _fill(folder: Path, preset: Preset, rendered: RenderedConfig, dataset: Dataset) -> None:
    (folder / CONFIG).mkdir(parents=True)
    (folder / presets.SPEC).write_bytes(presets.to_toml(preset.resolved_spec()))
    for name, source in preset.own_templates().items():
        (folder / name).write_text(source, "utf-8")
    for name, data in rendered.files().items():
        (folder / CONFIG / name).write_bytes(data)
    (folder / CONFIG / configs.CAPTIONS).write_bytes(pictures.captions_jsonl(dataset))
    written = {path.name: _sha256(path) for path in sorted((folder / CONFIG).iterdir())}
    (folder / CONFIG / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in written.items()), "utf-8")
    _link(folder / PICTURES, dataset)


def _take_away(run: Path, to: Path) -> None:
    """Move an earlier rendering out of the way, and back if a run began in it meanwhile."""
    run.rename(to)
    try:
        refuse_begun(to)
    except UsageError:
        to.rename(run)
        raise


def refuse_begun(run: Path) -> None:
    """Refuse to replace anything but a rendering that nobody has touched.

    Raises:
        UsageError: If there is anything else.
    """
    with _as_usage_error(run):
        if os.path.lexists(run) and not run.is_dir():
            raise UsageError("is no folder", str(run), "move it away, or give the run another --name")
        strangers = _strangers(run) if run.exists() else []
    if strangers:
        raise UsageError(
            f"holds more than a rendering: {', '.join(strangers[:3])}", str(run), "give the new run another --name"
        )


def _strangers(run: Path) -> list[str]:
    """What in ``run`` a rendering did not write, or not so, by path."""
    ours = _sums(run / CONFIG / SUMS)
    found = [entry.name for entry in run.iterdir() if entry.name not in _PREPARED]
    rendered = [entry for entry in _inside(run / CONFIG) if entry.name != SUMS]
    found += [f"{CONFIG}/{entry.name}" for entry in rendered if ours.get(entry.name) != _sha256(entry)]
    found += [f"{PICTURES}/{entry.name}" for entry in _inside(run / PICTURES) if not entry.is_symlink()]
    return sorted(found)


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _sums(path: Path) -> dict[str, str]:
    try:
        pairs = (line.split("  ", 1) for line in path.read_text("utf-8").splitlines() if "  " in line)
        return {name: digest for digest, name in pairs}
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return {}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def earlier(run: Path) -> tuple[tuple[int, ...], Mapping[str, object] | None]:
    """The steps of the checkpoints in a run's output folder, ascending, and the config that made them."""
    found = (run / "output").glob("checkpoint-*")
    steps = tuple(sorted(int(path.name[11:]) for path in found if path.name[11:].isdecimal()))
    try:
        previous = json.loads((run / CONFIG / configs.CONFIG).read_bytes())
    except (OSError, ValueError):  # not a run of ours, or none: then nothing is known
        return steps, None
    return steps, previous if isinstance(previous, dict) else None


def _link(folder: Path, dataset: Dataset) -> None:
    folder.mkdir()
    for picture in dataset.pictures:
        (folder / picture.file_name).symlink_to(dataset.folder / picture.file_name)


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
