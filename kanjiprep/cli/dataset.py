"""``build`` and ``check``: the dataset wing's commands."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kanjiprep.cli import completed, options, talk
from kanjiprep.cli.places import PLACE
from kanjiprep.errors import DatasetError

if TYPE_CHECKING:
    from kanjiprep.dataset.build import Built
    from kanjiprep.dataset.check import Checked

UNFIT = DatasetError.exit_code


@click.command(
    short_help="Build the dataset of pictures and captions.",
    epilog="""\b
Examples:
  kanjiprep build                              all kanji, as in the published dataset
  kanjiprep build small/ --jouyou --size-px 512 --caption meaning
  kanjiprep build mine/ --literals my_kanji.txt --verify 100""",
)
@click.argument("out", type=PLACE, default=Path("dataset"))
@click.option(
    "--caption",
    default="published",
    show_default=True,
    metavar="NAME|FILE",
    shell_complete=completed.caption,
    help="Caption template: published, meaning, components, or a file of your own.",
)
@click.option("--size-px", default=1024, show_default=True, metavar="PX", help="Width and height of each picture.")
@click.option("--margin-px", default=0, show_default=True, metavar="PX", help="White border on every side.")
@click.option(
    "--stroke-width", default=3.0, show_default=True, metavar="W", help="Of a brush in KanjiVG's square of 109 x 109."
)
@click.option("--jouyou", is_flag=True, help="Only the 2,136 Jouyou kanji (grades 1-6 and 8).")
@click.option(
    "--grade", "grades", type=click.IntRange(1, 10), multiple=True, metavar="N", help="Only this grade; repeatable."
)
@click.option(
    "--jlpt",
    type=click.IntRange(1, 4),
    multiple=True,
    metavar="N",
    help="Only this level of the old JLPT; repeatable.",
)
@click.option("--literals", type=PLACE, metavar="FILE", help="Only the kanji in this text file; # begins a comment.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N, in KANJIDIC2's order.")
@click.option(
    "--kanjidic",
    metavar="PATH|URL",
    shell_complete=completed.file,
    help="KANJIDIC2: its XML, plain or gzip.  [default: looked for]",
)
@click.option(
    "--kanjivg",
    metavar="PATH|URL",
    shell_complete=completed.file,
    help="KanjiVG: a folder, zip or wheel of SVGs, or kanjivg.xml(.gz).  [default: looked for]",
)
@click.option("--replace", is_flag=True, help="Replace another build of kanjiprep's in OUT.")
@click.option("--verify", type=click.IntRange(1), metavar="N", help="Compare N pictures with CairoSVG's rendering.")
@options.workers("draw")
@options.JSON
def build(
    out: Path,
    kanjidic: str | None,
    kanjivg: str | None,
    caption: str,
    size_px: int,
    stroke_width: float,
    margin_px: int,
    jouyou: bool,
    grades: tuple[int, ...],
    jlpt: tuple[int, ...],
    literals: Path | None,
    limit: int | None,
    workers: int | None,
    verify: int | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Build a dataset of kanji pictures and captions in OUT (default: dataset/).

    Every kanji with an English meaning in KANJIDIC2 and strokes in KanjiVG becomes a picture and a row
    of metadata.csv. Every other kanji stands in skipped.csv with the reason.

    OUT appears whole or not at all. A build that was stopped goes on where it stopped. A second build of the
    same thing only verifies it.

    The two sources are looked for in KANJIPREP_KANJIDIC and KANJIPREP_KANJIVG, in the cache, in Debian's
    kanjidic-xml and in PyPI's kanjivg. If they are in none of these, they are downloaded.
    """
    from kanjiprep.dataset import build as building
    from kanjiprep.dataset import selection, sources
    from kanjiprep.dataset import workers as pool
    from kanjiprep.dataset.raster import Style

    count = workers or pool.available()
    request = building.BuildRequest(
        out=out,
        kanjidic=kanjidic,
        kanjivg=kanjivg,
        caption=caption,
        style=Style(size_px, stroke_width, margin_px),
        selection=selection.Selection(
            selection.grades(grades, jouyou),
            tuple(sorted(set(jlpt))),
            selection.read_literals(literals) if literals else "",
            limit,
        ),
        workers=count,
        replace=replace,
    )
    with talk.progress(quiet=as_json) as progress:
        built = building.build(request, building.Place(os.environ, sources.cache_folder()), progress)
        verified = building.verify(built, verify, count, progress) if verify else 0
    if as_json:
        talk.print_json({**_facts(built), "verified_against_cairosvg": verified})
    else:
        _tell(built, verified)


