"""``lora``: a LoRA file looked at, mended, made smaller or added up."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kanjiprep.cli import completed, options, talk
from kanjiprep.cli.places import PLACE
from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.metadata import refuse_in_dataset

if TYPE_CHECKING:
    from kanjiprep.publishing.doctor.copies import Copied, Order
    from kanjiprep.publishing.doctor.examined import Examined
    from kanjiprep.publishing.doctor.readers import Reading
    from kanjiprep.publishing.tuned import Tuned

_SHOWN = 8
_WIDTH = 12
_OUT = """Where to write the copy.  [default: NAME-fixed.safetensors and the like, beside FILE; of a run or a folder,
here]"""


@click.command(
    short_help="Look at a LoRA file, mend it, make it smaller, add up several.",
    epilog="""\b
Examples:
  kanjiprep lora kanji.safetensors
  kanjiprep lora runs/sd35-large-lora --checkpoint 14400 --deep
  kanjiprep lora kanji.safetensors --fix --dtype bf16
  kanjiprep lora kanji.safetensors --resize 64
  kanjiprep lora kanji.safetensors --resize auto:0.99 --out small.safetensors
  kanjiprep lora --merge a.safetensors b.safetensors --weights 0.7,0.3 --resize 768""",
)
@click.argument("files", metavar="RUN|LORA...", nargs=-1, required=True, shell_complete=completed.trained)
@click.option("--checkpoint", metavar="N|best|last", shell_complete=completed.checkpoint, help=options.OF_RUN)
@click.option("--deep", is_flag=True, help="Read every number: which are not finite, which are zero, how large.")
@click.option("--fix", is_flag=True, help="Write a copy that diffusers and ComfyUI both apply as it was trained.")
@click.option("--resize", metavar="R|auto:SHARE", help="Write a copy of rank R, or of the least rank to keep SHARE.")
@click.option("--merge", is_flag=True, help="Add up several LoRAs, each by its weight.")
@click.option("--weights", metavar="W,W,...", help="Weights of --merge, one for each LoRA.  [default: equal shares]")
@click.option(
    "--alpha",
    type=float,
    metavar="A",
    help="The alpha of a LoRA that does not say it.  [default: as its run was told]",
)
@click.option(
    "--dtype",
    type=click.Choice(["bf16", "fp16", "fp32"]),
    help="Type of the copy's numbers.  [default: that of the LoRA]",
)
@click.option("--out", type=PLACE, metavar="FILE", help=_OUT)
@options.JSON
def lora(
    files: tuple[str, ...],
    checkpoint: str | None,
    deep: bool,
    fix: bool,
    resize: str | None,
    merge: bool,
    weights: str | None,
    alpha: float | None,
    dtype: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Say what a LoRA is, whether diffusers and ComfyUI read it, and what is wrong with it.

    RUN is a run folder, or its name in runs/. LORA is a .safetensors file, a folder, or a repository of the Hub
    as REPO_ID[@REV].

    Only the header is read, unless --deep is given. Nothing is changed in place. --fix, --resize and --merge write
    a copy, with the names that both programs read and with alpha as large as the rank.

    --resize takes the nearest product of rank R for every module, and says how far it is, as a share of the norm.
    auto:0.99 takes the smallest rank, the same for all modules, that keeps 99 % of the sum of squares of all
    singular values.

    --merge adds up what the LoRAs add to the model, exactly. The rank of the sum is the sum of the ranks, and
    --resize makes it smaller.

    Exit code 6 means that the LoRA is unfit: it is no LoRA, is broken, or does nothing. One that only needs
    mending is not unfit.
    """
    # Threads that wait for each other cost more than they save where other work keeps the cores busy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _refuse(files, fix, resize, merge, {"--weights": weights, "--dtype": dtype, "--out": out, "--alpha": alpha})
    _refuse_alpha(alpha)
    if out is not None:
        refuse_in_dataset("--out", out)
    found = [_find(file, checkpoint, as_json) for file in files]
    if fix or resize is not None or merge:
        if deep:
            raise UsageError("is only for looking", "--deep", "leave it out here, every number of a copy is read")
        order = _order(out, resize, weights, alpha, dtype)
        _copy(found, order, merge, as_json)
    else:
        _look(found[0], deep, as_json)


