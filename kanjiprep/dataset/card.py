"""The dataset card, README.md of a dataset folder."""

from __future__ import annotations

from dataclasses import dataclass

from kanjiprep.dataset.folder import Certificate
from kanjiprep.resources import environment, shipped

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))


@dataclass(frozen=True, slots=True)
class Example:
    """A sample that the card shows."""

    literal: str
    file_name: str
    caption: str


def card(certificate: Certificate, examples: tuple[Example, ...]) -> bytes:
    """The card of a finished dataset: YAML front matter and Markdown."""
    counts = certificate.counts
    assert counts is not None, "a card is written for a finished dataset"  # noqa: S101
    template = environment().from_string((shipped("templates") / "dataset_card.md.j2").read_text("utf-8"))
    text = template.render(
        counts=counts,
        style=certificate.style,
        sources=tuple(certificate.sources.values()),
        tool=certificate.tool,
        renderer=certificate.renderer,
        digest=certificate.digest,
        examples=examples,
        size_category=size_category(counts.samples),
        attribution=attribution(),
    )
    return (text.rstrip() + "\n").encode()


def attribution() -> str:
    """Who drew the strokes and wrote the meanings, as both ask to be named: a list in Markdown."""
    return (shipped("templates") / "attribution.md").read_text("utf-8").rstrip()


def size_category(samples: int) -> str:
    """The Hub's word for a dataset of that many rows."""
    return next((name for limit, name in _SIZES if samples < limit), "100K<n<1M")
