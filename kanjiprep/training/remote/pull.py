"""Brings what a run elsewhere has made into the folder of its copy: whole files and checkpoints, compared by hash."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from kanjiprep.errors import RemoteError, os_reason
from kanjiprep.progress import Progress
from kanjiprep.training import pictures, run_folder
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

    A checkpoint gets its name when it is here whole. What has been removed there since stays here.

    Raises:
        RemoteError: If the box cannot be reached, there is no such run, or what arrives is not what was sent.
    """
    found = checkpoints(far, place)
    far.again(partial(transfer.fetch, far.box, place.run, run, progress, exclude=_STAYS))
    _link_pictures(run, place)
    known = _known(run)
    new = []
    for name in sorted(set(found) - set(known), key=_step):
        digests = _checkpoint(far, place, run, name, progress)
        if digests:
            known[name] = digests
            files.replace(run / PULLED, (json.dumps(known, indent=1, sort_keys=True) + "\n").encode())
            new.append(name)
    return Pulled(tuple(new), len(known))


def finish(far: OverSsh, place: Place, run: Path, progress: Progress) -> Pulled:
    """The copy of a run that is over, every file of it compared with the box by SHA-256.

    Raises:
        RemoteError: As for ``pull``, or if a file differs and fetching it again does not help.
    """
    pulled = pull(far, place, run, progress)
    left = frozenset(checkpoints(far, place)) - frozenset(_known(run))
    if left:
        raise RemoteError(f"{min(left)} is not here yet", str(run), "pull it before the box is given back")
    for _ in range(_TRIES):
        wrong = _differing(far, place, run)
        if not wrong:
            return pulled
        for name in wrong:
            with suppress(FileNotFoundError):
                (run / name).unlink()
        far.again(partial(transfer.fetch, far.box, place.run, run, progress, exclude=_STAYS))
    raise RemoteError(f"{wrong[0]} is not here as it is on the box", str(run), "look at both, then try again")


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
    paths = said.out.decode("utf-8", "surrogateescape").split("\0")
    return tuple(path[2:].rpartition("/")[0] for path in paths if path.startswith("./"))


def _checkpoint(far: OverSsh, place: Place, run: Path, name: str, progress: Progress) -> dict[str, str]:
    """SHA-256 of each file of a checkpoint that is here now; nothing if it is no longer on the box."""
    target, source = run / name, f"{place.run}/{name}"
    aside = target.with_name(f".{target.name}.pulling")
    for _ in range(_TRIES):
        far.again(partial(transfer.fetch, far.box, source, aside, progress))
        here = _digests(aside)
        there = far.again(partial(transfer.hashes, far.box, source, sorted(here)))
        if name not in checkpoints(far, place):
            shutil.rmtree(aside, ignore_errors=True)
            return {}
        if here and here == there:
            _put(aside, target)
            return here
        for wrong in [one for one in here if here[one] != there.get(one)]:
            (aside / wrong).unlink()
    raise RemoteError(f"{name} does not arrive as it is on the box", far.name, "look at the disks of both")


def _put(aside: Path, target: Path) -> None:
    try:
        shutil.rmtree(aside / transfer.PARTIAL, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
        aside.rename(target)
    except OSError as error:
        raise RemoteError(f"cannot be written: {os_reason(error)}", str(target), "free some space") from error


def _differing(far: OverSsh, place: Place, run: Path) -> list[str]:
    """Files of the run that are here otherwise than on the box, or not at all; checkpoints were compared before."""
    said = far.again(partial(scripts.ask, far, _FILES, {"run": place.run}))
    scripts.refuse(far, said, "the run cannot be looked at", "look at it there")
    listed = [path[2:] for path in said.out.decode("utf-8", "surrogateescape").split("\0") if path]
    wanted = sorted(name for name in listed if _is_pulled(name))
    there = far.again(partial(transfer.hashes, far.box, place.run, wanted))
    here = {name: _digest(run / name) for name in wanted}
    return [name for name in wanted if name in there and here[name] != there[name]]


def _is_pulled(name: str) -> bool:
    parts = name.split("/")
    is_left = any(part.startswith((".", "checkpoint-")) or part == "cache" for part in parts)
    return not is_left and parts[0] not in _OURS


def _link_pictures(run: Path, place: Place) -> None:
    """Links to the dataset here, as the run has them there to its own."""
    folder = run / run_folder.PICTURES
    if place.dataset and not folder.exists() and (run / run_folder.CONFIG / CAPTIONS).is_file():
        names = (one.file_name for one in pictures.read_captions(run / run_folder.CONFIG / CAPTIONS))
        run_folder.link(folder, Path(place.dataset), names)


def _known(run: Path) -> dict[str, Any]:
    """The checkpoints that are here whole; one that was removed here is fetched again."""
    try:
        table = json.loads((run / PULLED).read_bytes())
    except (OSError, ValueError):  # then everything is compared once more
        return {}
    return {name: sums for name, sums in table.items() if (run / name).is_dir()} if isinstance(table, dict) else {}


def _digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): _digest(path) for path in _files(folder)}


def _files(folder: Path) -> Iterator[Path]:
    paths: Iterable[Path] = sorted(folder.rglob("*"))
    return (path for path in paths if path.is_file() and transfer.PARTIAL not in path.parts)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _step(name: str) -> tuple[str, int]:
    folder, _, step = name.rpartition("-")
    return folder, int(step) if step.isdecimal() else 0
