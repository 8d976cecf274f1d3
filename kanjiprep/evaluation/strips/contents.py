"""What a strip or grid shows: pictures of runs with what was judged of them, still without a place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kanjiprep.evaluation.choose import Flag
from kanjiprep.evaluation.judged import JudgedRun, JudgedStep, PictureScore
from kanjiprep.evaluation.kinds import Kind, kinds
from kanjiprep.privacy import inside

Mark = Literal["chosen", "tied", "dropped", "exploded", "not saved", ""]
BASE: Final = -1
"""Stands for the base model where a step is asked for."""
MOST_ROWS: Final = 48
"""Rows of pictures; what has more shows the first ones and says so."""
MOST_CELLS: Final = 2400
"""Pictures; a run with more shows checkpoints evenly spread and says so."""
_FEWEST_STEPS: Final = 8

Row = tuple[str, int]
"""A prompt's short name, and the number of the picture among those of this prompt and step."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture with what is said of it.

    Attributes:
        run: Name of the run.
        step: Of the run; 0 for the base model; None if the run has nothing to show.
        is_base: Whether the base model painted it.
        prompt: Short name.
        text: The whole prompt.
        seed: Number of the picture among those of this prompt and step, from 0.
        picture: As judged; None where there is none.
        file: Inside the run folder; only the name of a file that is elsewhere; empty where there is none.
        flags: Of its checkpoint.
        is_chosen: Whether its checkpoint is the chosen one.
        is_tied: Whether its checkpoint may be the best.
        mark: What is to be seen first.
    """

    run: str
    step: int | None
    is_base: bool
    prompt: str
    text: str
    seed: int
    picture: PictureScore | None
    file: str
    flags: tuple[Flag, ...]
    is_chosen: bool
    is_tied: bool
    mark: Mark


@dataclass(frozen=True, slots=True)
class Pictures:
    """What a run has to show.

    Attributes:
        run: As judged.
        by_place: Its pictures by row and step, the base model's at ``BASE``.
        by_step: What was judged of each step.
        kinds: Of each step.
    """

    run: JudgedRun
    by_place: Mapping[tuple[Row, int], PictureScore]
    by_step: Mapping[int, JudgedStep]
    kinds: Mapping[int, Kind]

    @property
    def has_base(self) -> bool:
        """Whether there is a picture of the base model."""
        return any(step == BASE for _, step in self.by_place)

    @property
    def steps(self) -> tuple[int, ...]:
        """Every checkpoint and every step with pictures, ascending."""
        return tuple(self.by_step)

    def shown(self, row: Row, step: int) -> Shown:
        """The picture at this place, or an empty one."""
        run, picture, judged = self.run, self.by_place.get((row, step)), self.by_step.get(step)
        return Shown(
            run=run.name,
            step=max(step, 0),
            is_base=step == BASE,
            prompt=row[0],
            text=run.prompts.get(row[0], row[0]),
            seed=row[1],
            picture=picture,
            file=inside(picture.cell.path, run.folder) if picture else "",
            flags=judged.flags if judged else (),
            is_chosen=step == run.verdict.step,
            is_tied=step in run.verdict.tied,
            mark=_mark(judged, self.kinds[step], picture) if judged else "",
        )


def pictures(run: JudgedRun) -> Pictures:
    """The pictures of ``run`` by their place."""
    found: dict[tuple[Row, int], PictureScore] = {}
    for one in run.pictures:
        cell = one.cell
        found.setdefault(((cell.prompt, cell.seed), BASE if cell.is_base else cell.step), one)
    return Pictures(run, found, {one.step: one for one in run.steps}, kinds(run))


def rows(runs: Iterable[Pictures]) -> tuple[Row, ...]:
    """The rows that all pictures of ``runs`` need, in the order of the prompts."""
    found: set[Row] = set()
    order: dict[str, int] = {}
    for one in runs:
        for name in (*one.run.prompts, *(row[0] for row, _ in one.by_place)):
            order.setdefault(name, len(order))
        found |= {row for row, _ in one.by_place}
    return tuple(sorted(found, key=lambda row: (order[row[0]], row[1])))


def spread(steps: Sequence[int], wanted: Sequence[int], rows_count: int) -> tuple[int, ...]:
    """As many of ``steps`` as there is room for with so many rows: evenly spread, ``wanted`` ones among them."""
    room = max(_FEWEST_STEPS, MOST_CELLS // max(1, rows_count)) - 1
    if len(steps) <= room:
        return tuple(steps)
    kept = set([step for step in wanted if step in steps][: room // 2]) | {steps[0], steps[-1]}
    rest = [step for step in steps if step not in kept]
    more = room - len(kept)
    return tuple(sorted(kept | {rest[index * len(rest) // more] for index in range(more)}))


def _mark(judged: JudgedStep, kind: Kind, picture: PictureScore | None) -> Mark:
    if picture is not None and picture.fault:
        return "exploded"
    if kind in ("chosen", "tied", "dropped"):
        return kind
    return "" if judged.has_weights else "not saved"
