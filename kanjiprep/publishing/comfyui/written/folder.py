"""A folder of ours among a user's files: written aside and renamed, and what is not ours left alone."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kanjiprep.errors import UsageError, os_reason

LEDGER: Final = ".kanjiprep.json"
"""What we wrote, so that it can be told from what others wrote. Nothing else reads it."""
_ASIDE: Final = ".writing"
_PIECE_BYTES: Final = 1 << 20
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as we left it.

    Attributes:
        print: Its fingerprint.
        source: The fingerprint of the file that it was made from; empty if it was made from none.
        changes: What was mended on the way.
    """

    print: str
    source: str = ""
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to stand in the folder, by names that may have folders in them.

    Attributes:
        texts: Files by their bytes.
        files: Files by where the same bytes are already; they are shared with it where the disk allows it.
        kept: Names that are right as they stand.
        entries: What is known of the origin of ``files`` and ``kept``, their fingerprints left empty.
        is_stale: Whether a file of ours that is not wanted any more is to go, by its name and what is known of it.
    """

    texts: Mapping[str, bytes]
    files: Mapping[str, Path] = field(default_factory=dict)
    kept: Collection[str] = ()
    entries: Mapping[str, Entry] = field(default_factory=dict)
    is_stale: Callable[[str, Entry], bool] = lambda name, entry: False  # noqa: ARG005


@contextmanager
def opened(folder: Path) -> Iterator[Path]:
    """A place inside ``folder`` to write in first; both are made, and the place is removed at the end.

    Nobody else has ``folder`` open in this way meanwhile.

    Raises:
        UsageError: If it is a file, or cannot be written, or another has it open.
    """
    with as_usage_error(folder):
        is_new = not folder.exists()
    if not is_new and not folder.is_dir():
        raise UsageError("is no folder", str(folder), "give another --out")
    aside = folder / _ASIDE
    with as_usage_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        try:
            with as_usage_error(folder):
                shutil.rmtree(aside, ignore_errors=True)  # of a run that was killed
                aside.mkdir()
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            if is_new:
                with suppress(OSError):  # it holds what was wanted
                    folder.rmdir()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """A lock on ``folder``, which ends with the process at the latest."""
    with as_usage_error(folder):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with as_usage_error(folder):
            is_held = _is_held(lock, folder)
        if not is_held:
            raise UsageError("another kanjiprep writes there", str(folder), "wait for it, or give another --out")
        yield
    finally:
        os.close(lock)


def _is_held(lock: int, folder: Path) -> bool:
    """Whether we hold ``folder`` from now on, and it is still the one that was opened."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(lock).st_ino == folder.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


def entries(folder: Path) -> dict[str, Entry]:
    """What we wrote into ``folder`` earlier, by name; nothing if there is no account of it."""
    try:
        table: Any = json.loads((folder / LEDGER).read_bytes())
        found = {name: Entry(one["print"], one["source"], tuple(one["changes"])) for name, one in table.items()}
    except (OSError, ValueError, RecursionError, AttributeError, TypeError, KeyError):  # whatever else it may be
        return {}
    return {name: entry for name, entry in found.items() if _is_inside(name)}


