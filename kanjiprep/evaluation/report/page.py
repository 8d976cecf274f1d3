"""The page of judged runs: one HTML file that loads nothing and opens anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.compare import Comparison
from kanjiprep.evaluation.judged import JudgedRun
from kanjiprep.evaluation.kinds import standing_for
from kanjiprep.evaluation.report import curves, gallery, sides, thumbs, words
from kanjiprep.evaluation.report.curves import Figure
from kanjiprep.evaluation.report.gallery import Card, Strip
from kanjiprep.evaluation.report.private import private
from kanjiprep.evaluation.report.sides import Spent
from kanjiprep.evaluation.report.table import Table, table
from kanjiprep.evaluation.report.told import Told, headline, told
from kanjiprep.progress import Progress
from kanjiprep.resources import html_environment, shipped

_TEMPLATE: Final = "report.html.j2"
_STYLE: Final = "report.css"
_SCRIPT: Final = "report.js"


@dataclass(frozen=True, slots=True)
class _Part:
    """What the page shows of one run.

    Attributes:
        run: As it was judged.
        told: The verdict in sentences.
        chosen: Pictures of the chosen checkpoint, each with the name of its prompt.
        spent: Time and money.
        figure: The curves; None without any.
        strips: Pictures by prompt.
        table: Of the checkpoints.
        shown: Which checkpoint stands for the run, in words.
    """

    run: JudgedRun
    told: Told
    chosen: tuple[tuple[str, Card], ...]
    spent: Spent
    figure: Figure | None
    strips: tuple[Strip, ...]
    table: Table
    shown: str


def page(runs: Sequence[JudgedRun], comparison: Comparison | None, progress: Progress) -> bytes:
    """The page of ``runs``, in their order.

    Args:
        runs: One or several.
        comparison: Which of them is best; None of one.
        progress: Hears how far the pictures are.

    Raises:
        KanjiprepError: If a picture cannot be read.
    """
    clean = [private(run) for run in runs]
    shown = thumbs.embedded(gallery.order(clean), progress)
    of = gallery.cards(clean, shown)
    last = curves.last_step(clean)
    differ, same = sides.settings(clean)
    return _rendered(
        title=f"kanjiprep report: {words.listed([run.name for run in clean])}",
        headline=headline(comparison),
        comparison=comparison,
        parts=[_part(run, some, last) for run, some in zip(clean, of, strict=True)],
        grid=gallery.grid(clean, of),
        figures=sides.figures(clean),
        differ=differ,
        same=same,
        enlarged=sum(bool(one.large) for one in shown.values()),
        pictures=len(shown),
    )


def _part(run: JudgedRun, of: Mapping[Cell, Card], last: int) -> _Part:
    return _Part(
        run=run,
        told=told(run),
        chosen=gallery.chosen(run, of),
        spent=sides.spent(run),
        figure=curves.figure(run, last),
        strips=gallery.strips(run, of),
        table=table(run),
        shown=standing_for(run)[1],
    )


def _rendered(**values: object) -> bytes:
    folder = shipped("templates")
    style, script = ((folder / name).read_text("utf-8") for name in (_STYLE, _SCRIPT))
    template = html_environment().from_string((folder / _TEMPLATE).read_text("utf-8"))
    text = template.render(
        **values,
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        policy=_policy(style, script),
        chart={"width": curves.WIDTH, "left": curves.LEFT, "right": curves.RIGHT},
        ja=words.japanese,
        score=words.score,
        sentence=words.sentence,
        thumb_px=thumbs.THUMB_PX,
        large_px=thumbs.LARGE_PX,
    )
    return text.encode("utf-8", "replace")


def _policy(style: str, script: str) -> str:
    """That nothing is loaded, and nothing runs but ``script``, whatever the page holds."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
