"""Names that the Hub takes: repositories, branches and tags."""

from __future__ import annotations

import re
from typing import Final

from kanjiprep.errors import HubError

_PART: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_LONGEST: Final = 96
_ADDRESS: Final = re.compile(
    r"(?:https?://[^/]+/|hf://)?(?:(?:datasets|models)/)?(?P<name>[\w-][\w.-]*/[\w-][\w.-]*)(?:@.*|/|/tree/.*)?",
    re.ASCII,
)
_REVISION: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")
COMMIT: Final = re.compile(r"[0-9a-f]{40}")
"""The full name of a commit."""


def refuse_repo(repo_id: str) -> None:
    """Refuse what is no ``NAME`` or ``NAMESPACE/NAME`` of a repository.

    Raises:
        HubError: Naming what is wrong.

    Source: huggingface_hub 2.4.0 utils/_validators.py.
    """
    if not _is_repo(repo_id):
        name = meant(repo_id)
        remedy = (
            f"give it as {name}" if name else "give it as NAMESPACE/NAME, of letters, digits, single . _ - within"
        )
        raise HubError(f"{repo_id!r:.120} is no name of a repository", remedy=remedy)


def meant(text: str) -> str:
    """The name in an address of the Hub, or in what is written like one; empty if there is none."""
    found = _ADDRESS.fullmatch(text.replace("\\", "/"))
    return found["name"] if found and _is_repo(found["name"]) else ""


def _is_repo(repo_id: str) -> bool:
    parts = repo_id.split("/")
    is_good = len(parts) <= 2 and all(_PART.fullmatch(part) for part in parts) and len(repo_id) <= _LONGEST  # noqa: PLR2004
    return is_good and not ("--" in repo_id or ".." in repo_id or repo_id.endswith(".git"))


def refuse_tag(name: str, revision: str) -> None:
    """Refuse what is no name of a tag, or could be taken for something else.

    Args:
        name: Of the tag.
        revision: The branch beside it.

    Raises:
        HubError: If it is so.
    """
    refuse_branch(name, "--tag")
    if name in (revision, "main"):
        raise HubError(f"{name!r} is a branch, so it is no name for --tag", remedy="use another, as in v1.0")


def refuse_branch(name: str, option: str) -> None:
    """Refuse what is no name for a new branch or tag.

    Raises:
        HubError: If it is none, or is the name of a commit or of another kind of reference.
    """
    refuse_revision(name, option)
    if COMMIT.fullmatch(name) or name.startswith("refs/"):
        raise HubError(f"{name!r:.120} is no name for {option}", remedy="use one that is no commit, as in v1.0")


def refuse_revision(name: str, option: str) -> None:
    """Refuse what is no name of a branch, tag or commit.

    Raises:
        HubError: If it is none.

    Source: git check-ref-format, narrowed to what needs no quoting.
    """
    is_bad = not _REVISION.fullmatch(name) or name.endswith(("/", ".", ".lock")) or ".." in name or "//" in name
    if is_bad or len(name) > _LONGEST:
        raise HubError(
            f"{name!r:.120} is no name for {option}", remedy="use letters, digits and . _ - / within, as in v1.0"
        )