def _facts(built: Built) -> dict[str, object]:
    return {
        "folder": built.folder,
        "status": "verified" if built.was_there else "built",
        "resumed": built.resumed,
        "found": {"kanjidic": built.kanjidic.path, "kanjivg": built.kanjivg.path},
        "certificate": built.certificate,
    }


def _tell(built: Built, verified: int) -> None:
    counts = built.certificate.counts
    if counts is not None:
        what = "verified, nothing changed" if built.was_there else "built"
        resumed = f" ({built.resumed:,} of them before it was stopped)" if built.resumed else ""
        megabytes = counts.picture_bytes / 1e6
        talk.say(f"{what}: {counts.samples:,} pictures{resumed}, {megabytes:.1f} MB, in {built.folder}")
        talk.say(f"left out: {counts.skipped:,}, each with its reason in skipped.csv")
    for source, found in zip(built.certificate.sources.values(), (built.kanjidic, built.kanjivg), strict=True):
        talk.say(f"{source.name} {source.version or source.date or 'of unknown version'}: {found.how}, {found.path}")
    if verified:
        talk.say(f"compared with CairoSVG: {verified:,} pictures, every pixel equal")
    talk.say(f"digest: {built.certificate.digest}")
    talk.say(f"Next: kanjiprep check {talk.short(built.folder)}")


@click.command(
    short_help="Say whether a dataset is fit to train on.",
    epilog="""\b
Examples:
  kanjiprep check
  kanjiprep check small/ --sheet look.png""",
)
@click.argument("dataset", type=PLACE, default=Path("dataset"))
@click.option("--sheet", type=PLACE, metavar="FILE", help="The contact sheet.  [default: DATASET-sheet.png]")
@options.workers("look")
@options.JSON
def check(dataset: Path, sheet: Path | None, workers: int | None, as_json: bool) -> int:
    """Say whether DATASET (default: dataset/) is fit to train on.

    Every picture, row and caption is looked at. Each problem is named with its remedy. A contact sheet shows
    the pictures, those with problems first.

    Exit code 4 means that the dataset is not fit to train on.
    """
    from kanjiprep.dataset import check as checking
    from kanjiprep.dataset import workers as pool

    with talk.progress(quiet=as_json) as progress:
        checked = checking.check(dataset, sheet, workers or pool.available(), progress)
    if as_json:
        talk.print_json({"fit": checked.is_fit, **dataclasses.asdict(checked)})
    else:
        _report(checked, dataset)
    return 0 if checked.is_fit else UNFIT


def _report(checked: Checked, dataset: Path) -> None:
    numbers = checked.statistics
    for problem in checked.problems:
        shown = ", ".join(map(str, problem.items[:3])) + (", ..." if len(problem.items) > 3 else "")  # noqa: PLR2004
        talk.say(f"{problem.severity}: {problem.what}: {len(problem.items):,} ({shown}); {problem.remedy}")
    talk.say(f"{numbers.samples:,} samples, {numbers.picture_bytes / 1e6:.1f} MB")
    for name, spread, how in (
        ("ink share", numbers.ink, "measured"),
        ("caption length", numbers.caption_characters, "characters"),
        ("CLIP tokens", numbers.clip_tokens, numbers.clip_counted),
        ("T5 tokens", numbers.t5_tokens, numbers.t5_counted),
    ):
        talk.say(f"{name}: {spread.least:.4g} to {spread.most:.4g}, median {spread.median:.4g} ({how})")
    talk.say(f"contact sheet: {checked.sheet}")
    talk.say(f"{dataset} is fit to train on" if checked.is_fit else f"{dataset} is not fit to train on")
    if checked.is_fit:
        there = talk.short(dataset)
        talk.say(f"Next: kanjiprep plan sd35-large-lora --dataset {there}, or kanjiprep push {there} NAMESPACE/NAME")
