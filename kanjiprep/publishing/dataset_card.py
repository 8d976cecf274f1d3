"""The card of a dataset on the Hub."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from kanjiprep.dataset.card import Example, attribution, size_category
from kanjiprep.dataset.check import Statistics
from kanjiprep.dataset.folder import Certificate, Disagreement
from kanjiprep.dataset.join import Reason
from kanjiprep.dataset.selection import Selection
from kanjiprep.publishing import front_matter
from kanjiprep.publishing.markdown import render
from kanjiprep.publishing.merging import marked

TITLE: Final = "Kanji with English meanings"
MOST_EXAMPLES: Final = 8
_MOST_DISAGREEMENTS: Final = 60

_COLUMNS: Final[Mapping[str, str]] = {
    "image": "the picture",
    "text": "the caption",
    "character": "the character itself",
    "codepoint": "its Unicode code point",
    "meanings": "its English meanings in KANJIDIC2",
    "stroke_count": "how many strokes are drawn",
    "file_name": "the picture's name in the folder that was pushed",
}
_REASONS: Final[Mapping[str, str]] = {
    Reason.NOT_SELECTED: "not asked for",
    Reason.NO_STROKES: "KanjiVG has no drawing of it",
    Reason.NO_MEANING: "KANJIDIC2 gives no English meaning",
    Reason.OVER_LIMIT: "beyond the number that was asked for",
    Reason.NOT_IN_KANJIDIC: "drawn by KanjiVG, but no kanji of KANJIDIC2: kana, letters, signs",
}


@dataclass(frozen=True, slots=True)
class Info:
    """What ``load_dataset`` believes of the files without opening them, ``dataset_info`` of the card.

    Attributes:
        features: The columns in the words of ``datasets``: ``{"name": "image", "dtype": "image"}``.
        num_examples: Rows; a wrong number makes loading fail.
        num_bytes: Of the rows in memory.
        download_size: Of the files, in bytes.
    """

    features: tuple[Mapping[str, Any], ...]
    num_examples: int
    num_bytes: int
    download_size: int


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """All that the card of a dataset says.

    Attributes:
        repo_id: Where it goes on the Hub.
        layout: ``parquet`` has its rows in ``data/train-*``; ``files`` are metadata.csv and the pictures.
        statistics: Of ``kanjiprep check``.
        certificate: How it was built; without one, the card says nothing of sources and licence.
        info: Of the parquet files. None with ``files``, where it would be one more number that can be wrong.
        examples: With paths inside the repository; no more than ``MOST_EXAMPLES`` are shown.
        beside: Further files in the repository that the card may point to: build.json, skipped.csv, SHA256SUMS.
    """

    repo_id: str
    layout: Literal["parquet", "files"]
    statistics: Statistics
    certificate: Certificate | None = None
    info: Info | None = None
    examples: tuple[Example, ...] = ()
    beside: tuple[str, ...] = ()


def hub_card(facts: DatasetFacts) -> str:
    """The card of a dataset on the Hub: front matter, and a body between our marks."""
    certificate = facts.certificate
    body = render(
        "hub_dataset_card.md.j2",
        facts=facts,
        title=_title(facts),
        certificate=certificate,
        selected=_selected(certificate.selection) if certificate else "",
        skipped=_skipped(certificate) if certificate else (),
        disagreements=_disagreements(certificate.disagreements) if certificate else "",
        attribution=attribution(),
        columns=tuple(_column(one) for one in facts.info.features) if facts.info else (),
        examples=facts.examples[:MOST_EXAMPLES],
        statistics=facts.statistics,
        measures=_measures(facts.statistics),
        source=shlex.quote(facts.repo_id),
    )
    return front_matter.join(_table(facts), f"\n{marked(body)}")


def _title(facts: DatasetFacts) -> str:
    return TITLE if facts.certificate else facts.repo_id.rpartition("/")[2]


def _table(facts: DatasetFacts) -> dict[str, Any]:
    """The front matter.

    The Hub finds metadata.csv and pictures by itself; naming one of them would hide the other from it.
    """
    ours: dict[str, Any] = {
        "pretty_name": _title(facts),
        "language": ["en", "ja"],
        "license": "cc-by-sa-4.0",
        "task_categories": ["text-to-image"],
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["original"],
        "size_categories": [size_category(facts.statistics.samples)],
        "tags": ["kanji", "kanjivg", "kanjidic2", "calligraphy", "japanese", "text-to-image"],
    }
    if facts.certificate is None:
        ours = {key: ours[key] for key in ("pretty_name", "task_categories", "size_categories")}
        ours["tags"] = ["text-to-image"]
    if facts.layout == "parquet":
        files = {"split": "train", "path": "data/train-*"}
        ours["configs"] = [{"config_name": "default", "data_files": [files]}]
    if facts.info:
        ours["dataset_info"] = _info(facts.info)
    return ours


def _info(info: Info) -> dict[str, Any]:
    return {
        "features": [dict(one) for one in info.features],
        "splits": [{"name": "train", "num_bytes": info.num_bytes, "num_examples": info.num_examples}],
        "download_size": info.download_size,
        "dataset_size": info.num_bytes,
    }


def _column(feature: Mapping[str, Any]) -> tuple[str, str, str]:
    many = feature.get("sequence", feature.get("list"))
    kind = str(feature.get("dtype", "")) if many is None else f"list of {many}"
    name = str(feature["name"])
    return name, kind, _COLUMNS.get(name, "")


def _selected(selection: Selection) -> str:
    parts = (
        f"of grade {_or(selection.grades)}" if selection.grades else "",
        f"of level {_or(selection.jlpt)} of the old JLPT" if selection.jlpt else "",
        f"of a list of {len(selection.literals):,}" if selection.literals else "",
        f"the first {selection.limit:,}" if selection.limit is not None else "",
    )
    return ", ".join(filter(None, parts))


def _skipped(certificate: Certificate) -> tuple[tuple[str, int], ...]:
    by_reason = certificate.skipped or {}
    ranked = sorted(by_reason.items(), key=lambda pair: -pair[1])
    return tuple((_REASONS.get(reason, reason), count) for reason, count in ranked if count)


def _disagreements(found: tuple[Disagreement, ...]) -> str:
    shown = ", ".join(f"{one.literal} {one.drawn} ({_or(one.known)})" for one in found[:_MOST_DISAGREEMENTS])
    more = len(found) - _MOST_DISAGREEMENTS
    return f"{shown} and {more:,} more" if more > 0 else shown


def _measures(statistics: Statistics) -> Iterator[tuple[str, str, str, str]]:
    """Rows of the table: what, least, median, most."""
    for what, spread in (
        ("characters of a caption", statistics.caption_characters),
        ("CLIP tokens of a caption", statistics.clip_tokens),
        ("T5 tokens of a caption", statistics.t5_tokens),
    ):
        yield what, f"{spread.least:g}", f"{spread.median:g}", f"{spread.most:g}"
    ink = statistics.ink
    yield "ink, share of the picture", f"{ink.least:.1%}", f"{ink.median:.1%}", f"{ink.most:.1%}"


def _or(numbers: tuple[int, ...]) -> str:
    return " or ".join(map(str, numbers))
