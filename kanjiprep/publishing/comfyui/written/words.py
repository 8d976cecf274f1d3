"""The READ ME beside a workflow: which file goes where, how it is run, and where its settings come from."""

from __future__ import annotations

import textwrap
from typing import Any, Final

from kanjiprep.publishing import licences
from kanjiprep.publishing.comfyui.live import address
from kanjiprep.publishing.comfyui.written.copies import Copy
from kanjiprep.publishing.comfyui.written.model_files import ModelFile
from kanjiprep.publishing.comfyui.written.recipe import Recipe
from kanjiprep.publishing.comfyui.written.strip import PATTERN, Strip
from kanjiprep.publishing.tuned import Tuned
from kanjiprep.resources import environment, shipped

_WIDTH: Final = 100
_READ_ME: Final = "comfyui_read_me.txt.j2"
_STRIP: Final = "comfyui_strip_read_me.txt.j2"


def read_me(recipe: Recipe, copy: Copy, tuned: Tuned, has_strip: bool) -> str:
    """The text for one workflow."""
    licence = licences.of_base(tuned.base)
    return _rendered(
        _READ_ME,
        recipe=recipe,
        title=recipe.name,
        how=tuned.how,
        files=_files(recipe, copy),
        needs_encoders=bool(recipe.encoders),
        changes=copy.changes,
        warnings=tuned.warnings,
        licence=f"{licence.title}, {licence.license_link}" if licence else "",
        has_strip=has_strip,
        server=address.DEFAULT,
    )


def strip_read_me(recipe: Recipe, strip: Strip) -> str:
    """The text for the workflows of all checkpoints."""
    mended = sorted({change for copy in strip.copies.values() for change in copy.changes})
    return _rendered(
        _STRIP,
        recipe=recipe,
        strip=strip,
        count=len(strip.workflows),
        first=strip.steps[0],
        last=strip.steps[-1],
        size=size(strip.bytes),
        shared=_shared(strip),
        mended=mended,
        pattern=PATTERN,
        server=address.DEFAULT,
    )


def size(count: int) -> str:
    """Bytes in words, with three digits at most."""
    for unit, each in (("GB", 1e9), ("MB", 1e6)):
        if count >= each:
            return f"{count / each:,.1f} {unit}"
    return f"{count / 1e3:,.1f} kB"


def _shared(strip: Strip) -> str:
    if strip.own_bytes == 0:
        return "the files share their bytes with the checkpoints of the run"
    if strip.own_bytes == strip.bytes:
        return "the files are copies"
    return f"{size(strip.own_bytes)} of it are copies, and the rest shares its bytes with the run"


def _files(recipe: Recipe, copy: Copy) -> tuple[ModelFile, ...]:
    lora = ModelFile(recipe.lora, "models/loras", "", size(copy.bytes))
    return (lora, recipe.checkpoint, *recipe.encoders)


def _rendered(name: str, **words: Any) -> str:
    source = (shipped("templates") / name).read_text("utf-8")
    text = environment().from_string(source, globals={"wrapped": _wrapped}).render(words)
    return text.rstrip() + "\n"


def _wrapped(text: str, indent: str = "") -> str:
    """``text`` in lines of a readable length, the later ones indented."""
    lines = text.splitlines() or [""]
    return f"\n{indent}".join(
        textwrap.fill(line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        for line in lines
    )
