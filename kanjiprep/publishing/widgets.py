"""Validation pictures of a checkpoint as a model card shows them: one a prompt, plain PNG, nothing else in it."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.publishing.choice import Chosen
from kanjiprep.training import configs, run_folder
from kanjiprep.training.running import files, picture_file, run_source
from kanjiprep.training.running.events import Validation
from kanjiprep.training.running.run_state import RunState

MOST: Final = 8
MOST_PX: Final = 1024


@dataclass(frozen=True, slots=True)
class Widget:
    """A picture of the model card.

    Attributes:
        name: Short name of the prompt.
        text: The prompt, in its style.
        negative: What it was to avoid; empty for nothing.
        path_in_repo: Of the picture.
        step: Of the run, when it was painted.
    """

    name: str
    text: str
    negative: str
    path_in_repo: str
    step: int


@dataclass(frozen=True, slots=True)
class Gallery:
    """All pictures of the card.

    Attributes:
        widgets: The sound ones first.
        notes: What should be known of them, a sentence each.
    """

    widgets: tuple[Widget, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Words:
    """What was asked for at every validation."""

    prompts: Mapping[str, str]
    negative: str


def write(run: Path, state: RunState, chosen: Chosen, out: Path) -> Gallery:
    """The pictures of ``chosen`` in ``out``/images/, at most eight, each of another prompt.

    If none was painted at its very step, those of the nearest step before are taken.

    Raises:
        TrainerError: If the prompts cannot be read, or a picture cannot be written.
    """
    notes: list[str] = []
    step = max((one.step for one in state.validations if one.step <= chosen.step), default=None)
    if step is None:
        return Gallery((), (f"there are no validation pictures of step {chosen.step:,} or before",))
    if step != chosen.step:
        notes.append(f"there are no pictures of step {chosen.step:,}; those of step {step:,} are shown")
    words = _words(run, notes)
    pictures = _in_order([one for one in state.validations if one.step == step], words, notes)
    widgets: dict[str, Widget] = {}
    for one in pictures:
        if one.prompt in widgets or len(widgets) == MOST:
            continue
        if (picture := _picture(run, one, notes)) is not None:
            path = f"images/{one.prompt}.png"
            _save(picture, out / path)
            widgets[one.prompt] = Widget(one.prompt, words.prompts[one.prompt], words.negative, path, step)
    left = {one.prompt for one in pictures} - widgets.keys()
    if left and len(widgets) == MOST:
        notes.append(f"pictures of {len(left)} further prompts are left out: a card has at most {MOST}")
    return Gallery(tuple(widgets.values()), tuple(notes))


def _words(run: Path, notes: list[str]) -> _Words:
    """Prompts and negative prompt as the trainer read them."""
    prompts, negative = run_source.prompts(run), ""
    if prompts is None:
        prompts = dict(run_source.spec(run).validation.prompts)
        notes.append(f"{run_folder.CONFIG}/{configs.PROMPTS} is not there: prompts are told without their style")
    path = run / run_folder.CONFIG / configs.CONFIG
    if os.path.lexists(path):
        negative = str(run_source.table(path).get("validation_negative_prompt") or "")
    else:
        notes.append(f"{run_folder.CONFIG}/{configs.CONFIG} is not there: the negative prompt is not known")
    return _Words(prompts, negative)


def _in_order(pictures: list[Validation], words: _Words, notes: list[str]) -> list[Validation]:
    """Those of known prompts in the order of these; what the guard found fault with comes last."""
    order = {name: index for index, name in enumerate(words.prompts)}
    strange = dict.fromkeys(one.prompt for one in pictures if one.prompt not in order)
    notes.extend(f"{name!r:.40} is no prompt of this run; its picture is left out" for name in strange)
    known = [one for one in pictures if one.prompt in order]
    return sorted(known, key=lambda one: (bool(one.faults), order[one.prompt]))


def _picture(run: Path, one: Validation, notes: list[str]) -> Image.Image | None:
    """The picture as it is shown; None, with a note, if it cannot be."""
    try:
        path = run_source.within(run, one.path)
    except TrainerError as error:
        notes.append(f"{error.where} {error.what}, and is left out")
        return None
    try:
        whole = picture_file.read(path)
    except TrainerError:
        notes.append(f"{one.path} cannot be read as a picture, and is left out")
        return None
    found = picture_file.layout(path.name, whole.size)
    if found.pictures > 1:
        notes.append(f"{one.prompt}: cut out from beside another picture; a label may be in its corner")
    if one.faults:
        notes.append(f"{one.prompt}: the guard found fault with its picture ({', '.join(one.faults)})")
    return _plain(whole.crop(found.newest))


def _plain(picture: Image.Image) -> Image.Image:
    """``picture`` at most 1024 px wide and high, with nothing but its pixels."""
    picture.thumbnail((MOST_PX, MOST_PX), Image.Resampling.LANCZOS)
    plain = Image.new("RGB", picture.size)
    plain.paste(picture)
    return plain


def _save(picture: Image.Image, path: Path) -> None:
    data = io.BytesIO()
    picture.save(data, "PNG")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot be made: {os_reason(error)}", str(path.parent), "give another folder") from error
    files.replace(path, data.getvalue())
