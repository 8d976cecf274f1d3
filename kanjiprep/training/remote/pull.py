"""Brings what a run elsewhere has made into the folder of its copy: whole files and checkpoints, compared by hash."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from kanjiprep.errors import RemoteError, os_reason
from kanjiprep.progress import Progress
from kanjiprep.training import locks, pictures, run_folder
from kanjiprep.training.configs import CAPTIONS
from kanjiprep.training.remote.box import scripts
from kanjiprep.training.remote.box.over_ssh import OverSsh
from kanjiprep.training.remote.place import FILE, Place
from kanjiprep.training.remote.ssh import transfer
from kanjiprep.training.running import files, holding, observe

PULLED: Final = "pulled.json"
"""In the copy: every checkpoint that is here with the bytes that it has on the box."""
_OURS: Final = frozenset({FILE, PULLED, files.STOP, holding.LOCK, run_folder.PICTURES})
_STAYS: Final = (".*", "checkpoint-*", "cache/", *(f"/{name}" for name in sorted(_OURS)))
_LIST: Final = """
cd "$run" 2>/dev/null || return 3
find . -type f -name "$guard" -path '*/checkpoint-*' -print0
"""
_FILES: Final = """
cd "$run" || return 1
find . -type f -print0
"""
_LOCK: Final = ".pulling"
_NO_RUN: Final = 3
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull brought.

    Attributes:
        checkpoints: New ones, inside the run folder, each with the bytes that it has on the box.
        kept: How many are here in all.
    """

    checkpoints: tuple[str, ...]
    kept: int


def pull(far: OverSsh, place: Place, run: Path, progress: Progress) -> Pulled:
    """The copy ``run`` brought up to date: small files as they are now, and every checkpoint that is complete.

    A checkpoint gets its name when it is here whole. What has been removed there since stays here. Of several that
    pull at the same time, one works and the others wait.

    Raises:
        RemoteError: If the box cannot be reached, there is no such run, or what arrives is not what was sent.
    """
    with _alone(run):
        return _pull(far, place, run, progress)


def _pull(far: OverSsh, place: Place, run: Path, progress: Progress) -> Pulled:
    found = checkpoints(far, place)
    far.again(partial(transfer.fetch, far.box, place.run, run, progress, exclude=_STAYS))
    _link_pictures(run, place)
    known = _known(run)
    new = []
    for name in sorted(set(found) - set(known), key=_step):
        digests = _checkpoint(far, place, run, name, progress)
        if digests:
            known[name] = digests
            _write_known(run, known)
            new.append(name)
    return Pulled(tuple(new), len(known))


def finish(far: OverSsh, place: Place, run: Path, progress: Progress) -> Pulled:
    """The copy of a run that is over, every file of it compared with the box by SHA-256.

    A checkpoint was compared when it came; one that was changed here since is fetched again, if it is still there.

    Raises:
        RemoteError: As for ``pull``, or if a file differs and fetching it again does not help.
    """
    with _alone(run):
        _forget_spoilt(run)
        return _finish(far, place, run, progress)


def _finish(far: OverSsh, place: Place, run: Path, progress: Progress) -> Pulled:
    pulled = _pull(far, place, run, progress)
    left = frozenset(checkpoints(far, place)) - frozenset(_known(run))
    if left:
        raise RemoteError(f"{min(left)} is not here yet", str(run), "pull it before the box is given back")
    for tries_left in range(_TRIES, -1, -1):
        wrong = _differing(far, place, run)
        if not wrong:
            return pulled
        if tries_left:
            for name in wrong:
                _set_aside(run / name)
            far.again(partial(transfer.fetch, far.box, place.run, run, progress, exclude=_STAYS))
    raise RemoteError(f"{wrong[0]} is not here as it is on the box", str(run), "look at both, then try again")


def _set_aside(path: Path) -> None:
    """Make room for a file that is fetched again; what stood there is hidden and not lost."""
    try:
        path.rename(path.with_name(f".{path.name}.differs"))
    except FileNotFoundError:
        return
    except OSError as error:
        raise RemoteError(f"cannot be moved: {os_reason(error)}", str(path), "check its permissions") from error


def is_there(far: OverSsh, place: Place) -> bool:
    """Whether there is such a run on the box.

    Raises:
        RemoteError: If the box cannot be reached.
    """
    return far.again(partial(scripts.ask, far, _LIST, {"run": place.run, "guard": observe.GUARD})).code != _NO_RUN


def checkpoints(far: OverSsh, place: Place) -> tuple[str, ...]:
    """Every complete checkpoint on the box, inside the run folder.

    Raises:
        RemoteError: If the box cannot be reached, or there is no such run.
    """
    values = {"run": place.run, "guard": observe.GUARD}
    said = far.again(partial(scripts.ask, far, _LIST, values))
    if said.code == _NO_RUN:
        raise RemoteError(f"there is no run {place.name!r:.80}", far.name, "launch it again")
    scripts.refuse(far, said, "the run cannot be looked at", "look at it there")
    return tuple(path.rpartition("/")[0] for path in _paths(said.out))


