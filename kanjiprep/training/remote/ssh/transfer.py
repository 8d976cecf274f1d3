"""Files to a box and from it by rsync over the shared connection, and the far hashes to compare them by."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from kanjiprep.errors import RemoteError, UsageError, os_reason
from kanjiprep.progress import Progress
from kanjiprep.training.remote.ssh import child, connection
from kanjiprep.training.remote.ssh.connection import Box
from kanjiprep.training.remote.ssh.refusal import last_line, lost, plain

PARTIAL: Final = ".kanjiprep-partial"
"""Where an interrupted file waits to go on; rsync leaves these folders out by itself."""
_SILENCE_S: Final = 60
_HASH_TIMEOUT_S: Final = 1800.0

_VANISHED = 24
_NO_PROTOCOL = 2
_NOTHING_FOUND = 123  # xargs: sha256sum failed for a file
_LOST = frozenset({10, 12, 30, 35, 255})
_OPTIONS = ("-rts", "--no-h", "--info=progress2", "--outbuf=N", f"--partial-dir={PARTIAL}", f"--timeout={_SILENCE_S}")
_PERCENT = re.compile(rb"\s(\d{1,3})%")
_NO_RSYNC = re.compile(r"rsync: (command )?not found|remote command not found|rsync: No such file")
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_FAULT = re.compile(r"^rsync: \[\w+\] (?P<what>.+ failed: .+?)(?: \(\d+\))?$", re.MULTILINE)
_DIGEST = re.compile(r"[0-9a-f]{64}")


def send(box: Box, source: Path, target: str, progress: Progress, *, exclude: Sequence[str] = ()) -> None:
    """Have ``source`` at ``target`` on the box: a file as a file, a folder's content in a folder.

    What is there with the same size and time is not sent again, and nothing there is removed. Links are followed.

    Args:
        box: The machine.
        source: A file or folder.
        target: Where to, from the home of the user there; folders are made.
        progress: Hears per cent.
        exclude: rsync's patterns of what stays here.

    Raises:
        UsageError: If there is no such source, or a path cannot be sent.
        Unreachable: If the box is not reached, or lost in between.
        RemoteError: If something could not be sent.
    """
    if not (source.is_file() or source.is_dir()):
        raise UsageError("is not there", str(source), "give a file or folder")
    _make_folder(box, target if source.is_dir() else target.rpartition("/")[0])
    slash = "/" if source.is_dir() else ""
    words = [*_rules(exclude), "-L", "--", f"{source.absolute()}{slash}", _far(box, target) + slash]
    _rsync(box, words, "send", progress)


def fetch(box: Box, source: str, target: Path, progress: Progress, *, exclude: Sequence[str] = ()) -> None:
    """Have the content of the folder ``source`` of the box in the folder ``target``; links stay there.

    A file gets its name when it is whole. What is here with the same size and time is not fetched again.
    Of a file that is being written there, what was there at the time arrives: leave such files out.

    Args:
        box: The machine.
        source: A folder, from the home of the user there.
        target: Where to; it is made.
        progress: Hears per cent.
        exclude: rsync's patterns of what stays there.

    Raises:
        UsageError: If a path cannot be sent.
        Unreachable: If the box is not reached, or lost in between.
        RemoteError: If something could not be fetched.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RemoteError(f"cannot be made: {os_reason(error)}", str(target), "choose another folder") from error
    literal = re.sub(r"([\\*?\[])", r"\\\1", source)  # rsync at the far end would look for what fits
    _rsync(box, [*_rules(exclude), "--", f"{_far(box, literal)}/", f"{target.absolute()}/"], "fetch", progress)


def _rules(exclude: Sequence[str]) -> list[str]:
    return [f"--exclude={pattern}" for pattern in exclude]


def hashes(box: Box, folder: str, names: Sequence[str], timeout_s: float = _HASH_TIMEOUT_S) -> dict[str, str]:
    """The SHA-256 of each of ``names`` in ``folder`` of the box; a file that cannot be read there is missing.

    Raises:
        UsageError: If a name cannot be sent.
        Unreachable: If the box is not reached, or lost in between.
        RemoteError: If the folder is not there, or there is no sha256sum.
    """
    if not names:
        return {}
    if any("\0" in name for name in names):
        raise UsageError("a file name cannot hold the character NUL")
    line = 'cd -- "$1" && exec xargs -0 sha256sum -z --'
    listed = "\0".join(names).encode("utf-8", "surrogateescape")
    done = connection.run(box, ["sh", "-c", line, "sh", folder], listed, timeout_s)
    if done.code not in {0, _NOTHING_FOUND}:
        raise RemoteError(f"cannot be hashed on the box: {last_line(done.err)}", folder, "look there")
    lines = done.out.decode("utf-8", "surrogateescape").split("\0")
    return {line[66:]: line[:64] for line in lines if _DIGEST.match(line)}


def _make_folder(box: Box, folder: str) -> None:
    if not folder:
        return
    done = connection.run(box, ["mkdir", "-p", "--", folder])
    if done.code:
        raise RemoteError(f"cannot be made on the box: {last_line(done.err)}", folder, "choose another folder")


def _far(box: Box, path: str) -> str:
    host = box.address.host
    return (
        f"{f'[{host}]' if ':' in host else host}:{path or '.'}"  # an empty path and a slash would be the whole disk
    )


def _shell(box: Box) -> str:
    """The far shell for rsync's -e, which knows quotes but no backslash; a doubled quote is one."""
    return " ".join("'" + word.replace("'", "''") + "'" for word in connection.ssh(box))


def _rsync(box: Box, words: Sequence[str], stage: str, progress: Progress) -> None:
    if any("\0" in word for word in words):
        raise UsageError("a path cannot hold the character NUL")
    connection.connect(box)
    progress(stage, 0, 100)
    ended = child.follow(["rsync", *_OPTIONS, "-e", _shell(box), *words], box.state, hear=_listener(stage, progress))
    if ended.code not in {0, _VANISHED}:
        raise _failure(box, ended, stage)
    progress(stage, 100, 100)


def _listener(stage: str, progress: Progress) -> Callable[[bytes], None]:
    told = [0]

    def hear(data: bytes) -> None:
        found = _PERCENT.findall(data)
        percent = min(100, int(found[-1])) if found else 0
        if percent > told[0]:
            told[0] = percent
            progress(stage, percent, 100)

    return hear


def _failure(box: Box, ended: child.Ended, stage: str) -> RemoteError:
    said, address = plain(ended.err), str(box.address)
    if _NO_RSYNC.search(said):
        return RemoteError(
            "there is no rsync on the box", address, "install rsync there (sudo apt-get install rsync)"
        )
    if _FULL.search(said):
        here = (stage == "fetch") != ("[sender]" in next(line for line in said.splitlines() if _FULL.search(line)))
        what, where = ("the disk of this machine is full", "") if here else ("the disk of the box is full", address)
        return RemoteError(what, where, "free some space, then it goes on where it was")
    if ended.code == _NO_PROTOCOL:
        what = "what the box says is no rsync's: perhaps its login shell greets, or its rsync is too old"
        return RemoteError(what, address, "have ~/.bashrc there say nothing without a terminal")
    fault = _FAULT.search(said)
    if fault is None and (ended.code in _LOST or ended.code < 0):
        return lost(box.address)
    what = fault["what"][:200] if fault else last_line(ended.err) or f"rsync ended with {ended.code}"
    done = "sent" if stage == "send" else "fetched"
    return RemoteError(f"not everything could be {done}: {what}", address, "look there")