def fingerprint(path: Path) -> str:
    """What tells a file from others, quickly: its size, and its first and last MiB; empty if it cannot be read."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            found = hashlib.sha256(f"{size} ".encode() + stream.read(_PIECE_BYTES))
            stream.seek(max(0, size - _PIECE_BYTES))
            found.update(stream.read(_PIECE_BYTES))
    except OSError:
        return ""
    return found.hexdigest()


def lay_out(folder: Path, aside: Path, wanted: Wanted, force: bool) -> tuple[str, ...]:
    """The names of the files that had to be written, so that ``folder`` holds what is wanted.

    Args:
        folder: Where to.
        aside: A place in it, as of ``opened``.
        wanted: What is to stand there.
        force: Whether files that are not ours may be replaced.

    Raises:
        UsageError: If there are such files, or it cannot be written.
    """
    before = entries(folder)
    with as_usage_error(folder):
        for name in (*wanted.texts, *wanted.files):
            _write_aside(aside / name, wanted, name)
        changed = [name for name in (*wanted.texts, *wanted.files) if not _is_same(folder / name, aside / name)]
        _refuse_strangers(folder, changed, before, force)
        for name in changed:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (aside / name).replace(folder / name)
        gone = [name for name, one in before.items() if not _is_wanted(name, wanted) and wanted.is_stale(name, one)]
        for name in gone:
            if fingerprint(folder / name) == before[name].print:
                (folder / name).unlink()
        _write_ledger(folder, aside, wanted, {name: one for name, one in before.items() if name not in gone})
    return tuple(changed)


def _is_wanted(name: str, wanted: Wanted) -> bool:
    return name in wanted.texts or name in wanted.files or name in wanted.kept


def _write_aside(path: Path, wanted: Wanted, name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if name in wanted.texts:
        path.write_bytes(wanted.texts[name])
    elif path != wanted.files[name]:
        _share(wanted.files[name], path)


def _share(source: Path, target: Path) -> None:
    """One file under a second name, never a symbolic link; a copy where the disk cannot."""
    try:
        os.link(source.resolve(), target)
    except FileExistsError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def _is_same(there: Path, made: Path) -> bool:
    if there.is_symlink() or not there.is_file():
        return False
    if there.samefile(made):
        return True
    if there.stat().st_size != made.stat().st_size:
        return False
    with there.open("rb") as one, made.open("rb") as other:
        return all(piece == other.read(_PIECE_BYTES) for piece in iter(lambda: one.read(_PIECE_BYTES), b""))


def _refuse_strangers(folder: Path, names: Collection[str], before: Mapping[str, Entry], force: bool) -> None:
    there = [name for name in names if os.path.lexists(folder / name)]
    blocked = [name for name in there if (folder / name).is_dir() and not (folder / name).is_symlink()]
    if blocked:
        raise UsageError("is a folder, where a file is to be written", str(folder / blocked[0]), "move it away")
    theirs = [name for name in there if not _is_ours(folder / name, before.get(name))]
    if theirs and not force:
        shown = ", ".join(theirs[:_SHOWN]) + (f" and {len(theirs) - _SHOWN} more" if len(theirs) > _SHOWN else "")
        verb = "are" if len(theirs) > 1 else "is"
        what = f"{shown} {verb} not as kanjiprep wrote, so nothing was written"
        raise UsageError(what, str(folder), "give another --out, or --force to write over")


def _is_ours(path: Path, entry: Entry | None) -> bool:
    return entry is not None and not path.is_symlink() and fingerprint(path) == entry.print


def _write_ledger(folder: Path, aside: Path, wanted: Wanted, before: Mapping[str, Entry]) -> None:
    made = {name: wanted.entries.get(name, Entry("")) for name in (*wanted.texts, *wanted.files, *wanted.kept)}
    known = {name: one for name, one in before.items() if name not in made and (folder / name).is_file()}
    known |= {name: Entry(fingerprint(folder / name), one.source, one.changes) for name, one in made.items()}
    table = {name: {"print": one.print, "source": one.source, "changes": one.changes} for name, one in known.items()}
    data = json.dumps(dict(sorted(table.items())), indent=1).encode()
    if not (folder / LEDGER).is_file() or (folder / LEDGER).read_bytes() != data:
        (aside / LEDGER).write_bytes(data)
        (aside / LEDGER).replace(folder / LEDGER)


def _is_inside(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


@contextmanager
def as_usage_error(folder: Path) -> Iterator[None]:
    """Tells what the system says of a place that cannot be written.

    Raises:
        UsageError: In its stead.
    """
    try:
        yield
    except OSError as error:
        where = str(error.filename or folder).replace(f"{_ASIDE}/", "")
        remedy = "free some space, mend its permissions, or give another --out"
        raise UsageError(f"cannot be written: {os_reason(error)}", where, remedy) from error
