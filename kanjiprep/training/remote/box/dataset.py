"""A dataset folder on the box: under its digest, every file with the bytes that it has here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from kanjiprep.errors import DatasetError, os_reason
from kanjiprep.progress import Progress
from kanjiprep.training.remote.box import scripts
from kanjiprep.training.remote.box.scripts import ROOT, Far

_DIGEST: Final = re.compile(r"[0-9a-f]{64}\Z")
_STRANGE: Final = re.compile(r"[\x00-\x1f\\\x7f]")
_TIMEOUT_S: Final = 600.0
_STATE: Final = """
place=$root/datasets/$digest
check() { cd "$1" 2>/dev/null && printf '%s' "$sums" | sha256sum --check --status --strict; }
if ( check "$place" ); then echo there; return 0; fi
aside=$root/datasets/.$digest.new
umask 077
mkdir -p "$aside" || return 1
if [ -d "$place" ]; then echo spoilt; else echo missing; fi
"""
_KEEP: Final = """
place=$root/datasets/$digest
aside=$root/datasets/.$digest.new
if ( cd "$place" 2>/dev/null && printf '%s' "$sums" | sha256sum --check --status --strict ); then
  rm -rf "$aside"
  return 0
fi
cd "$aside" || return 1
rm -rf .kanjiprep-partial
wrong=$(printf '%s' "$sums" | sha256sum --check --quiet --strict 2>&1) ||
  { echo "$wrong" | head -n 1 >&2; return 1; }
cd "$root/datasets" || return 1
rm -rf ".$digest.old"
if [ -e "$place" ]; then mv -T "$place" ".$digest.old" || return 1; fi
mv -T "$aside" "$place" || return 1
rm -rf ".$digest.old"
"""


def send_dataset(far: Far, folder: Path, digest: str, progress: Progress, root: str = ROOT) -> str:
    """Where the dataset lies on the box, seen from the folder in which our tool works there.

    Nothing is sent if it is there and every file has the bytes that it has here. It is sent aside and takes its name
    once every file has; a send that was cut goes on where it was.

    Args:
        far: The box.
        folder: The dataset here.
        digest: Of the dataset, 64 hex digits.
        progress: Hears of each step.
        root: Folder of ours on the box.

    Raises:
        DatasetError: If the dataset here cannot be read.
        RemoteError: If the box cannot be reached, or does not hold what it was sent.
    """
    if not _DIGEST.match(digest):
        raise DatasetError(f"its digest {digest!r:.80} is none", str(folder), "build it again, or push it first")
    values = {"root": root, "digest": digest, "sums": _sums_of(read_digests(folder, progress))}
    found = far.again(partial(scripts.ask, far, _STATE, values, _TIMEOUT_S))
    scripts.refuse(far, found, "the dataset cannot be looked at there", "look at its disk and permissions")
    if found.out.strip() != b"there":
        far.again(partial(far.send, folder, f"{root}/datasets/.{digest}.new", progress))
        kept = far.again(partial(scripts.ask, far, _KEEP, values, _TIMEOUT_S))
        scripts.refuse(far, kept, "the dataset did not arrive as it is here", "look at its disk, then send it again")
    return f"../datasets/{digest}"


def read_digests(folder: Path, progress: Progress) -> dict[str, str]:
    """SHA-256 by name of every file of ``folder``, sorted; hidden files are none of a dataset's.

    Raises:
        DatasetError: If there are none, or one cannot be read.
    """
    try:
        paths = sorted(_files(folder))
        found = {}
        for done, path in enumerate(paths, 1):
            with path.open("rb") as stream:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
            progress("read the dataset", done, len(paths))
    except OSError as error:
        where = str(error.filename or folder)
        raise DatasetError(f"cannot be read: {os_reason(error)}", where, "check its permissions") from error
    if not found:
        raise DatasetError("has no files", str(folder), "run kanjiprep build")
    return found


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or path.is_dir():
            continue
        if not path.is_file():  # a pipe would be waited for
            raise DatasetError("is neither a file nor a link to one", str(path), "remove it")
        yield path


def _sums_of(digests: Mapping[str, str]) -> str:
    """The list that ``sha256sum --check`` reads.

    Raises:
        DatasetError: If a name is none that it could read.
    """
    strange = next((name for name in digests if _STRANGE.search(name)), None)
    if strange is not None:
        raise DatasetError(f"{strange!r:.80} is no name that a box could read", "", "give the file another")
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items())
