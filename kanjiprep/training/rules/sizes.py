"""Resolutions and limits of size, and their units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kanjiprep.training.rules.rule import Hit, Rule, rule
from kanjiprep.training.rules.subject import Subject, Table, as_number, key_of, kind, name_of

_FACTORY: Final = "SimpleTuner 4.10.1 helpers/data_backend/factory.py"
_BUCKETS: Final = "SimpleTuner 4.10.1 helpers/metadata/backends/base.py"
_UNITS: Final = ("pixel", "area", "pixel_area")
_LARGEST_MINIMUM_MP: Final = 5
_LARGEST_MAXIMUM_MP: Final = 20
_SMALLEST_MAXIMUM_PX: Final = 512
_LIKELIEST_MP: Final = 16
"""A resolution above this is no number of megapixels but one of pixels: 16 megapixels are 4096 x 4096."""


def unit_of(subject: Subject, dataset: Table) -> str:
    """The resolution_type of a dataset, its own or that of config.json."""
    return str(dataset.get("resolution_type") or subject.text("resolution_type"))


def size_of(subject: Subject, dataset: Table, key: str) -> float:
    """A size of a dataset, its own or that of config.json, in no particular unit; 0 if there is none."""
    own = as_number(dataset.get(key))
    return own if own is not None else subject.number(key) or 0.0


def pictured(subject: Subject) -> tuple[Table, ...]:
    """The datasets that are learnt from and have a size: pictures and videos."""
    return tuple(one for one in subject.trained if kind(one) != "audio")


@rule(
    "unknown-unit",
    "error",
    "A unit of size that does not exist",
    why="resolution_type must be pixel, area or pixel_area.",
    fix="Write pixel_area with the edge of a square in pixels.",
    source=f"{_FACTORY}, run",
)
def unknown_unit(subject: Subject) -> Iterator[Hit]:
    """Other words for resolution_type, in a dataset."""
    for dataset in pictured(subject):
        if unit_of(subject, dataset) not in _UNITS:
            yield Hit(
                key_of(dataset, "resolution_type"), f"{unit_of(subject, dataset)!r} is none of {', '.join(_UNITS)}."
            )


@rule(
    "edge-not-whole",
    "error",
    "An edge that is no whole number",
    why="pixel_area takes a resolution like 1024 only: whole pixels of the edge of a square.",
    fix="Write whole pixels, or area for megapixels.",
    source=f"{_FACTORY} _handle_resolution_conversion",
)
def edge_not_whole(subject: Subject) -> Iterator[Hit]:
    """Fractions beside pixel_area."""
    for dataset in pictured(subject):
        edge = dataset.get("resolution")
        is_whole = isinstance(edge, int) or (isinstance(edge, str) and edge.isdigit())
        if edge is not None and not is_whole and unit_of(subject, dataset) == "pixel_area":
            yield Hit(key_of(dataset, "resolution"), f"resolution {edge!r} with pixel_area: a ValueError.")


@rule(
    "resolution-unit",
    "warning",
    "A resolution in the wrong unit",
    why="area counts megapixels and pixel counts pixels of the shorter edge.",
    fix="Write pixel_area with the edge of a square in pixels.",
    source=f"{_FACTORY}; documentation/DATALOADER.md",
)
def resolution_unit(subject: Subject) -> Iterator[Hit]:
    """Thousands of megapixels, and edges of one pixel."""
    for dataset in pictured(subject):
        size, unit = size_of(subject, dataset, "resolution"), unit_of(subject, dataset)
        if (unit == "area" and size > _LIKELIEST_MP) or (unit == "pixel" and 0 < size <= _LIKELIEST_MP):
            words = "megapixels" if unit == "area" else "pixels"
            yield Hit(key_of(dataset, "resolution"), f"resolution {size:g} with {unit} means {size:g} {words}.")


def _limit(subject: Subject, dataset: Table, key: str) -> tuple[float, str]:
    """A size limit of a dataset as it is compared, and in which unit: those of config.json are not converted."""
    size, unit = size_of(subject, dataset, key), unit_of(subject, dataset)
    if unit == "pixel_area":
        own = as_number(dataset.get(key))
        return (size if own is None else own * own / 1_000_000), "area"
    return size, unit


@rule(
    "minimum-size-unit",
    "error",
    "A smallest size that no picture has",
    why="minimum_image_size counts megapixels unless resolution_type is pixel, and above 5 it is refused; for "
    "pixel_area only a dataset's own one is converted from pixels, not that of config.json.",
    fix="Write minimum_image_size into the dataset, in the unit of its resolution_type, or 0.",
    source=f"{_BUCKETS} meets_resolution_requirements; data_backend/factory.py _handle_resolution_conversion",
)
def minimum_size_unit(subject: Subject) -> Iterator[Hit]:
    """Smallest sizes above 5 megapixels."""
    for dataset in pictured(subject):
        size, unit = _limit(subject, dataset, "minimum_image_size")
        if unit == "area" and size > _LARGEST_MINIMUM_MP:
            yield Hit(key_of(dataset, "minimum_image_size"), f"It means {size:,.4g} megapixels.")


@rule(
    "maximum-without-target",
    "error",
    "A largest size without a size to shrink to",
    why="maximum_image_size is refused without target_downsample_size.",
    fix="Write both, or none.",
    source=f"{_FACTORY} and cmd_args.py, run",
)
def maximum_without_target(subject: Subject) -> Iterator[Hit]:
    """A maximum alone, in config.json or in a dataset."""
    places: list[tuple[str, Mapping[str, object]]] = [(f"{name_of(one)}.", one) for one in pictured(subject)]
    for where, table in [("", subject.config), *places]:
        target = table.get("target_downsample_size") or subject.number("target_downsample_size")
        if table.get("maximum_image_size") and not target:
            yield Hit(f"{where}maximum_image_size", f"It is {table['maximum_image_size']}, without a target.")


@rule(
    "maximum-size-unit",
    "error",
    "A largest size in the wrong unit",
    why="maximum_image_size must be below 20 megapixels with area, and at least 512 with pixel.",
    fix="Write it in the unit of the dataset's resolution_type.",
    source=f"{_FACTORY}, run",
)
def maximum_size_unit(subject: Subject) -> Iterator[Hit]:
    """Largest sizes that the factory refuses."""
    for dataset in pictured(subject):
        size, unit = _limit(subject, dataset, "maximum_image_size")
        if (unit == "area" and size >= _LARGEST_MAXIMUM_MP) or (unit == "pixel" and 0 < size < _SMALLEST_MAXIMUM_PX):
            words = "megapixels" if unit == "area" else "pixels"
            yield Hit(key_of(dataset, "maximum_image_size"), f"It means {size:,.4g} {words}.")


@rule(
    "two-resolutions",
    "warning",
    "A resolution that the dataset overrules",
    why="A dataset's own resolution wins over the one of config.json.",
    fix="Write the resolution once.",
    source=f"{_FACTORY} init_backend_config",
)
def two_resolutions(subject: Subject) -> Iterator[Hit]:
    """A resolution of config.json that none of the datasets has, in the same unit."""
    given = as_number(subject.given("resolution"))
    same = [one for one in pictured(subject) if unit_of(subject, one) == subject.text("resolution_type")]
    sizes = {size_of(subject, one, "resolution") for one in same}
    if given is not None and same == list(pictured(subject)) and sizes and given not in sizes:
        listed = ", ".join(f"{size:g}" for size in sorted(sizes))
        yield Hit("resolution", f"config.json says {given:g}, the datasets say {listed}.")


RULES: Final[tuple[Rule, ...]] = (
    unknown_unit,
    edge_not_whole,
    resolution_unit,
    minimum_size_unit,
    maximum_without_target,
    maximum_size_unit,
    two_resolutions,
)
