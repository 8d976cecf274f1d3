"""Which files of a folder a pattern means, and the step, prompt and seed that their names tell."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from kanjiprep.errors import InputError, UsageError, os_reason

SIMPLETUNER: Final = "step_{step}_{prompt}_{seed}_*"
"""As SimpleTuner names validation pictures."""
SUFFIXES: Final = (".png", ".webp", ".jpg", ".jpeg")
ONLY_PROMPT: Final = "picture"
"""The prompt of all files if the pattern has none."""

_TOKEN: Final = re.compile(r"\{([^{}]*)\}|(\*+)|([^{}*]+)|[{}]")
_NUMBER: Final = "[0-9]{1,9}"
_FIELDS: Final = {"step": _NUMBER, "seed": _NUMBER, "prompt": "[^/]+"}
_REMEDY: Final = "write it as step_{step}_{prompt}_{seed}_*.png or checkpoint-{step}/{prompt}.png"
_EXAMPLES: Final = 3
_LOOKED_AT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """A file that a pattern means.

    Attributes:
        path: Of the file.
        step: Of the run.
        prompt: Its short name.
        seed: Number of the picture among those of this step and prompt.
    """

    path: Path
    step: int
    prompt: str
    seed: int


def find(folder: Path, pattern: str) -> tuple[Found, ...]:
    """The pictures in ``folder`` that ``pattern`` means, by step, prompt and seed; none if no name fits.

    Args:
        folder: Where the pattern begins.
        pattern: Names of folders and of the file, with ``{step}``, ``{prompt}``, ``{seed}`` and ``*`` for anything.

    Raises:
        UsageError: If ``pattern`` is none.
        InputError: If a folder cannot be read, or two files are the same picture.
    """
    found: dict[tuple[int, str, int], Found] = {}
    for one in _found(folder, parse(pattern)):
        key = (one.step, one.prompt, one.seed)
        if key in found:
            what = f"and {one.path} are both of step {one.step:,}, prompt {one.prompt!r}, seed {one.seed}"
            raise InputError(what, str(found[key].path), "put {prompt} or {seed} into the pattern where they differ")
        found[key] = one
    return tuple(found[key] for key in sorted(found))


def parse(pattern: str) -> tuple[re.Pattern[str], ...]:
    """An expression for the name of each folder on the way, and one for the file's.

    Raises:
        UsageError: If ``pattern`` is none, with what is wrong.
    """
    if problem := _problem(pattern):
        raise UsageError(problem, f"pattern {pattern!r}", _REMEDY)
    return tuple(re.compile(_expression(part), re.DOTALL) for part in pattern.split("/"))


def examples(folder: Path) -> str:
    """Some files that are in ``folder``, for a message; empty if there are none."""
    walk = ((Path(root), sorted(names)) for root, _, names in os.walk(folder))
    files = (root / name for root, names in islice(walk, _LOOKED_AT) for name in names)
    shown = [str(path.relative_to(folder)) for path in islice(files, _EXAMPLES + 1)]
    more = " and more" if len(shown) > _EXAMPLES else ""
    return ", ".join(shown[:_EXAMPLES]) + more


def _problem(pattern: str) -> str:
    tokens = list(_TOKEN.finditer(pattern))
    fields = [token[1] for token in tokens if token[1] is not None]
    unknown = [name for name in fields if name not in _FIELDS]
    twice = [name for name in _FIELDS if fields.count(name) > 1]
    parts = pattern.split("/")
    found = (
        (not pattern, "is empty"),
        (any(token[0] in {"{", "}"} for token in tokens), "has a brace without its other half"),
        (bool(unknown), f"has the unknown field {{{''.join(unknown[:1])}}}"),
        (bool(twice), f"has {{{''.join(twice[:1])}}} twice"),
        ("step" not in fields, "has no {step}"),
        (bool(re.search(r"\}\{|\*\{prompt\}|\{prompt\}\*", pattern)), "has two fields with nothing between them"),
        ("**" in pattern, "has **, where each folder needs its own *"),
        (pattern.startswith("/"), "is an absolute path"),
        (".." in parts, "leads out of the folder by .."),
        (bool({"", "."} & set(parts)), "has a folder without a name"),
    )
    return next((problem for is_there, problem in found if is_there), "")


def _expression(part: str) -> str:
    """As a regular expression, in which a number next to a ``*`` is a whole one."""
    written = []
    for token in _TOKEN.finditer(part):
        field, star, text = token.groups()
        if field is None:
            written.append("[^/]*" if star else re.escape(text))
        elif field == "prompt":
            written.append(f"(?P<prompt>{_FIELDS[field]})")
        else:
            before = "(?<![0-9])" if part[: token.start()].endswith("*") else ""
            after = "(?![0-9])" if part[token.end() :].startswith("*") else ""
            written.append(f"{before}(?P<{field}>{_FIELDS[field]}){after}")
    return "".join(written)


def _found(folder: Path, parts: tuple[re.Pattern[str], ...]) -> Iterator[Found]:
    for path, fields in _walk(folder, parts, {}):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield Found(path, int(fields["step"]), fields.get("prompt", ONLY_PROMPT), int(fields.get("seed", "0")))


def _walk(
    folder: Path, parts: tuple[re.Pattern[str], ...], fields: dict[str, str]
) -> Iterator[tuple[Path, dict[str, str]]]:
    (first, *rest) = parts
    for name in _names(folder):
        match = first.fullmatch(name)
        if match is None:
            continue
        path, known = folder / name, fields | match.groupdict()
        if not rest:
            yield path, known
        elif path.is_dir():
            yield from _walk(path, tuple(rest), known)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise InputError(f"cannot be read: {os_reason(error)}", str(folder), "give a folder of pictures") from error
