"""What pictures are to show and to avoid, in the words that the text encoders get."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kanjiprep.errors import UsageError
from kanjiprep.publishing import sampling_of
from kanjiprep.publishing.comfyui.written.order import ASKED
from kanjiprep.publishing.painting import texts
from kanjiprep.publishing.tuned import Tuned
from kanjiprep.training import prompts
from kanjiprep.training.prompts import Style
from kanjiprep.training.running import run_source

_FALLBACK: Final = "mountains"
_LONGEST_TEXT: Final = 10_000
_OF_RUN: Final = "the run's own"
_LAYOUT: Final = "\n\t"
"""Control characters that a prompt of several lines has."""
_FIRST: Final = {"first": "in the style, the subject first", "within": "in the style"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What one picture is to show.

    Attributes:
        name: Short, for the names of files.
        subject: In the user's words.
        text: The same in its style, as the text encoders get it.
    """

    name: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Words:
    """All words of a workflow.

    Attributes:
        prompts: What its pictures are to show.
        negative: What they are to avoid.
        source: Where the prompts are from.
        negative_source: Where the negative prompt is from.
        style: Name of the style.
        style_source: Where it is from.
        notes: What was changed in the texts, a sentence each.
    """

    prompts: tuple[Asked, ...]
    negative: str
    source: str
    negative_source: str
    style: str
    style_source: str
    notes: tuple[str, ...] = ()


def words(
    tuned: Tuned, subjects: tuple[str, ...], style: str | None, negative: str | None, like_validation: bool
) -> Words:
    """The words for pictures of ``subjects``.

    Args:
        tuned: What was trained.
        subjects: What they are to show, or short names of the run's prompts; none for the run's first prompt.
        style: Put around them, the subject first; None for that of the run, if there is one.
        negative: What they are to avoid; None for what the style says, else the run.
        like_validation: Put the run's own style around them, as in validation.

    Raises:
        UsageError: If a text cannot be used, or there is no such style.
        TrainerError: If the run cannot be read.
    """
    if like_validation and style is not None:
        raise UsageError("and --like-validation are two styles", "--style", "leave one of them out")
    for text in (*subjects, negative or ""):
        _refuse_unwritable(text)
    if not all(text.strip() for text in subjects):
        raise UsageError("is empty", "--prompt", "say what the picture is to show")
    known = _known(tuned)
    named, called = _style(tuned, subjects, style, known, like_validation)
    if like_validation:
        asked, source = _validated(tuned, subjects, known), "the run's own style, as in its validation"
    elif named is not None:
        asked, source = _styled(tuned, subjects, known, named), _FIRST[named.subject]
    else:
        asked, source = _plain(tuned, subjects, known)
    avoided, avoided_source = _negative(tuned, named, negative, like_validation)
    return _printable(Words(asked, avoided, source, avoided_source, *called))


def _printable(found: Words) -> Words:
    """``found`` with spaces in place of control characters, which would act on a terminal that shows them."""
    prompts = tuple(replace(one, subject=_spaced(one.subject), text=_spaced(one.text)) for one in found.prompts)
    plain = replace(found, prompts=prompts, negative=_spaced(found.negative))
    return plain if plain == found else replace(plain, notes=("control characters in the prompts were made spaces",))


def _spaced(text: str) -> str:
    return "".join(" " if unicodedata.category(one) == "Cc" and one not in _LAYOUT else one for one in text)


def _style(
    tuned: Tuned, subjects: tuple[str, ...], style: str | None, known: Mapping[str, str], like_validation: bool
) -> tuple[Style | None, tuple[str, str]]:
    """What is put around every subject, with its name and where it is from; None for texts that have it already."""
    if style is not None:
        return prompts.style(style, Path()), (Path(style).stem, ASKED)
    if tuned.run is None or tuned.asked is None:
        return None, ("none", "give --style for one")
    called = (Path(tuned.asked.style).stem, _OF_RUN)
    if like_validation:
        return None, called
    try:
        return prompts.style(tuned.asked.style, tuned.run), called
    except UsageError as error:
        if all(subject in known for subject in subjects):
            return None, called
        what = "the style of the run is not here, so a new prompt cannot be put into it"
        raise UsageError(what, "--prompt", "give another one with --style, such as --style plain") from error


