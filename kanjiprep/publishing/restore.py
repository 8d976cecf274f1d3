"""A downloaded repository back into the dataset folder that was pushed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kanjiprep import metadata
from kanjiprep.dataset import characters, folder
from kanjiprep.dataset.characters import Character
from kanjiprep.errors import DatasetError, os_reason
from kanjiprep.paths import resolved
from kanjiprep.progress import Progress
from kanjiprep.publishing import parquet_rows, shards

_STAGE: Final = "restore pictures"


def restore(snapshot: Path, out: Path, progress: Progress) -> None:
    """Write the dataset folder ``out`` from a downloaded snapshot of a dataset repository.

    It reads ``data/*.parquet``, or else every parquet file, and of these only the split ``train`` where
    names tell of one; where there is none, metadata.csv with its pictures beside it. The folder appears
    whole or not at all. Where the snapshot has build.json and SHA256SUMS, every byte is verified against
    them; one of them alone is left out, since it would vouch for nothing.

    Args:
        snapshot: The downloaded files, or links to them.
        out: Where the folder goes. Nothing but an empty folder may be there.
        progress: Hears rows restored and files verified.

    Raises:
        UsageError: If ``out`` cannot be the path of a folder.
        DatasetError: If the snapshot holds no dataset, a damaged one or an unsafe one, or if ``out`` is
            not free or cannot be written.
    """
    certificate = folder.read_certificate(snapshot)
    is_certified = certificate is not None and certificate.digest != "" and (snapshot / folder.SUMS).is_file()
    with _aside(resolved(out)) as aside:
        if files := _parquet_files(snapshot):
            known = _unpack(files, aside, progress)
            if known and (not is_certified or characters.NAME in folder.listed(snapshot)):
                _write(aside / characters.NAME, characters.to_jsonl(known))
        elif (snapshot / metadata.NAME).is_file():
            _copy_pictures(snapshot, aside, progress)
        else:
            raise DatasetError(f"holds neither parquet files nor {metadata.NAME}", str(snapshot), parquet_rows.REMEDY)
        _copy_if_there((folder.CARD, folder.SKIPPED), snapshot, aside)
        if certificate is not None and is_certified:
            _copy_if_there((folder.CERTIFICATE, folder.SUMS), snapshot, aside)
            _refuse_changed(aside, certificate, snapshot, progress)
        elif certificate is not None and not certificate.digest:  # it says whose the pictures are, vouching for none
            _copy_if_there((folder.CERTIFICATE,), snapshot, aside)


def _refuse_changed(aside: Path, certificate: folder.Certificate, snapshot: Path, progress: Progress) -> None:
    if changed := folder.differences(aside, certificate, progress):
        shown = ", ".join(changed[:3]) + (" ..." if len(changed) > 3 else "")  # noqa: PLR2004
        raise DatasetError(f"does not hold what was pushed: {shown}", str(snapshot), "download it again")


def _parquet_files(snapshot: Path) -> list[Path]:
    found = [path.relative_to(snapshot).as_posix() for path in sorted(snapshot.rglob("*.parquet"))]
    return [snapshot / name for name in parquet_rows.of_train(found)]


def _unpack(files: Sequence[Path], aside: Path, progress: Progress) -> list[Character]:
    """Write the pictures and metadata.csv; gives the characters of the rows, as far as the files have them."""
    captions: dict[str, str] = {}
    known: list[Character] = []
    total = sum(map(parquet_rows.count, files))
    for path in files:
        for row in parquet_rows.read(path, len(captions)):
            if row.file_name in captions:
                raise DatasetError(f"{row.file_name!r} has more than one row", str(path), parquet_rows.REMEDY)
            _write(aside / row.file_name, row.picture)
            captions[row.file_name] = row.caption
            known += [row.character] if row.character else []
            progress(_STAGE, len(captions), total)
    if not captions:
        raise DatasetError("has no rows", str(files[0]), parquet_rows.REMEDY)
    _write(aside / metadata.NAME, metadata.to_csv(captions.items()))
    return known


def _copy_pictures(snapshot: Path, aside: Path, progress: Progress) -> None:
    """Copy a dataset that was pushed as it is: its tables, and the pictures that they name."""
    names = [name for name, _ in metadata.read_rows(snapshot / metadata.NAME)]
    shards.refuse_unfit(names, str(snapshot / metadata.NAME))
    for done, name in enumerate(names, 1):
        _write(aside / name, _read(snapshot / name))
        progress(_STAGE, done, len(names))
    _copy_if_there((metadata.NAME, characters.NAME), snapshot, aside)


def _copy_if_there(names: Sequence[str], snapshot: Path, aside: Path) -> None:
    for name in names:
        if (snapshot / name).is_file():
            _write(aside / name, _read(snapshot / name))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"cannot be read: {os_reason(error)}", str(path), "download it again") from error


def _write(path: Path, data: bytes) -> None:
    """Write a file that must be new, so that no link is followed."""
    with path.open("xb") as stream:
        stream.write(data)


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """An empty folder beside ``out``, held alone, that takes its place in the end or is removed."""
    aside = out.with_name(f".{out.name}.restoring")
    try:
        aside.mkdir(parents=True, exist_ok=True)
        with _alone(aside):
            try:
                _refuse_taken(out)
                _empty(aside)
                yield aside
                aside.rename(out)
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                raise
    except OSError as error:
        raise DatasetError(
            f"cannot be written: {os_reason(error)}",
            str(error.filename or out),
            "free the space, fix the permissions, or give another folder",
        ) from error


@contextmanager
def _alone(folder_path: Path) -> Iterator[None]:
    lock = os.open(folder_path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _take(lock, folder_path)
        yield
    finally:
        os.close(lock)


def _take(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == path.stat().st_ino:
            return
    except (BlockingIOError, FileNotFoundError):
        pass  # it is held, or was finished and renamed away between open and lock
    raise DatasetError("another restoring is at work here", str(path), "wait for it or stop it")


def _refuse_taken(out: Path) -> None:
    if os.path.lexists(out) and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError("is there already", str(out), "move it away or give another folder")


def _empty(aside: Path) -> None:
    for entry in aside.iterdir():
        entry.unlink()  # a killed restoring leaves files and no folders
