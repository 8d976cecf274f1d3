"""Texts without what is nobody else's business: where somebody keeps files, and passwords in addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

IN_PLACE: Final = "…"
"""Stands where a path stood."""
_END: Final = r"""[^\s'"`,;()\[\]{}<>|]*(?<![.:!?])"""
_PATH: Final = re.compile(
    rf"file:{_END}"
    rf"|(?<![\w./:{IN_PLACE}~])(?:~\w*)?/+(?=[^\s/]){_END}"  # neither "and/or" nor the slashes of an address
    rf"|(?<=:)/(?![\s/]){_END}"
    rf"|\b[A-Za-z]:\\{_END}"
)
_PASSWORD: Final = re.compile(
    r"(?<=\w:/)(?P<second>/?)[^\s/@:]*:(?!\d{1,5}/)[^\s@]*(?=@)|(?:(?<=http://)|(?<=https://))[^\s/@]+(?=@)"
)
"""Behind one slash too: a path has no two of them beside each other. A slash may be in a password, if it
is no port before it, and what stands alone before the @ may be a token.
"""


def without_paths(text: str, known: Iterable[Path | str] = ()) -> str:
    """``text`` with "…" for every absolute path in it.

    Args:
        text: For people.
        known: Folders and files of this machine, of which what is inside them remains; they may hold spaces,
            where a path that is not known ends.
    """
    roots = {str(path).rstrip("/") for path in known}
    for root in sorted((one for one in roots if one.startswith("/")), key=len, reverse=True):
        text = re.sub(rf"{re.escape(root)}(?![\w.-])", IN_PLACE, text)
    return _PATH.sub(IN_PLACE, text)


def without_passwords(text: str) -> str:
    """``text`` with "…" for user and password of every address in it, as ``http://user:password@host``."""
    return _PASSWORD.sub(lambda found: f"{found['second'] or ''}{IN_PLACE}", text)


def inside(path: Path, folder: Path) -> str:
    """``path`` as seen from ``folder``; its name alone if it lies elsewhere."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