def _known(tuned: Tuned) -> Mapping[str, str]:
    """The run's validation prompts in their style by short name, none if there is no run."""
    if tuned.run is None or tuned.asked is None:
        return {}
    texts = run_source.prompts(tuned.run)
    return prompts.load(tuned.asked, tuned.run)[0].by_name if texts is None else texts


def _bare(tuned: Tuned, subjects: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """What each is without a style; short names of the run's prompts are looked up, where their files are here."""
    plain = prompts.load(tuned.asked, tuned.run)[0].plain if tuned.run and tuned.asked else {}
    return {one: plain.get(one) or known.get(one) or one.strip() for one in subjects}


def _validated(tuned: Tuned, subjects: tuple[str, ...], known: Mapping[str, str]) -> tuple[Asked, ...]:
    if not subjects:
        return _first(tuned, known)
    others = [subject for subject in subjects if subject not in known]
    style = _own_style(tuned) if others else Style()
    texts = {one: known.get(one) or style.around(one.strip()) for one in subjects}
    return _asked(_bare(tuned, subjects, known), texts)


def _own_style(tuned: Tuned) -> Style:
    """The style of the run.

    Raises:
        UsageError: If its file is not here.
    """
    if tuned.run is None or tuned.asked is None:
        return Style()
    try:
        return prompts.style(tuned.asked.style, tuned.run)
    except UsageError as error:
        remedy = "give a short name of the run's own prompts, or leave --prompt out"
        raise UsageError(
            "the style of the run is not here, so a new prompt cannot be like in validation", "--prompt", remedy
        ) from error


def _styled(tuned: Tuned, subjects: tuple[str, ...], known: Mapping[str, str], style: Style) -> tuple[Asked, ...]:
    bare = _bare(tuned, subjects or tuple(known)[:1] or (_FALLBACK,), known)
    return _asked(bare, {one: style.composed(text) for one, text in bare.items()})


def _plain(tuned: Tuned, subjects: tuple[str, ...], known: Mapping[str, str]) -> tuple[tuple[Asked, ...], str]:
    if not subjects and known:
        return _first(tuned, known), "the first validation prompt of the run, word for word"
    bare = _bare(tuned, subjects or (_FALLBACK,), known)
    texts = {one: known.get(one, text) for one, text in bare.items()}
    return _asked(bare, texts), "as asked for" if subjects else "an example"


def _first(tuned: Tuned, known: Mapping[str, str]) -> tuple[Asked, ...]:
    names = tuple(known)[:1] or (_FALLBACK,)
    return _asked(_bare(tuned, names, known), {name: known.get(name, name) for name in names})


def _asked(bare: Mapping[str, str], texts: Mapping[str, str]) -> tuple[Asked, ...]:
    names = short_names(bare)
    return tuple(Asked(name, bare[one], texts[one]) for name, one in zip(names, bare, strict=True))


def short_names(subjects: Iterable[str]) -> tuple[str, ...]:
    """A name for each subject, unlike the others, as ``generate`` gives it to its pictures."""
    found: list[str] = []
    for subject in subjects:
        found.append(texts.short_name(subject, found))
    return tuple(found)


def _negative(tuned: Tuned, style: Style | None, given: str | None, like_validation: bool) -> tuple[str, str]:
    if given is not None:
        return given.strip(), "as asked for"
    if style is not None:
        return style.negative, "of the style"
    if tuned.run is None or tuned.asked is None:
        return "", "give --negative or --style for one"
    told = sampling_of.validation_negative(tuned.run)
    if told is not None:
        return told, "as in the validation of the run"
    return _own_style(tuned).negative if like_validation else "", "of the run's style"


def _refuse_unwritable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError("a prompt is no Unicode text", "--prompt", "set the terminal to UTF-8") from error
    if "\x00" in text or len(text) > _LONGEST_TEXT:
        what = f"a prompt is longer than {_LONGEST_TEXT:,} characters, or holds a NUL"
        raise UsageError(what, "--prompt", "give a short text")
