"""A judged run without what it tells of this machine: the page may be published."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from kanjiprep.evaluation.judged import JudgedRun

Told = TypeVar("Told")
IN_PLACE: Final = "…"
"""Stands where a path stood."""
_END: Final = r"""[^\s'"`,;()\[\]{}<>|]*(?<![.:!?])"""
_PATH: Final = re.compile(
    rf"file:{_END}"
    rf"|(?<![\w./:{IN_PLACE}~])(?:~\w*)?/+(?=[^\s/]){_END}"  # neither "and/or" nor the slashes of an address
    rf"|(?<=:)/(?![\s/]){_END}"
    rf"|\b[A-Za-z]:\\{_END}"
)
_SECRET: Final = re.compile(
    r"\b(?:hf_|gh[opsur]_|github_pat_|sk-|secret_|AKIA)[A-Za-z0-9_-]{12,}"
    r"|(?i:\b(?:token|secret|password|api_?key)\b\s*[=:]\s*)\S+"
)


def private(run: JudgedRun) -> JudgedRun:
    """``run`` without paths of this machine in what it tells in words."""
    roots = _roots(run.folder)
    settings = {key: _setting(value, roots) for key, value in run.settings.items()}
    told = {name: _told(getattr(run, name), roots) for name in ("reason", "phases", "cost", "warnings", "facts")}
    told |= {name: _told(getattr(run, name), roots) for name in ("verdict", "steps", "weights", "dataset")}
    return replace(run, settings=settings, **told)


def inside(path: Path, folder: Path) -> str:
    """``path`` as seen from ``folder``; its name alone if it lies elsewhere."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _roots(folder: Path) -> tuple[str, ...]:
    """Exact paths, because a path that is not known ends where it has a space."""
    return tuple(str(one) for one in (folder, *folder.parents) if len(one.parts) > 1)


def _setting(value: str, roots: tuple[str, ...]) -> str:
    if value.startswith(("/", "~/")):
        return f"{IN_PLACE}/{Path(value).name}"
    return _text(value, roots)


def _text(text: str, roots: tuple[str, ...]) -> str:
    for root in roots:
        text = re.sub(rf"{re.escape(root)}(?![\w.-])", IN_PLACE, text)
    return _SECRET.sub(IN_PLACE, _PATH.sub(IN_PLACE, text))


def _told(value: Told, roots: tuple[str, ...]) -> Told:
    """``value`` with every text in it made private."""
    made: Any = value
    if isinstance(value, str):
        made = _text(value, roots)
    elif isinstance(value, tuple):
        made = tuple(_told(one, roots) for one in value)
    elif isinstance(value, Mapping):
        made = {key: _told(one, roots) for key, one in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        made = replace(value, **{one.name: _told(getattr(value, one.name), roots) for one in fields(value)})
    return made  # type: ignore[no-any-return]
