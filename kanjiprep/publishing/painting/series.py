"""Pictures of checkpoints, painted into a folder; what is there already is not painted again."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kanjiprep.errors import KanjiprepError, TrainerError, UsageError, os_reason
from kanjiprep.progress import Progress
from kanjiprep.publishing.painting import arranged, looked, origins, painted, sheet
from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting.base import Base
from kanjiprep.publishing.painting.devices import Ways
from kanjiprep.publishing.painting.painted import Origin
from kanjiprep.publishing.painting.planned import Column, Plan, name_of
from kanjiprep.publishing.painting.texts import Named
from kanjiprep.publishing.painting.wish import Painter, Unpainted
from kanjiprep.publishing.tuned import Tuned

if TYPE_CHECKING:
    from kanjiprep.evaluation.strips.labels import Labels

Say = Callable[[str], None]
Opening = Callable[[Tuned | None, str, Ways, Say], AbstractContextManager[Painter]]


@dataclass(frozen=True, slots=True)
class Made:
    """What was painted.

    Attributes:
        folder: With the pictures.
        painted: Names of files that are new.
        kept: Names of files that were there.
        failed: What could not be painted, a sentence each.
        remedies: What to do about each of them; empty where nothing is known.
        missing: How many pictures are not there for that.
        blank: Names of files that are of one colour.
    """

    folder: Path
    painted: tuple[str, ...]
    kept: tuple[str, ...]
    failed: tuple[str, ...]
    remedies: tuple[str, ...]
    missing: int
    blank: tuple[str, ...]


def paint(plan: Plan, ways: Ways, opened: Opening, progress: Progress, say: Say) -> Made:
    """Paint what is missing of ``plan``, and the page of all.

    Args:
        plan: What to paint.
        ways: How the model is loaded.
        opened: Loads it.
        progress: Hears of pictures, and of steps within one.
        say: Hears notes and warnings.

    Raises:
        UsageError: If the machine has no such device or too little memory, or a file of others is in the way.
        HubError: If the base model has to be fetched and cannot be.
        TrainerError: If no LoRA can be used, a model cannot be loaded, or a file cannot be read or written.
    """
    unfit = looked.look(plan)
    base = plan.base or bases.fetch(plan.base_name)
    series = _Series(plan, base, progress, say)
    todo = series.todo()
    if todo:
        _make(plan.out)
        adapters = [one.tuned.path.stat().st_size for one, _ in todo if one.tuned and one.tuned.kind == "lora"]
        loading = dataclasses.replace(ways, family=base.family, adapter_bytes=max(adapters, default=0))
        series.leave_out(todo, unfit)
        first = todo[0][0].tuned
        with opened(
            first if first is not None and first.kind == "full" else None, plan.base_name, loading, say
        ) as model:
            for column, pictures in todo:
                series.paint(model, column, pictures)
    return series.finished()


class _Series:
    """Pictures that come one after the other, and what became of each."""

    def __init__(self, plan: Plan, base: Base, progress: Progress, say: Say) -> None:
        self._plan = plan
        self._base = base
        self._progress = progress
        self._say = say
        self._origins: dict[str, Origin] = {}
        self._painted: list[str] = []
        self._kept: list[str] = []
        self._failed: list[KanjiprepError] = []
        self._blank: list[str] = []
        self._missing = 0
        self._total = 0

    def todo(self) -> list[tuple[Column, list[Named]]]:
        """What is not there yet, by column."""
        sheet.refuse_other(self._plan.out)
        found = [(column, list(self._missing_of(column))) for column in self._plan.columns]
        self._total = sum(len(pictures) for _, pictures in found)
        return [one for one in found if one[1]]

    def _missing_of(self, column: Column) -> Iterator[Named]:
        for picture in self._plan.pictures:
            name = name_of(column, picture)
            if os.path.lexists(self._plan.out / name):
                self._keep(column, picture, name)
            else:
                yield picture

    def _keep(self, column: Column, picture: Named, name: str) -> None:
        path = self._plan.out / name
        if not painted.is_same(path, painted.identity(picture.wish, self._origin(column))):
            what = "is in the way: it is no picture of this model with these words and settings"
            raise UsageError(what, str(path), "give another folder with --out, or move it away")
        self._kept.append(name)

    def _origin(self, column: Column) -> Origin:
        if column.stem not in self._origins:
            self._origins[column.stem] = origins.origin(self._base, column.tuned)
        return self._origins[column.stem]

    def paint(self, model: Painter, column: Column, pictures: Sequence[Named]) -> None:
        """Paint a column; what fails for its checkpoint alone is noted."""
        try:
            model.take(column.tuned)
        except TrainerError as error:
            self._fail(column, error, len(pictures))
            return
        for picture in pictures:
            done = len(self._painted) + self._missing
            self._progress("pictures", done, self._total)
            try:
                self._paint_one(model, column, picture)
            except Unpainted as error:
                self._fail(column, error, 1)
        self._progress("pictures", len(self._painted) + self._missing, self._total)

    def _paint_one(self, model: Painter, column: Column, picture: Named) -> None:
        def stepped(done: int, total: int) -> None:
            if done < total:
                self._progress("steps of this picture", done, total)

        made = model.paint(picture.wish, stepped)
        name = name_of(column, picture)
        data = painted.encoded(made, picture.wish, self._origin(column), origins.made_with())
        painted.write(self._plan.out / name, data)
        self._painted.append(name)
        if made.convert("RGB").getcolors(1):
            self._blank.append(name)
            self._say(f"warning: {name} is of one colour; other settings or another checkpoint may do better")

    def leave_out(self, todo: list[tuple[Column, list[Named]]], unfit: Mapping[Path, TrainerError]) -> None:
        """Take out of ``todo`` what cannot be used, and note it."""
        for one in list(todo):
            column, pictures = one
            if column.tuned is not None and column.tuned.path in unfit:
                todo.remove(one)
                self._fail(column, unfit[column.tuned.path], len(pictures))

    def _fail(self, column: Column, error: TrainerError, count: int) -> None:
        told = _told(column, error)
        self._failed.append(told)
        self._missing += count
        self._say(f"warning: {told}")

    def _tell_others(self, names: Collection[str]) -> None:
        others = {one.name for one in self._plan.out.glob("*_seed-*.png")} - set(names)
        if others:
            what = f"{len(others):,} older picture{'' if len(others) == 1 else 's'}"
            self._say(f"note: {sheet.NAME}.png shows the pictures of this command alone; {what} stay in the folder")

    def finished(self) -> Made:
        """The page written, and what became of all."""
        plan = self._plan
        names = {*self._painted, *self._kept}
        if names:
            note = f"Painted with {self._base.shown} by kanjiprep."
            self._tell_others(names)
            sheet.write(plan.out, arranged.title(plan), note, arranged.rows(plan, names), _labels())
        return Made(
            plan.out,
            tuple(self._painted),
            tuple(self._kept),
            tuple(str(KanjiprepError(one.what, one.where)) for one in self._failed),
            tuple(one.remedy for one in self._failed),
            self._missing,
            tuple(self._blank),
        )


def _told(column: Column, error: TrainerError) -> KanjiprepError:
    """``error`` of a column, which names the column once."""
    tuned = column.tuned
    names = {"", column.title} | ({tuned.name, str(tuned.path)} if tuned is not None else set())
    what = error.what if error.where in names else f"{error.where}: {error.what}"
    return KanjiprepError(what, column.title, error.remedy)


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot be made: {os_reason(error)}", str(out), "give --out another folder") from error


def _labels() -> Labels:
    from kanjiprep.dataset import sources
    from kanjiprep.evaluation.strips import labels

    return labels.found(os.environ, sources.cache_folder())
