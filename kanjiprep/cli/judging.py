"""``score`` and ``report``: the checkpoints of runs, judged and shown."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kanjiprep.cli import completed, options, talk, there
from kanjiprep.cli.places import PLACE
from kanjiprep.errors import UsageError

if TYPE_CHECKING:
    from kanjiprep.evaluation.judging import Ways
    from kanjiprep.evaluation.scoring import Scored

_WEIGHTS = click.option(
    "--weights",
    type=click.Choice(["off", "some", "all"]),
    default="some",
    show_default=True,
    help="How many modules of each LoRA to look at for explosions.",
)

_PATTERN = "Names of the pictures in FOLDER, with {step}, {prompt}, {seed}, *.  [default: the trainer's]"


@click.command(
    short_help="Judge every checkpoint, name the best, or say that it cannot tell.",
    epilog="""\b
Examples:
  kanjiprep score runs/sd35-large-lora
  kanjiprep score sd35-large-lora --weights all --json
  kanjiprep score pictures/ --pattern 'checkpoint-{step}/{prompt}.png'
  kanjiprep score strip.png --columns 12 --steps 1200,2400,3600,4800,6000,7200,8400,9600,10800,12000,13200,14400
  kanjiprep score --train-judge --dataset dataset/
  kanjiprep score --selfcheck --dataset dataset/""",
)
@click.argument("pictures", metavar="[RUN|FOLDER|STRIP]", required=False, shell_complete=completed.trained)
@options.TRAINED_ON
@_WEIGHTS
@click.option("--pattern", metavar="PATTERN", help=_PATTERN)
@click.option("--columns", type=click.IntRange(1, 1000), metavar="N", help="STRIP has N pictures side by side.")
@click.option(
    "--rows", type=click.IntRange(1, 1000), metavar="N", help="STRIP has N pictures one below another.  [default: 1]"
)
@click.option("--steps", metavar="N,N,...", help="Steps of the columns of STRIP.  [default: 1,2,3,...]")
@options.size_px(16, "Judge only pictures of this width.")
@click.option("--trained", is_flag=True, help="Refuse to judge without the trained judge.")
@click.option("--train-judge", is_flag=True, help="Train the judge on --dataset, and judge nothing.")
@click.option("--selfcheck", is_flag=True, help="Prove the judge on damaged pictures of --dataset.")
@options.JSON
def score(
    pictures: str | None,
    dataset: str | None,
    weights: Any,
    pattern: str | None,
    columns: int | None,
    rows: int | None,
    steps: str | None,
    size_px: int | None,
    trained: bool,
    train_judge: bool,
    selfcheck: bool,
    as_json: bool,
) -> None:
    """Judge the validation pictures of every checkpoint of RUN, and choose one.

    RUN is a run folder, or its name in runs/. Each picture is measured: whether it is ink on paper as in
    training, and whether it is built of strokes. Checkpoints whose pictures, gradient or weights have exploded
    are dropped. Of the rest, the earliest is chosen that may be the best, by the interval of its score. If the
    scores do not tell them apart, that is said instead. RUN/report/scores.csv and scores.json keep it all.

    FOLDER is any folder of pictures, judged by the names in it. STRIP is one picture of several, judged by
    --columns. Nothing is written for these.

    Exit code 3 means that there are no pictures to judge, or that one cannot be read.
    """
    ways = _ways(dataset, weights, trained, size_px, as_json)
    if train_judge or selfcheck:
        _refuse_both(train_judge and selfcheck, pictures)
        (_train if train_judge else _check)(ways, as_json)
        return
    if pictures is None:
        raise UsageError("nothing to judge", "RUN", "give a run, a folder of pictures or a strip; see --help")
    from kanjiprep.evaluation import scoring

    source = scoring.Source(pictures, pattern, columns, rows or 1, _steps(steps))
    there.bring(pictures, as_json)
    _refuse_idle("a strip, with --columns", columns is None, {"--rows": rows, "--steps": steps})
    _refuse_idle("a run or a folder", columns is not None, {"--size-px": size_px})
    with talk.progress(quiet=as_json) as progress:
        scored = scoring.score(source, ways, progress)
    _tell(scored, as_json)


def _ways(dataset: str | None, weights: Any, trained: bool, size_px: int | None, quiet: bool) -> Ways:
    # Matrices are small here, and threads that wait for each other cost many times what they save.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import platformdirs

    from kanjiprep.cli.publishing import folder_of
    from kanjiprep.evaluation.judge import store
    from kanjiprep.evaluation.judging import Ways

    folder = None if dataset is None else folder_of(dataset, quiet)
    bands = platformdirs.user_cache_path("kanjiprep") / "bands"
    return Ways(folder, weights, trained, bands, store.default_folder(), size_px)


def _steps(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = [part.strip().replace("_", "") for part in text.split(",")]
    if not all(part.isdecimal() and part.isascii() and len(part) < _LONG for part in parts):
        raise UsageError(f"{text!r:.60} is no list of steps", "--steps", "give whole numbers with commas between")
    return tuple(map(int, parts))


_LONG = 10


def _refuse_idle(only_for: str, is_idle: bool, options: Mapping[str, object]) -> None:
    """Options that would be without effect."""
    given = [name for name, value in options.items() if value is not None]
    if is_idle and given:
        raise UsageError(f"is only for {only_for}", given[0], "leave it out here")


def _refuse_both(both: bool, pictures: str | None) -> None:
    if both:
        raise UsageError("--train-judge and --selfcheck are two things", remedy="do one after the other")
    if pictures is not None:
        raise UsageError(f"{pictures!r:.60} is not needed here", remedy="give --dataset alone")


def _train(ways: Ways, as_json: bool) -> None:
    from kanjiprep.evaluation import training_judge

    with talk.progress(quiet=as_json) as progress:
        trained = training_judge.train(ways, dict(os.environ), progress)
    if as_json:
        talk.print_json(training_judge.document(trained))
        return
    for line in training_judge.lines(trained):
        talk.out(line)
    talk.say("Next: kanjiprep score RUN")


def _check(ways: Ways, as_json: bool) -> None:
    from kanjiprep.evaluation.proof import selfcheck

    with talk.progress(quiet=as_json) as progress:
        found = selfcheck.run(ways, dict(os.environ), progress)
    if as_json:
        talk.print_json(found)
    else:
        for line in selfcheck.lines(found):
            talk.out(line)
    selfcheck.refuse_worse(found)


def _tell(scored: Scored, as_json: bool) -> None:
    from kanjiprep.evaluation import score_text, scoring

    judged = scored.judged
    if as_json:
        talk.print_json(scoring.document(judged))
        return
    for warning in judged.warnings:
        talk.say(f"warning: {warning}")
    for line in score_text.lines(judged):
        talk.out(line)
    if scored.written:
        talk.say(f"written: {', '.join(talk.short(path) for path in scored.written)}")
        talk.say(f"Next: kanjiprep report {talk.short(judged.folder)}")


@click.command(
    short_help="Show runs in one page: verdict, curves, strips, grid.",
    epilog="""\b
