"""Every target of the fuzzing, in the order of the way."""

from __future__ import annotations

from typing import Final

from tests.fuzz import of_dataset, of_publishing, of_runs
from tests.fuzz.target import Target

TARGETS: Final[tuple[Target, ...]] = (*of_dataset.TARGETS, *of_runs.TARGETS, *of_publishing.TARGETS)
