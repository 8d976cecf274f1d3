"""A reader to be fuzzed, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.judge import Reader
from tests.fuzz.mutations import Form


@dataclass(frozen=True, slots=True)
class Target:
    """A reader, with what it promises.

    Attributes:
        name: Short, and fit for a file name.
        make: Gives the reader, which may use the empty folder that it is given and puts the input where users do.
        seeds: Good inputs, and some with a history; made by code and never stored.
        allowed: What it may raise, by its documentation.
        form: What an input is.
    """

    name: str
    make: Callable[[Path], Reader]
    seeds: Callable[[], Iterable[bytes]]
    allowed: tuple[type[Exception], ...]
    form: Form = "bytes"


def of_file(name: str, read: Callable[[Path], object]) -> Callable[[Path], Reader]:
    """A reader of a file called ``name``."""

    def make(folder: Path) -> Reader:
        path = folder / name
        path.parent.mkdir(exist_ok=True)

        def take(data: bytes) -> None:
            path.write_bytes(data)
            read(path)

        return take

    return make
