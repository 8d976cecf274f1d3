"""Validation prompts and the style around them, from files that presets name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

from kanjiprep import spec
from kanjiprep.errors import UsageError, os_reason
from kanjiprep.paths import expanded, unportable
from kanjiprep.resources import shipped
from kanjiprep.training.run_spec import Validation

T = TypeVar("T")

SHORT_NAME: Final = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
"""Of a prompt; it becomes a part of file names."""
_PLACEHOLDER: Final = re.compile(r"\{env:", re.IGNORECASE)
_RESERVED: Final = ("validation", "unconditional")
"""Short names that the trainer gives to pictures of its own. Source: SimpleTuner training/validation.py."""


@dataclass(frozen=True, slots=True)
class Style:
    """What is put around every prompt.

    Attributes:
        prefix: Before it, with its own space.
        suffix: After it, with its own space.
        negative: What a picture is to avoid.
        subject: Where the subject goes when pictures are asked for afterwards. ``first`` puts it before all of the
            style, so that text encoders that read only so many tokens never lose it; ``within`` keeps it between
            prefix and suffix, for a style that is one sentence.
    """

    prefix: str = ""
    suffix: str = ""
    negative: str = ""
    subject: Literal["first", "within"] = "first"

    def around(self, prompt: str) -> str:
        """``prompt`` in this style, as validation pictures are asked for."""
        return f"{self.prefix}{prompt}{self.suffix}"

    def composed(self, subject: str) -> str:
        """``subject`` in this style, with the subject where the style wants it."""
        bare = subject.strip().rstrip(".,") or subject.strip()
        if self.subject == "within":
            return self.around(bare).strip()
        style = f"{self.prefix.strip()} {self.suffix.strip()}".strip()
        return f"{bare}. {style}" if style else subject.strip()


@dataclass(frozen=True, slots=True)
class Library:
    """A file of prompts by short name."""

    prompts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prompts:
    """All that is asked for at every validation.

    Attributes:
        plain: Prompts by the short names that picture files get.
        style: What is put around each.
    """

    plain: Mapping[str, str]
    style: Style

    @property
    def by_name(self) -> dict[str, str]:
        """The prompts in their style."""
        return {name: self.style.around(text) for name, text in self.plain.items()}

    @property
    def negative(self) -> str:
        """The style's negative prompt."""
        return self.style.negative


def load(validation: Validation, folder: Path) -> tuple[Prompts, tuple[str, ...]]:
    """The prompts that ``validation`` names, and every problem with them.

    Args:
        validation: Of a spec.
        folder: The preset's, from which relative paths are meant.
    """
    problems: list[str] = []
    style = _read(Style, "styles", validation.style, folder, problems) or Style()
    plain = dict(validation.prompts)
    for name in validation.libraries:
        library = _read(Library, "prompts", name, folder, problems) or Library()
        problems += [f"validation.libraries {name!r} has {key!r} again" for key in library.prompts if key in plain]
        plain.update(library.prompts)
    problems += _problems(plain, style)
    if not plain and validation.libraries and not problems:
        problems.append("validation.libraries hold no prompt; without pictures nothing can be judged")
    return Prompts(plain, style), tuple(problems)


def style(name: str, folder: Path) -> Style:
    """The style that ``name`` names: a shipped one, or a file.

    Args:
        name: A shipped style, or a path.
        folder: From which a relative path is meant.

    Raises:
        UsageError: If there is none, or it is not understood.
    """
    return _one(Style, "styles", name, folder)


def library(name: str, folder: Path) -> dict[str, str]:
    """Prompts by short name, of a shipped library or of a file.

    Raises:
        UsageError: If there is none, it is not understood, or it holds no prompts.
    """
    found = dict(_one(Library, "prompts", name, folder).prompts)
    if not found:
        raise UsageError("holds no prompts", f"--library {name}", 'write them as name = "text" below [prompts]')
    return found


def _one(kind: type[T], folder_name: str, name: str, folder: Path) -> T:
    problems: list[str] = []
    found = _read(kind, folder_name, name, folder, problems)
    if found is None or problems:
        raise UsageError("; ".join(problems), f"--{'style' if kind is Style else 'library'}")
    return found


def names(kind: str) -> tuple[str, ...]:
    """The shipped files of ``kind`` (``styles`` or ``prompts``)."""
    return tuple(sorted(path.stem for path in (shipped("templates") / kind).glob("*.toml")))


def _problems(prompts: Mapping[str, str], style: Style) -> Iterator[str]:
    for name, text in prompts.items():
        if not SHORT_NAME.fullmatch(name) or name in _RESERVED or unportable(name):
            yield f"the prompt name {name!r} is no name for a file; use lower-case letters, digits and single _"
        if not text.strip():
            yield f"the prompt {name!r} is empty"
    for name, text in {**prompts, "negative": style.negative, "prefix": style.prefix, "suffix": style.suffix}.items():
        if _PLACEHOLDER.search(text):
            yield f"{name!r} holds {{env:...}}, for which the trainer would put in a variable of the environment"


def _read(cls: type[T], kind: str, name: str, folder: Path, problems: list[str]) -> T | None:
    if not name:
        problems.append(f"the name of a {kind} file is empty; there are {', '.join(names(kind))}, or give a path")
        return None
    shipped_path = shipped("templates") / kind / f"{name}.toml"
    try:
        path = shipped_path if name in names(kind) else folder / expanded(Path(name))
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        guess = spec.did_you_mean(name, names(kind))
        problems.append(f"no {kind} file {name!r}{guess}; there are {', '.join(names(kind))}, or give a path")
        return None
    except (ValueError, RecursionError, UsageError) as error:  # ValueError: not TOML, not UTF-8, a NUL in the path
        problems.append(f"{name}: not a TOML file: {error}")
        return None
    except OSError as error:
        problems.append(f"{name}: cannot be read: {os_reason(error)}")
        return None
    value, found = spec.read(cls, table)
    problems += [f"{name}: {problem}" for problem in found]
    return value