def _listed(far: OverSsh, folder: str) -> list[str]:
    """Every file in a folder of the box, from there."""
    said = far.again(partial(scripts.ask, far, _FILES, {"run": folder}))
    scripts.refuse(far, said, "the run cannot be looked at", "look at it there")
    return sorted(_paths(said.out))


def _paths(out: bytes) -> list[str]:
    return [path[2:] for path in out.decode("utf-8", "surrogateescape").split("\0") if path.startswith("./")]


def _checkpoint(far: OverSsh, place: Place, run: Path, name: str, progress: Progress) -> dict[str, str]:
    """SHA-256 of each file of a checkpoint that is here now; nothing if it is no longer on the box."""
    target, source = run / name, f"{place.run}/{name}"
    aside = target.with_name(f".{target.name}.pulling")
    for _ in range(_TRIES):
        try:
            here, there = _fetched(far, source, aside, progress)
        except RemoteError:
            if name in checkpoints(far, place):
                raise
            here, there = {}, {}
        if name not in checkpoints(far, place):  # looked at last: what was compared was whole
            shutil.rmtree(aside, ignore_errors=True)
            return {}
        if here and here == there:
            _put(aside, target)
            return here
        for wrong in [one for one in here if here[one] != there.get(one)]:
            (aside / wrong).unlink()
    raise RemoteError(f"{name} does not arrive as it is on the box", far.name, "look at the disks of both")


def _fetched(far: OverSsh, source: str, aside: Path, progress: Progress) -> tuple[dict[str, str], dict[str, str]]:
    """SHA-256 of every file of a checkpoint, here and there."""
    far.again(partial(transfer.fetch, far.box, source, aside, progress))
    listed = _listed(far, source)
    there = far.again(partial(transfer.hashes, far.box, source, listed))
    return _digests(aside), {name: there.get(name, "") for name in listed}


def _put(aside: Path, target: Path) -> None:
    try:
        shutil.rmtree(aside / transfer.PARTIAL, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
        aside.rename(target)
    except OSError as error:
        raise RemoteError(f"cannot be written: {os_reason(error)}", str(target), "free some space") from error


def _differing(far: OverSsh, place: Place, run: Path) -> list[str]:
    """Files of the run that are here otherwise than on the box, or not at all; checkpoints were compared before."""
    wanted = [name for name in _listed(far, place.run) if _is_pulled(name)]
    there = far.again(partial(transfer.hashes, far.box, place.run, wanted))
    here = {name: _digest(run / name) for name in wanted}
    return [name for name in wanted if not here[name] or here[name] != there.get(name, "")]


def _is_pulled(name: str) -> bool:
    parts = name.split("/")
    is_left = any(part.startswith((".", "checkpoint-")) or part == "cache" for part in parts)
    return not is_left and parts[0] not in _OURS


def _link_pictures(run: Path, place: Place) -> None:
    """Links to the dataset here, as the run has them there to its own."""
    folder = run / run_folder.PICTURES
    if place.dataset and not folder.exists() and (run / run_folder.CONFIG / CAPTIONS).is_file():
        names = (one.file_name for one in pictures.read_captions(run / run_folder.CONFIG / CAPTIONS))
        try:
            run_folder.link(folder, Path(place.dataset), names)
        except OSError as error:
            raise RemoteError(f"cannot be written: {os_reason(error)}", str(folder), "free some space") from error


def _known(run: Path) -> dict[str, Any]:
    """The checkpoints that are here whole; one that was removed here is fetched again."""
    try:
        table = json.loads((run / PULLED).read_bytes())
    except (OSError, ValueError, RecursionError):  # then everything is compared once more
        return {}
    return {name: sums for name, sums in table.items() if (run / name).is_dir()} if isinstance(table, dict) else {}


def _forget_spoilt(run: Path) -> None:
    """Take those from the known checkpoints that no longer have the bytes with which they came."""
    known = _known(run)
    whole = {
        name: sums for name, sums in known.items() if all(_digest(run / name / one) == sums[one] for one in sums)
    }
    if whole != known:
        _write_known(run, whole)


def _write_known(run: Path, known: dict[str, Any]) -> None:
    files.replace(run / PULLED, (json.dumps(known, indent=1, sort_keys=True) + "\n").encode())


@contextmanager
def _alone(run: Path) -> Iterator[None]:
    """Hold the copy while others who would pull into it wait."""
    with ExitStack() as stack:
        try:
            run.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locks.held(run / _LOCK))
        except OSError as error:
            raise RemoteError(f"cannot be written: {os_reason(error)}", str(run), "choose another folder") from error
        yield


def _digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): _digest(path) for path in _files(folder)}


def _files(folder: Path) -> Iterator[Path]:
    paths: Iterable[Path] = sorted(folder.rglob("*"))
    return (path for path in paths if path.is_file() and transfer.PARTIAL not in path.parts)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (FileNotFoundError, IsADirectoryError):
        return ""
    except OSError as error:
        raise RemoteError(f"cannot be read: {os_reason(error)}", str(path), "check its permissions") from error


def _step(name: str) -> tuple[str, int]:
    folder, _, step = name.rpartition("-")
    return folder, int(step) if step.isdecimal() else 0