def _refuse(
    files: tuple[str, ...], fix: bool, resize: str | None, merge: bool, options: Mapping[str, object]
) -> None:
    """Options that would be without effect."""
    if len(files) > 1 and not merge:
        raise UsageError(f"{len(files)} files are given", "FILE", "give one, or --merge to add them up")
    if options["--weights"] is not None and not merge:
        raise UsageError("is only for --merge", "--weights", "leave it out here")
    idle = [name for name, value in options.items() if value is not None]
    if idle and not (fix or merge or resize is not None):
        raise UsageError("is only for a copy", idle[0], "add --fix, --resize or --merge, or leave it out")


def _find(file: str, checkpoint: str | None, quiet: bool) -> Tuned:
    from kanjiprep.cli.publishing import trained_of
    from kanjiprep.publishing import tuned

    found = tuned.find(trained_of(file, quiet), checkpoint)
    if found.kind != "lora":
        raise UsageError("is a whole model and no LoRA", file, "name a LoRA file or a run that trains one")
    return found


def _refuse_alpha(given: float | None) -> None:
    if given is not None and not 0 < given < float("inf"):
        raise UsageError(f"{given:g} is no number above 0", "--alpha", "give the one that it was trained with")


def _order(
    out: Path | None, resize: str | None, weights: str | None, alpha: float | None, dtype: str | None
) -> Order:
    from kanjiprep.publishing.doctor import resized, rounding
    from kanjiprep.publishing.doctor.copies import Order

    return Order(
        out=out,
        resize=None if resize is None else resized.wish(resize),
        weights=weights,
        alpha=alpha,
        dtype=None if dtype is None else rounding.TYPES[dtype],
    )


def _copy(found: list[Tuned], order: Order, merge: bool, as_json: bool) -> None:
    from kanjiprep.publishing.doctor import copies

    with talk.progress(quiet=as_json) as progress:
        if merge:
            copied = copies.merge(found, order, progress)
        elif order.resize is not None:
            copied = copies.resize(found[0], order, progress)
        else:
            copied = copies.fix(found[0], order, progress)
    if as_json:
        talk.print_json(copied)
    else:
        _tell(copied)


def _tell(copied: Copied) -> None:
    for change in copied.changes or ("nothing to mend: the copy is the same, byte for byte",):
        talk.say(change)
    if copied.error is not None and copied.worst is not None:
        worst = copied.worst
        talk.say(f"rank {copied.rank}, which loses {copied.error:.3%} of the norm of what it adds")
        talk.say(f"most is lost by {worst.module}: {worst.error:.3%}")
        talk.say(f"modules of less than rank {copied.rank} before: {copied.lower_before:.0%}")
    talk.say(f"wrote {copied.out}, {_size(copied.bytes)}")
    talk.say(f"Next: kanjiprep lora {talk.short(copied.out)}")


def _look(found: Tuned, deep: bool, as_json: bool) -> None:
    from kanjiprep.publishing.doctor import examined

    with talk.progress(quiet=as_json) as progress:
        seen = examined.examine(found.path, deep, progress, found.alpha)
    if as_json:
        talk.print_json(seen)
    else:
        for label, text in _lines(seen):
            talk.out(f"{label:{_WIDTH}}{_on_one_line(text)}")
    if seen.problems:
        what = "; ".join(problem.what for problem in seen.problems)
        raise TrainerError(f"unfit: {what}", str(seen.path), seen.problems[0].remedy)
    if not as_json:
        _next(found, seen)


def _next(found: Tuned, seen: Examined) -> None:
    if seen.verdict == "to be mended":
        talk.say(f"Next: kanjiprep lora {talk.short(found.path)} --fix")
    elif seen.numbers is None:
        talk.say(f"Next: kanjiprep lora {talk.short(found.path)} --deep")