Examples:
  kanjiprep report runs/sd35-large-lora
  kanjiprep report sd35-large-lora-lr1.05e-3 sd35-large-lora-lr9.5e-4 --out compared/""",
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=completed.run)
@options.TRAINED_ON
@_WEIGHTS
@options.size_px(16, "Judge only pictures of this width.")
@click.option(
    "--out", type=PLACE, metavar="FOLDER", help="Where to write.  [default: RUN/report; report of several runs]"
)
@options.JSON
def report(
    runs: Sequence[str], dataset: str | None, weights: Any, size_px: int | None, out: Path | None, as_json: bool
) -> None:
    """Show RUN, or several side by side, in one HTML file that opens anywhere and loads nothing.

    RUN is a run folder, or its name in runs/. Every run is judged as by kanjiprep score.

    The page has the verdict first, then money and time. Then come the curves of loss, gradient and learning rate
    with their explosions, a strip for every prompt, the grid of prompts by runs, the settings that differ, and
    where each number comes from. strip.png and grid.png are written beside it, each with a JSON document of what
    is where.
    """
    from kanjiprep.evaluation import reporting
    from kanjiprep.metadata import refuse_in_dataset

    if out is not None:
        refuse_in_dataset("--out", out)
    ways = _ways(dataset, weights, False, size_px, as_json)
    for one in runs:
        there.bring(one, as_json)
    with talk.progress(quiet=as_json) as progress:
        made = reporting.report(list(runs), ways, out, progress)
    if as_json:
        talk.print_json(reporting.document(made))
        return
    for line in reporting.lines(made):
        talk.out(line)
    talk.say(f"Open it: {talk.short(made.page)}")
