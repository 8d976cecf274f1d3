"""``generate``: pictures with what was trained, by diffusers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kanjiprep.cli import completed, options, talk
from kanjiprep.cli.places import PLACE, refuse_empty
from kanjiprep.errors import TrainerError

if TYPE_CHECKING:
    from kanjiprep.publishing.painting.outlook import Outlook
    from kanjiprep.publishing.painting.planned import Plan, Request
    from kanjiprep.publishing.painting.series import Made

_SHOWN = 20


@click.command(
    short_help="Paint pictures with a LoRA or a run's checkpoints.",
    epilog="""\b
Examples:
  kanjiprep generate runs/sd35-large-lora --prompt mountains --seeds 1-4
  kanjiprep generate kanji.safetensors --prompt 'a robot' --style ink --dry-run
  kanjiprep generate sd35-large-lora --like-validation --checkpoint 14400
  kanjiprep generate sd35-large-lora --library creatures --every-checkpoint --with-base""",
)
@click.argument("wanted", metavar="RUN|LORA", shell_complete=completed.trained)
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="What to paint; repeatable.")
@click.option(
    "--library",
    metavar="NAME|FILE",
    shell_complete=completed.library,
    help="Paint the prompts of a library: creatures, or a file.",
)
@click.option("--like-validation", is_flag=True, help="Paint as the run's validation does, the same prompts too.")
@options.STYLE
@options.NEGATIVE
@click.option(
    "--seeds",
    metavar="1,2|1-4",
    help="Seeds of the noise, each for a picture of each prompt.  [default: the run's, else 42]",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="N|best|last",
    shell_complete=completed.checkpoint,
    help="Which checkpoint of RUN; repeatable.  [default: the best if the run is scored, else the last]",
)
@click.option("--every-checkpoint", is_flag=True, help="Paint with all checkpoints of RUN, side by side.")
@click.option("--with-base", is_flag=True, help="Paint with the bare base model too, first.")
@click.option("--out", type=PLACE, metavar="FOLDER", help="Where to write.  [default: pictures/NAME]")
@options.dry_run("load nothing")
@click.option(
    "--size-px", type=click.IntRange(16, 4096), metavar="PX", help="Width and height.  [default: as trained]"
)
@click.option(
    "--steps",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Steps of the sampler.  [default: 40; SD3.5 Medium and SD 1.5: 50]",
)
@click.option(
    "--guidance",
    type=click.FloatRange(0, 100),
    metavar="G",
    help="How strongly to follow the prompt.  [default: 4.5; SD3.5 Medium: 5; SD 1.5: 7.5]",
)
@options.BASE
@options.DEVICE
@options.DTYPE
@options.OFFLOAD
@options.JSON
def generate(dry_run: bool, as_json: bool, **options: Any) -> None:
    """Paint pictures with RUN or LORA into a folder, and all of them on one page.

    RUN is a run folder, or its name in runs/. LORA is a .safetensors file, a folder, or a repository of the Hub
    as REPO_ID[@REV].

    The prompt is put first, so that a long style does not push it out of what the text encoders read. A seed
    gives the same noise on every device. Each picture holds its prompt, seed and settings as text. The same
    command again paints only what is missing.

    Exit code 5 means that the base model cannot be had from the Hub, 6 that a picture could not be painted.
    """
    from kanjiprep.cli.publishing import trained_of
    from kanjiprep.metadata import refuse_in_dataset
    from kanjiprep.publishing.painting import looked, model, outlook, planned, series

    if options["out"] is not None:
        refuse_in_dataset("--out", options["out"])
    request = _request(**{**options, "wanted": trained_of(options["wanted"], as_json)})
    plan = planned.plan(request)
    say: Callable[[str], None] = (lambda line: None) if as_json else talk.say  # noqa: ARG005
    for line in (*(f"warning: {one}" for one in plan.warnings), *(f"note: {one}" for one in plan.notes)):
        say(line)
    found = outlook.outlook(plan, request.ways, os.environ)
    for line in outlook.lines(found):
        say(line)
    if dry_run:
        for error in looked.look(plan).values():
            say(f"warning: {error}")
        _tell_plan(plan, found, as_json)
        return
    model.refuse_without_diffusers()
    with talk.progress(quiet=as_json) as progress:
        made = series.paint(plan, request.ways, model.opened, progress, say)
    _tell_made(plan, made, as_json)


def _request(
    wanted: str,
    checkpoints: tuple[str, ...],
    every_checkpoint: bool,
    with_base: bool,
    base: str | None,
    device: Any,
    dtype: Any,
    offload: Any,
    out: Path | None,
    seeds: str | None,
    **asked: Any,
) -> Request:
    from kanjiprep.paths import expanded
    from kanjiprep.publishing.painting import texts
    from kanjiprep.publishing.painting.devices import Ways
    from kanjiprep.publishing.painting.planned import Request

    for option, given in (("--style", asked["style"]), ("--base", base)):
        refuse_empty(option, given)
    return Request(
        wanted=wanted,
        asked=texts.Asked(seeds=() if seeds is None else texts.seeds(seeds), **asked),
        checkpoints=checkpoints,
        every=every_checkpoint,
        with_base=with_base,
        base=base,
        ways=Ways(device, dtype, offload),
        out=None if out is None else expanded(out),
    )


def _tell_plan(plan: Plan, found: Outlook, as_json: bool) -> None:
    from kanjiprep.publishing.painting import model
    from kanjiprep.publishing.painting.planned import name_of

    names = [name_of(column, one) for column in plan.columns for one in plan.pictures]
    if as_json:
        talk.print_json(_plan_document(plan, found, names))
        return
    for line in model.told(found.placement) if found.placement is not None else ():
        talk.say(line)
    for name, some in found.counts.items():
        prompt = next(one.wish.prompt for one in plan.pictures if one.name == name)
        counted = ", ".join(f"{one.encoder} {'' if one.is_exact else 'at most '}{one.tokens}" for one in some)
        talk.out(f"{name}: {' '.join(prompt.split())} ({counted} tokens)")
    for name in names[:_SHOWN]:
        talk.out(f"  {name}")
    if len(names) > _SHOWN:
        talk.out(f"  and {len(names) - _SHOWN:,} more")
    wish = plan.pictures[0].wish
    settings = f"{wish.size_px} px, {wish.steps} steps, guidance {wish.guidance:g}"
    talk.say(f"would paint {_counted(len(names))} into {talk.short(plan.out)}, {settings}, with {plan.base_name}")


def _plan_document(plan: Plan, found: Outlook, names: list[str]) -> dict[str, Any]:
    return {
        "base": plan.base_name,
        "family": plan.family,
        "out": plan.out,
        "pictures": [
            {"file": name, "step": column.tuned.step if column.tuned else None, "name": one.name, "wish": one.wish}
            for name, (column, one) in zip(
                names, ((column, one) for column in plan.columns for one in plan.pictures), strict=True
            )
        ],
        "tokens": found.counts,
        "placement": found.placement,
        "cpu_s_a_picture": found.cpu_s_a_picture,
        "download_bytes": found.download_bytes,
        "notes": plan.notes,
        "warnings": plan.warnings,
    }


def _tell_made(plan: Plan, made: Made, as_json: bool) -> None:
    if as_json:
        talk.print_json(made)
    else:
        kept = f", {len(made.kept):,} were there already" if made.kept else ""
        talk.say(f"painted: {_counted(len(made.painted))}{kept}")
        if made.painted or made.kept:
            talk.say(f"Look at: {talk.short(made.folder / 'grid.png')}")
        if any(column.tuned is not None and column.tuned.step is not None for column in plan.columns):
            pattern = "--pattern 'step-{step}_{prompt}_seed-{seed}.png'"
            talk.say(f"Next: kanjiprep score {talk.short(made.folder)} {pattern}")
    if made.missing:
        raise _failure(made)


def _failure(made: Made) -> TrainerError:
    """What is said where pictures are missing: the first reason, how many, and what to do about it."""
    more = len(made.failed) - 1
    also = f", and {more:,} other failure{'' if more == 1 else 's'}" if more else ""
    others = "; the others are there" if made.painted or made.kept else ""
    what = f"{made.failed[0]}{also}: {_counted(made.missing)} could not be painted{others}"
    return TrainerError(what, "", made.remedies[0])


def _counted(number: int) -> str:
    return f"{number:,} picture{'' if number == 1 else 's'}"
