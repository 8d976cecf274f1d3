"""A judged run without what it tells of this machine: the page may be published."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from kanjiprep.evaluation.judged import JudgedRun
from kanjiprep.privacy import IN_PLACE, without_paths

T = TypeVar("T")
_TOLD: Final = ("reason", "phases", "cost", "warnings", "facts", "verdict", "steps", "weights", "dataset")
_SECRET: Final = re.compile(
    r"\b(?:hf_|gh[opsur]_|github_pat_|sk-|secret_|AKIA)[A-Za-z0-9_-]{12,}"
    r"|(?i:\b(?:token|secret|password|api_?key)\b\s*[=:]\s*)\S+"
)


def private(run: JudgedRun) -> JudgedRun:
    """``run`` without paths of this machine and what looks like a secret in what it tells in words."""
    roots = (run.folder, *run.folder.parents)
    settings = {key: _setting(value, roots) for key, value in run.settings.items()}
    told = {name: _told(getattr(run, name), roots) for name in _TOLD}
    return replace(run, settings=settings, **told)


def _setting(value: str, roots: tuple[Path, ...]) -> str:
    if value.startswith(("/", "~/")):
        return f"{IN_PLACE}/{Path(value).name}"
    return _text(value, roots)


def _text(text: str, roots: tuple[Path, ...]) -> str:
    return _SECRET.sub(IN_PLACE, without_paths(text, roots))


def _told(value: T, roots: tuple[Path, ...]) -> T:
    """``value`` with every text in it made private."""
    made: Any = value
    if isinstance(value, str):
        made = _text(value, roots)
    elif isinstance(value, tuple):
        made = tuple(_told(one, roots) for one in value)
    elif is_dataclass(value) and not isinstance(value, type):
        made = replace(value, **{one.name: _told(getattr(value, one.name), roots) for one in fields(value)})
    return made  # type: ignore[no-any-return]
