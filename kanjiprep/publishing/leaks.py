"""What must not leave this machine, looked for in every byte that is about to."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from kanjiprep.errors import DatasetError, HubError, os_reason
from kanjiprep.publishing.destination import CARD

_SHAPES: Final = (
    ("a token of the Hub", rb"hf_(?:oauth_|jwt_)?[A-Za-z0-9]{30,}"),
    ("a token of GitHub", rb"gh[opsur]_[A-Za-z0-9]{36}"),
    ("a token of GitHub", rb"github_pat_[A-Za-z0-9_]{40,}"),
    ("a key of AWS", rb"AKIA[0-9A-Z]{16}(?![0-9A-Z])"),
    ("a key of Lambda", rb"secret_[A-Za-z0-9-]{1,64}_[A-Za-z0-9]{20,}"),
    ("a key of OpenAI", rb"sk-[A-Za-z0-9_-]{32,}"),
    ("a private key", rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
)
"""Each begins with letters of its own: with the edge of a word first, the search takes twenty times as long."""
_WORD: Final = re.compile(rb"\w")
_NAME: Final = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY", re.IGNORECASE)
_SHORTEST: Final = 12
"""A shorter value of the environment is no secret that one could look for."""
CHUNK: Final = 1 << 22
_Kind = tuple[str, re.Pattern[bytes], bool]
"""In words, how it is found, and whether it begins a word."""
_OVERLAP: Final = 4096


@dataclass(frozen=True, slots=True)
class Leak:
    """A place where something secret stands.

    Attributes:
        file: Its name.
        what: What sort of secret.
        line: From 1; 0 in a file that is no text.
    """

    file: str
    what: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''} holds {self.what}"


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
    kinds = _kinds(secrets, paths)
    for name in files:
        try:
            with (folder / name).open("rb") as stream:
                yield from _in_stream(name, stream, kinds)
        except OSError as error:
            where, remedy = str(folder / name), "check its permissions"
            raise DatasetError(f"cannot be read: {os_reason(error)}", where, remedy) from error


def _find_in_text(name: str, text: str, secrets: Mapping[str, str], paths: Iterable[Path]) -> Iterator[Leak]:
    """Every leak in a text that is called ``name``."""
    return _in_stream(name, io.BytesIO(text.encode()), _kinds(secrets, paths))


def _kinds(secrets: Mapping[str, str], paths: Iterable[Path]) -> tuple[_Kind, ...]:
    exact = [(f"the value of {name}", re.escape(value.encode())) for name, value in secrets.items()]
    known = [path for path in paths if path != path.parent]  # with the root, every address would be found
    local = [(f"a path of this machine ({path})", re.escape(str(path).encode()) + rb"(?![\w.-])") for path in known]
    shapes = [(what, re.compile(shape), True) for what, shape in _SHAPES]
    return (*shapes, *((what, re.compile(shape), False) for what, shape in (*exact, *local)))


def _in_stream(name: str, stream: IO[bytes], kinds: Iterable[_Kind]) -> Iterator[Leak]:
    found: dict[str, int] = {}
    for what, line in _matches(stream, tuple(kinds)):
        found.setdefault(what, line)
    return (Leak(name, what, line) for what, line in found.items())


def _private_paths(environ: Mapping[str, str], near: Path) -> list[Path]:
    """Folders of this machine that nobody else needs to know: that of what is sent, and the home."""
    return [near, *([Path(environ["HOME"])] if environ.get("HOME") else [])]


def refuse_in(folder: Path, files: Iterable[str], environ: Mapping[str, str], near: Path) -> None:
    """Refuse to send files with a secret in them, or a path of this machine.

    Args:
        folder: Where they are.
        files: Their names.
        environ: Whose secrets are looked for beside what looks like one.
        near: The folder of the user's that they come from.

    Raises:
        DatasetError: Naming the first places, and no secret.
    """
    refuse(find(folder, files, secrets_of(environ), _private_paths(environ, near)), near)


def refuse_card(card: str | None, repo_id: str, environ: Mapping[str, str], near: Path) -> None:
    """Refuse to send the card that stands on the Hub once more with a secret in it.

    Raises:
        HubError: Naming the first places, and no secret.
    """
    found = list(_find_in_text(CARD, card or "", secrets_of(environ), _private_paths(environ, near)))
    if found:
        what = f"holds {found[0].what} in line {found[0].line}. Nothing was sent"
        raise HubError(what, f"README.md of {repo_id}", "take it out there, and make a new one if it was public")


def names(folder: Path) -> list[str]:
    """All files in ``folder``, as paths inside it."""
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]


def refuse(leaks: Iterable[Leak], where: Path) -> None:
    """Refuse to send anything that holds a leak.

    Raises:
        DatasetError: Naming the first places, and no secret.
    """
    found = list(map(str, leaks))
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""  # noqa: PLR2004
        raise DatasetError(f"{', '.join(found[:3])}{more}", str(where), "take it out; nothing was sent")


def _matches(stream: IO[bytes], kinds: Sequence[_Kind]) -> Iterator[tuple[str, int]]:
    """Kind and line of each match; of a shape, where it begins a word."""
    before, line, is_text = b"", 1, True
    while chunk := stream.read(CHUNK):
        window = before + chunk
        is_text = is_text and b"\0" not in chunk
        for what, pattern, begins_word in kinds:
            for match in pattern.finditer(window):
                start = match.start()
                if not (begins_word and start and _WORD.match(window[start - 1 : start])):
                    yield what, line + window.count(b"\n", 0, start) if is_text else 0
        before = chunk[-_OVERLAP:]
        line += window.count(b"\n", 0, len(window) - len(before))
