"""An export that takes its place: written, found unchanged, or put instead of one that nobody has touched."""

from __future__ import annotations

import filecmp
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from kanjiprep import metadata, receipt, spec
from kanjiprep.errors import DatasetError, UsageError
from kanjiprep.publishing.first_attempt import imagefolder, leftovers, script

Status = Literal["written", "replaced", "unchanged"]
NAME: Final = "export.json"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an export was when it was written.

    Attributes:
        tool: Which kanjiprep.
        preset: Its name.
        dataset: Digest of the dataset; empty if it has none.
        content: Of the pictures and captions, as ``receipt.content_of`` gives it.
        sha256: Of every other file, by name.
    """

    tool: str
    preset: str
    dataset: str
    content: str
    sha256: Mapping[str, str]


def settle(part: Path, target: Path) -> Status:
    """Put the finished export ``part`` at ``target``, unless the same stands there.

    Args:
        part: On the same disk; gone afterwards.
        target: Free, an empty folder, or an earlier export.

    Raises:
        UsageError: If something else stands there, or files of others beside an export.
        OSError: If it cannot be written.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        part.rename(target)
        return "written"
    if _is_same(part, target):
        shutil.rmtree(part)
        return "unchanged"
    _refuse_others(target)
    old = part.with_name(f"{part.name}{leftovers.OLD}")
    target.rename(old)
    try:
        part.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old)
    return "replaced"


def refuse_foreign(target: Path) -> None:
    """Refuse a folder that holds something else than an export, before any work is done for it.

    Raises:
        UsageError: If it does, or is a file.
    """
    with suppress(OSError):  # whoever writes there says it
        is_free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
        if not is_free:
            _known(target)


def _is_same(part: Path, target: Path) -> bool:
    """Whether all of ``part`` stands in ``target``, with nothing more among the pictures."""
    paths = [path.relative_to(part) for path in part.rglob("*") if path.is_file()]
    pictures = target / imagefolder.FOLDER
    if not pictures.is_dir() or _names(pictures) != _names(part / imagefolder.FOLDER):
        return False
    return all((target / path).is_file() and filecmp.cmp(part / path, target / path, shallow=False) for path in paths)


def _refuse_others(target: Path) -> None:
    """Refuse to take away what is not an export, or more than one."""
    strangers = _strangers(target, _known(target))
    if strangers:
        what = f"holds another export, and files that came or were changed since: {', '.join(strangers[:3])}"
        raise UsageError(what, str(target), "give another folder, or move it away")


def _known(target: Path) -> Certificate:
    known = _certificate(target / NAME) if target.is_dir() else None
    if known is None:
        raise UsageError("is there already, and is no export of kanjiprep", str(target), "give another folder")
    return known


def _strangers(target: Path, known: Certificate) -> list[str]:
    """Names in ``target`` that are not as an export left them; what train.sh fetches may be there."""
    ours = {*known.sha256, NAME, imagefolder.FOLDER, script.NAME}
    changed = [name for name, digest in known.sha256.items() if _sha256(target / name) != digest]
    more = sorted(_names(target) - ours)
    pictures = [] if _is_untouched(target / imagefolder.FOLDER, known.content) else [imagefolder.FOLDER]
    return [*more, *changed, *pictures]


def _is_untouched(folder: Path, content: str) -> bool:
    with suppress(DatasetError, OSError):
        named = {name for name, _ in metadata.read_rows(folder / metadata.NAME)}
        return receipt.content_of(folder) == content and _names(folder) == {*named, metadata.NAME}
    return False


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def _sha256(path: Path) -> str:
    with suppress(OSError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return ""


def _certificate(path: Path) -> Certificate | None:
    with suppress(OSError, ValueError, RecursionError):
        found, problems = spec.read(Certificate, json.loads(path.read_bytes()))
        return None if problems else found
    return None


def digests(files: Iterable[Path]) -> dict[str, str]:
    """SHA-256 by name."""
    return {path.name: _sha256(path) for path in files}