def _on_one_line(text: str) -> str:
    """Names out of a file may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _lines(seen: Examined) -> Iterator[tuple[str, str]]:
    yield "file", str(seen.path)
    yield "verdict", seen.verdict + ("" if seen.numbers or seen.problems else ", as far as its header tells")
    family = "of a model that is not known here" if seen.family == "unknown" else f"of {seen.family}"
    yield "kind", f"{seen.kind} {family}" if seen.kind else "no LoRA"
    if seen.ranks:
        yield from _module_lines(seen)
    numbers = f", {seen.parameters:,} numbers in {' and '.join(seen.dtypes)}" if seen.dtypes else ""
    yield "size", _size(seen.bytes) + numbers
    if seen.modules:
        yield "keys", seen.key_style
    if seen.modules and not seen.problems:
        yield "ComfyUI", _reading(seen.comfyui)
        yield "diffusers", _reading(seen.diffusers)
    yield from _said(seen)
    yield from _numbers(seen)
    for label, findings in (("problem", seen.problems), ("warning", seen.warnings)):
        for one in findings:
            yield label, one.what + (f"; {one.remedy}" if one.remedy else "")


def _module_lines(seen: Examined) -> Iterator[tuple[str, str]]:
    least, most = seen.ranks or (0, 0)
    yield "rank", str(least) if least == most else f"{least} to {most}"
    alpha = "of several sizes" if seen.alpha is None else f"{seen.alpha:g}"
    alpha = "not said" if seen.alpha_from == "nowhere" else f"{alpha}, {_FROM[seen.alpha_from]}"
    applied = "to be applied" if seen.alpha_from == "run" else "applied"
    yield "alpha", alpha + ("" if seen.scale is None else f"; {applied} times {seen.scale:g}")
    blocks = f"{seen.blocks}" if seen.of_blocks is None else f"{seen.blocks} of {seen.of_blocks}"
    yield "modules", f"{seen.modules:,} in {blocks} blocks"
    targets = list(seen.targets)
    more = f" and {len(targets) - _SHOWN} more" if len(targets) > _SHOWN else ""
    yield "targets", ", ".join(targets[:_SHOWN]) + more


_FROM = {
    "metadata": "from the metadata",
    "beside the matrices": "from beside the matrices",
    "run": "of the run's run.toml",
}


def _reading(reading: Reading) -> str:
    told = f"patches {reading.modules:,} of {reading.of:,} modules"
    return f"{told}; {reading.why}" if reading.why else f"{told}, as they were trained"


def _said(seen: Examined) -> Iterator[tuple[str, str]]:
    for name, word in seen.base_model.items():
        yield "base", f"{word} ({name})"
    some = list(seen.metadata.items())
    for name, word in some[:_SHOWN]:
        yield "metadata", f"{name}: {word}"
    if len(some) > _SHOWN:
        yield "metadata", f"and {len(some) - _SHOWN} more; --json has all"


def _numbers(seen: Examined) -> Iterator[tuple[str, str]]:
    found = seen.numbers
    if found is None:
        return
    yield (
        "numbers",
        "all finite"
        if not found.not_finite
        else f"{found.not_finite} of {2 * seen.modules} matrices with NaN or infinity",
    )
    if found.zero_modules:
        yield "zeros", f"{found.zero_modules} of {seen.modules} modules are multiplied to zero"
    if found.most:
        yield "norms", f"{found.least:.3g} to {found.most:.3g}, median {found.median:.3g} (Frobenius, by module)"
        yield "largest", f"{found.most_module}; largest singular value of all {found.spectral:.3g}"
    yield "sha256", found.sha256


def _size(count: int) -> str:
    return (
        f"{count / 1e9:.2f} GB" if count >= 10**9 else f"{count / 1e6:.1f} MB" if count >= 10**5 else f"{count} bytes"
    )
