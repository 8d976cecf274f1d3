"""Our card and the one that stands already, made one: facts are ours, everything else stays theirs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kanjiprep.errors import KanjiprepError
from kanjiprep.publishing import front_matter

BEGIN: Final = "<!-- kanjiprep: begin (what stands between these lines is renewed by kanjiprep) -->"
END: Final = "<!-- kanjiprep: end -->"

WIDGET: Final = "widget"
LICENCE: Final = ("license", "license_name", "license_link")
FACTS: Final = frozenset(
    {
        *LICENCE,
        "base_model",
        "base_model_relation",
        "configs",
        "dataset_info",
        "instance_prompt",
        "library_name",
        "pipeline_tag",
        "size_categories",
        WIDGET,
    }
)
"""Keys that state facts of the files. What is not in our card is not so any more."""
CONFIGS: Final = frozenset({"configs", "dataset_info"})
"""Facts with an entry for each configuration of a dataset. Ours is the default one; others are not of our files."""
UNIONS: Final = frozenset(
    {"annotations_creators", "datasets", "language", "source_datasets", "tags", "task_categories"}
)
"""Keys with lists to which everybody may add."""
_DEFAULT: Final = "default"
"""Name of the configuration that is loaded if none is asked for, and of the key that makes it of another."""
_TOLD: Final = ("base_model", *sorted(CONFIGS), *LICENCE)
"""Facts whose replacement is told, since an owner may have meant something else."""
_SIZES: Final = ("config_name", "dataset_size", "download_size", "splits")
"""What of dataset_info is another at every push, and nobody misses."""

OUR_PICTURE: Final = re.compile(r"images/[a-z0-9_]+\.png")
"""A picture of a gallery as we name it."""
_MARK = re.compile(r"^[ \t]*<!-- kanjiprep: (begin|end)\b[^\r\n]*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Merged:
    """A card made of two.

    Attributes:
        text: All of it.
        notes: What its owner should know of the merging, one phrase each.
    """

    text: str
    notes: tuple[str, ...]


def marked(body: str) -> str:
    """``body`` between our two marks, by which it is found again."""
    harmless = body.replace("<!-- kanjiprep:", "<!- - kanjiprep:").strip()
    return f"{BEGIN}\n\n{harmless}\n\n{END}\n"


def merge(ours: str, theirs: str, kind: type[KanjiprepError], where: str) -> Merged:
    """The generated card ``ours`` put into the card ``theirs``.

    What stands in ``theirs`` outside our two marks stays as it is. Merging the same card once more changes nothing.

    Args:
        ours: The generated card, its body ``marked``.
        theirs: The card that stands already; empty if there is none.
        kind: What is raised.
        where: The name of ``theirs`` in messages.

    Raises:
        KanjiprepError: Of ``kind``, if ``theirs`` has front matter that cannot be read, or marks that are no pair.
    """
    our_table, our_body = front_matter.split(ours, "the generated card", kind)
    their_table, their_body = front_matter.split(theirs, where, kind)
    table, of_table = _tables(our_table, their_table)
    first_line = theirs.removesuffix(their_body).count("\n") + 1
    part = _part(their_body, where, first_line, kind)
    body, of_body = _bodies(our_body.strip(), their_body, part)
    return Merged(front_matter.join(table, body), (*of_table, *of_body))


def _bodies(ours: str, theirs: str, part: slice | None) -> tuple[str, tuple[str, ...]]:
    if part is not None:
        return f"{theirs[: part.start]}{ours}{theirs[part.stop :]}", ()
    if not theirs.strip():
        return f"\n{ours}\n", ()
    gap = "" if theirs.endswith(("\n\n", "\n\r\n")) else "\n" if theirs.endswith("\n") else "\n\n"
    return f"{theirs}{gap}{ours}\n", ("the text of the card stays, and the generated part stands below it",)


def _part(body: str, where: str, first_line: int, kind: type[KanjiprepError]) -> slice | None:
    """Where our part stands in ``body``, marks included; None if it has none."""
    marks = list(_MARK.finditer(body))
    if not marks:
        return None
    words = [mark[1] for mark in marks]
    if words != ["begin", "end"]:
        wrong = next(
            (mark for mark, word in zip(marks, ("begin", "end"), strict=False) if mark[1] != word), marks[-1]
        )
        line = first_line + body.count("\n", 0, wrong.start())
        what = f"has the kanjiprep marks {', '.join(words[:6])} where one begin and one end belong"
        raise kind(what, f"{where}:{line}", "take out those that are too many, or all of them")
    return slice(marks[0].start(), marks[1].end())


def _tables(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    facts = FACTS if "license" in ours else FACTS.difference(LICENCE)
    gone = [key for key in theirs if key in facts and key not in ours]
    gone = [key for key in gone if key != WIDGET or not _others(theirs[key])]
    keys = [*(key for key in theirs if key not in gone), *(key for key in ours if key not in theirs)]
    table = {key: _merged(key, ours, theirs) for key in keys}
    return table, tuple(_notes(gone, ours, theirs))


def _merged(key: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Any:
    if key == WIDGET and isinstance(ours.get(key, []), list):
        shown = ours.get(key, [])
        return [*shown, *(one for one in _others(theirs.get(key)) if one not in shown)]
    if key not in ours:
        return theirs[key]
    if key in CONFIGS:
        return _configurations(ours[key], theirs.get(key))
    if key in FACTS or theirs.get(key) is None:
        return ours[key]
    return _union(theirs[key], ours[key]) if key in UNIONS else theirs[key]


def _configurations(ours: Any, theirs: Any) -> Any:
    """Our configuration, and those of theirs that have other names.

    A dataset with two defaults cannot be loaded at all.

    Source: datasets 5.2.0 utils/metadata.py MetadataConfigs.get_default_config_name; info.py DatasetInfosDict.
    """
    others = _other_configurations(theirs)
    if not others:
        return ours
    first = [{"config_name": _DEFAULT, **one} for one in _listed(ours)]
    return [*first, *({key: one[key] for key in one if key != _DEFAULT or not one[key]} for one in others)]


def _other_configurations(value: Any) -> list[dict[str, Any]]:
    tables = (one for one in _listed(value) if isinstance(one, dict))
    return [one for one in tables if one.get("config_name") not in (None, _DEFAULT)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _notes(gone: Iterable[str], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    """What an owner should know of the facts that are not theirs any more."""
    before, now = (one.get("license_name") or one.get("license") for one in (theirs, ours))
    is_other = bool(now) and before not in (None, now)
    told = frozenset(LICENCE if is_other else ())
    yield from (f"{key} was taken out of the card: it no longer holds" for key in gone if key not in told)
    replaced = [key for key in _TOLD if key in ours and key not in told and _is_replaced(ours[key], theirs.get(key))]
    yield from (f"{key} of the card was replaced: the files say otherwise" for key in replaced)
    if is_other:
        yield f"the card said license: {str(before)[:60]}; it says {now} now, as the files are"
    others = _other_configurations(theirs.get("configs")) if "configs" in ours else []
    for name in [str(one["config_name"])[:60] for one in others if one.get(_DEFAULT)]:
        yield f"the configuration {name} is not the default any more: what was pushed is"


def _is_replaced(ours: Any, theirs: Any) -> bool:
    """Whether a value of theirs is lost that says something else than ours."""
    others = _other_configurations(theirs)
    before = [one for one in _listed(theirs) if one not in others]
    return bool(before) and list(map(_without_sizes, before)) != list(map(_without_sizes, _listed(ours)))


def _without_sizes(value: Any) -> Any:
    return {key: value[key] for key in value if key not in _SIZES} if isinstance(value, dict) else value


def _others(widget: Any) -> list[Any]:
    """Entries of a gallery with pictures that are not ours."""
    entries = widget if isinstance(widget, list) else []
    outputs = [one.get("output") if isinstance(one, dict) else None for one in entries]
    urls = [str(one.get("url")) if isinstance(one, dict) else "" for one in outputs]
    return [one for one, url in zip(entries, urls, strict=True) if not OUR_PICTURE.fullmatch(url)]


def _union(theirs: Any, ours: Any) -> Any:
    if isinstance(theirs, dict):
        return theirs
    first = theirs if isinstance(theirs, list) else [theirs]
    missing = [one for one in ours if one not in first]
    return [*first, *missing] if missing else theirs
