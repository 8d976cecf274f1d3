"""What must not leave this machine, looked for in every byte that is about to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.errors import DatasetError, os_reason

_SHAPES: Final = (
    ("a token of the Hub", rb"\bhf_(?:oauth_|jwt_)?[A-Za-z0-9]{30,}"),
    ("a token of GitHub", rb"\b(?:gh[opsur]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{40,})"),
    ("a key of AWS", rb"\bAKIA[0-9A-Z]{16}\b"),
    ("a key of Lambda", rb"\bsecret_[A-Za-z0-9-]{1,64}_[A-Za-z0-9]{20,}"),
    ("a key of OpenAI", rb"\bsk-[A-Za-z0-9_-]{32,}"),
    ("a private key", rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
)
_NAME: Final = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY", re.IGNORECASE)
_SHORTEST: Final = 12
"""A shorter value of the environment is no secret that one could look for."""
CHUNK: Final = 1 << 22
_OVERLAP: Final = 4096


@dataclass(frozen=True, slots=True)
class Leak:
    """A place where something secret stands."""

    file: str
    what: str


def secrets_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Values by name of variables that hold a secret."""
    return {
        name: value
        for name, value in environ.items()
        if _NAME.search(name) and len(value) >= _SHORTEST and not value.startswith(("/", "~", "."))
    }


def find(folder: Path, files: Iterable[str], secrets: Mapping[str, str], paths: Iterable[Path]) -> Iterator[Leak]:
    """Every leak in ``files`` of ``folder``, at most one a kind and file.

    Args:
        folder: Where they are.
        files: Their names.
        secrets: Exact values by the name of their variable.
        paths: Folders of this machine that nobody else needs to know.

    Raises:
        DatasetError: If a file cannot be read.
    """
    exact = {f"the value of {name}": re.escape(value).encode() for name, value in secrets.items()}
    local = {f"a path of this machine ({path})": re.escape(f"{path}{os.sep}").encode() for path in paths}
    kinds = [*_SHAPES, *exact.items(), *local.items()]
    pattern = re.compile(b"|".join(b"(%s)" % shape for _, shape in kinds))
    for name in files:
        found = dict.fromkeys(kinds[number][0] for number in _groups(folder / name, pattern))
        yield from (Leak(name, what) for what in found)


def refuse_in(folder: Path, environ: Mapping[str, str], private: Iterable[Path], but: str = "") -> None:
    """Refuse to send a folder with a secret in one of its files.

    Args:
        folder: With all that is in it.
        environ: Whose secrets are looked for beside what looks like one.
        private: Folders of this machine that nobody else needs to know.
        but: A file that is not sent.

    Raises:
        DatasetError: Naming the first places, and no secret.
    """
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    refuse(find(folder, [name for name in names if name != but], secrets_of(environ), private), folder)


def refuse(leaks: Iterable[Leak], where: Path) -> None:
    """Refuse to send anything that holds a leak.

    Raises:
        DatasetError: Naming the first places, and no secret.
    """
    found = [f"{leak.file} holds {leak.what}" for leak in leaks]
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""  # noqa: PLR2004
        raise DatasetError(f"{', '.join(found[:3])}{more}", str(where), "take it out; nothing was sent")


def _groups(path: Path, pattern: re.Pattern[bytes]) -> Iterator[int]:
    """Number of the kind of each match, from 0."""
    try:
        with path.open("rb") as stream:
            before = b""
            while chunk := stream.read(CHUNK):
                for match in pattern.finditer(before + chunk):
                    yield (match.lastindex or 1) - 1
                before = chunk[-_OVERLAP:]
    except OSError as error:
        raise DatasetError(f"cannot be read: {os_reason(error)}", str(path), "check its permissions") from error
