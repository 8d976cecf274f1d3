"""How the pictures of a series stand on its page."""

from __future__ import annotations

from collections.abc import Collection

from kanjiprep.publishing.painting.planned import Column, Plan, name_of
from kanjiprep.publishing.painting.sheet import Row, Shown
from kanjiprep.publishing.painting.texts import Named


def rows(plan: Plan, there: Collection[str]) -> tuple[Row, ...]:
    """The page's rows: seeds side by side if one model paints, else models side by side.

    Args:
        plan: What was to be painted.
        there: Names of the files that are there.
    """
    if len(plan.columns) == 1:
        by_name: dict[str, list[Named]] = {}
        for picture in plan.pictures:
            by_name.setdefault(picture.name, []).append(picture)
        return tuple(
            Row(name, some[0].wish.prompt, "", tuple(_shown(plan.columns[0], one, there, True) for one in some))
            for name, some in by_name.items()
        )
    several = len({one.wish.seed for one in plan.pictures}) > 1
    return tuple(
        Row(
            one.name,
            one.wish.prompt,
            f"seed {one.wish.seed}" if several else "",
            tuple(_shown(column, one, there, False) for column in plan.columns),
        )
        for one in plan.pictures
    )


def _shown(column: Column, picture: Named, there: Collection[str], by_seed: bool) -> Shown:
    wish, name = picture.wish, name_of(column, picture)
    label = f"seed {wish.seed}" if by_seed else column.title
    step = column.tuned.step if column.tuned is not None else None
    return Shown(label, name, picture.name, wish.prompt, wish.seed, step, name in there)


def title(plan: Plan) -> str:
    """What stands above the page."""
    found = next((column for column in plan.columns if column.tuned is not None), plan.columns[0])
    name = found.tuned.name if found.tuned is not None else found.title
    is_one = len(plan.columns) == 1 and found.tuned is not None and found.tuned.step is not None
    return f"{name}, {found.title}" if is_one else name
