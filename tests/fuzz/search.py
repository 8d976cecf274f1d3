"""The search for crashes in one process: by libFuzzer through atheris where it is installed, else by our own dice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.fuzz import mutations
from tests.fuzz.judge import Crash, Outcome, Reader, tried
from tests.fuzz.target import Target

_LIBFUZZERS_OWN: Final = 0.4
"""Share of the mutations that libFuzzer makes; the rest is ours, which knows JSON."""


@dataclass(slots=True)
class Found:
    """What a search has seen so far.

    Attributes:
        inputs: Tried.
        slowest_s: What the longest input took.
        crashes: One of each place.
        places: Where inputs were refused.
    """

    inputs: int = 0
    slowest_s: float = 0.0
    crashes: dict[str, Crash] = field(default_factory=dict)
    places: set[str] = field(default_factory=set)

    def note(self, outcome: Outcome, took_s: float) -> bool:
        """Count an input; whether it ended where none has before."""
        self.inputs += 1
        self.slowest_s = max(self.slowest_s, took_s)
        if outcome.crash is not None:
            self.crashes.setdefault(outcome.crash.place, outcome.crash)
        is_new = outcome.place not in self.places
        self.places.add(outcome.place)
        return is_new


def by_dice(
    target: Target,
    read: Reader,
    corpus: Sequence[bytes],
    goes_on: Callable[[Found], bool],
    draw: random.Random,
    found: Found | None = None,
) -> tuple[Found, list[bytes]]:
    """Inputs changed at random; those that end where none has before are changed further.

    Args:
        target: What is fuzzed.
        read: Its reader, ready.
        corpus: Where to begin.
        goes_on: Asked after each input.
        draw: Decides.
        found: Where to count; a new one by default.

    Returns:
        What was seen, and the inputs to begin with next time.
    """
    found = Found() if found is None else found
    kept: list[bytes] = []
    tokens = mutations.words(corpus)
    waiting = list(corpus)
    while goes_on(found):
        known = [*corpus, *kept]
        data = waiting.pop() if waiting else mutations.mutated(draw.choice(known), known, tokens, target.form, draw)
        began = time.perf_counter()
        outcome = tried(read, target.allowed, data)
        if found.note(outcome, time.perf_counter() - began) and outcome.crash is None and data not in corpus:
            kept.append(data)
    return found, kept


def by_libfuzzer(
    atheris: Any,
    target: Target,
    read: Reader,
    folders: Sequence[Path],
    seeds: Sequence[bytes],
    goes_on: Callable[[Found], bool],
    end: Callable[[], None],
    found: Found,
) -> None:
    """Inputs changed towards code that none has reached yet; it returns never, but calls ``end``.

    Args:
        atheris: The module.
        target: What is fuzzed.
        read: Its reader, ready; the code below it was imported under atheris.
        folders: Of inputs to begin with; the first gets the new ones.
        seeds: Good inputs.
        goes_on: Asked after each input.
        end: Ends this process.
        found: Where to count.
    """
    tokens = mutations.words(seeds)

    def one(data: bytes) -> None:
        began = time.perf_counter()
        outcome = tried(read, target.allowed, data)
        found.note(outcome, time.perf_counter() - began)
        if not goes_on(found):
            end()

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        draw = random.Random(seed)  # noqa: S311
        if draw.random() < _LIBFUZZERS_OWN:
            return bytes(atheris.Mutate(data, most))
        return mutations.mutated(data, seeds, tokens, target.form, draw)[:most]

    options = [
        "-timeout=0",
        "-rss_limit_mb=0",
        f"-max_len={mutations.MOST_BYTES}",
        "-reduce_inputs=0",
        "-print_final_stats=0",
    ]
    atheris.Setup(["fuzz", *options, *map(str, folders)], one, custom_mutator=mutate)
    atheris.Fuzz()
