"""Names that the Hub takes: repositories, branches and tags."""

from __future__ import annotations

import re
from typing import Final

from kanjiprep.errors import HubError

_PART: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_LONGEST: Final = 96
_REVISION: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")
COMMIT: Final = re.compile(r"[0-9a-f]{40}")
"""The full name of a commit."""


def refuse_repo(repo_id: str) -> None:
    """Refuse what is no ``NAME`` or ``NAMESPACE/NAME`` of a repository.

    Raises:
        HubError: Naming what is wrong.

    Source: huggingface_hub 2.4.0 utils/_validators.py.
    """
    parts = repo_id.split("/")
    is_good = len(parts) <= 2 and all(_PART.fullmatch(part) for part in parts) and len(repo_id) <= _LONGEST  # noqa: PLR2004
    if not is_good or "--" in repo_id or ".." in repo_id or repo_id.endswith(".git"):
        raise HubError(
            f"{repo_id!r:.120} is no name of a repository",
            remedy="give it as NAMESPACE/NAME, of letters, digits, and single . _ - within",
        )


def refuse_revision(name: str, option: str) -> None:
    """Refuse what is no name of a branch or tag.

    Raises:
        HubError: If it is none.

    Source: git check-ref-format, narrowed to what needs no quoting.
    """
    is_bad = not _REVISION.fullmatch(name) or name.endswith(("/", ".", ".lock")) or ".." in name or "//" in name
    if is_bad or len(name) > _LONGEST:
        raise HubError(
            f"{name!r:.120} is no name for {option}", remedy="use letters, digits and . _ - / within, as in v1.0"
        )
