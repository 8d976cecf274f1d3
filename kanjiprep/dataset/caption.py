"""Captions from Jinja templates: what a template may say, and what it may not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kanjiprep.dataset.join import Sample
from kanjiprep.errors import UsageError, os_reason
from kanjiprep.paths import expanded
from kanjiprep.resources import environment, shipped, unknown_names
from kanjiprep.spec import did_you_mean

if TYPE_CHECKING:
    import jinja2

FIELDS: Final = (
    "literal",
    "codepoint",
    "meanings",
    "on",
    "kun",
    "stroke_count",
    "grade",
    "jlpt",
    "frequency",
    "radical",
    "components",
)
"""The names that a caption template may use."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class CaptionTemplate:
    """A caption template that was checked.

    Attributes:
        name: The file's name without its ending.
        source: Its text.
    """

    name: str
    source: str
    compiled: jinja2.Template


def names() -> tuple[str, ...]:
    """The shipped templates."""
    return tuple(sorted(path.stem for path in (shipped("templates") / "captions").glob("*.j2")))


def load(name: str) -> CaptionTemplate:
    """The shipped template ``name``, or the one in the file of that path.

    Raises:
        UsageError: If there is none, or it is not a template, or it uses a field that does not exist.
    """
    import jinja2

    try:
        path = _path(name)
        source = path.read_text("utf-8-sig")
        _refuse_unknown_fields(source, str(path))
        return CaptionTemplate(path.stem, source, environment().from_string(source))
    except jinja2.TemplateSyntaxError as error:
        raise UsageError(
            f"not a Jinja template: {error.message}", f"{path}:{error.lineno}", "mend the line"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError("not UTF-8 text", name, "save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"cannot be read: {os_reason(error)}", name, "check the path") from error


def caption(template: CaptionTemplate, sample: Sample) -> str:
    """The caption of ``sample``: one line of text.

    Raises:
        UsageError: If the template fails on this sample, or gives nothing or more than one line.
    """
    where = f"{template.name} for {sample.entry.literal}"
    try:
        text = template.compiled.render(fields(sample)).strip()
    except Exception as error:  # a template can raise anything that its filters and operators raise
        raise UsageError(f"the caption template fails: {error}", where, "mend the template") from error
    if not text:
        raise UsageError("the caption is empty", where, "write a template that says something for every kanji")
    if _CONTROL.search(text):
        raise UsageError("the caption holds a line break or control character", where, "keep it on one line")
    return text


def fields(sample: Sample) -> dict[str, object]:
    """What a template sees of ``sample``, by the names in ``FIELDS``."""
    entry = sample.entry
    values: tuple[object, ...] = (
        entry.literal,
        f"{entry.codepoint:05x}",
        entry.meanings,
        entry.on,
        entry.kun,
        len(sample.glyph.strokes),
        entry.grade,
        entry.jlpt,
        entry.frequency,
        entry.radical,
        sample.parts,
    )
    return dict(zip(FIELDS, values, strict=True))


def _path(name: str) -> Path:
    if name in names():
        return shipped("templates") / "captions" / f"{name}.j2"
    if not name.strip():
        raise UsageError("is empty", "--caption", f"leave it out, or give one of {', '.join(names())}")
    path = expanded(Path(name))
    if not path.exists():
        raise UsageError(
            f"no caption template {name!r}{did_you_mean(name, names())}",
            "--caption",
            f"give one of {', '.join(names())}, or a file",
        )
    return path


def _refuse_unknown_fields(source: str, where: str) -> None:
    for name, line in unknown_names(source, FIELDS):
        raise UsageError(
            f"{{{{ {name} }}}} is not a field{did_you_mean(name, FIELDS)}",
            f"{where}:{line}",
            f"use one of {', '.join(FIELDS)}",
        )
