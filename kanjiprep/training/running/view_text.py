"""A view of a run in words, for a terminal or a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from kanjiprep.training.running import standing
from kanjiprep.training.running.events import Alert
from kanjiprep.training.running.gpu import Gpu
from kanjiprep.training.running.sparkline import sparkline
from kanjiprep.training.running.trainer_log import Stage
from kanjiprep.training.running.view import Money, Progress, Series, View

_WIDTH: Final = 37
"""Of a curve, so that its line fits into 80 columns."""
_ENDS_WIDTH: Final = 32
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_OLD_BEAT_S: Final = 30.0
_GB: Final = 1e9


def lines(seen: View) -> Iterator[str]:
    """``seen`` in labelled lines, the most important first."""
    yield f"{'run':<11}{seen.run}"
    yield f"{'status':<11}{status(seen)}"
    yield f"{'progress':<11}{progress(seen)}"
    if seen.exit_code is None and seen.attempt:
        yield f"{'stage':<11}{stage(seen.progress)}"
    yield from _curves(seen)
    yield f"{'money':<11}{money(seen.money)}"
    if seen.made.free_bytes is not None:
        yield f"{'disk':<11}{_gb(seen.made.free_bytes)} free, a checkpoint takes {_gb(seen.made.checkpoint_bytes)}"
    yield from (f"{'gpu':<11}{gpu(one)}" for one in seen.gpus)
    yield from _made(seen)
    yield from (f"{one.severity:<11}{alert(one)}" for one in seen.alerts)
    if seen.unreadable:
        verb = "is" if seen.unreadable == 1 else "are"
        yield f"{'record':<11}{_lines(seen.unreadable)} could not be understood and {verb} left out"
    yield from (f"{'log':<11}{line}" for line in seen.log)


def status(seen: View) -> str:
    """The status, with what explains it."""
    tries = f", attempt {seen.attempt} ({seen.why})" if seen.attempt > 1 else ""
    beat = ""
    if seen.exit_code is None and seen.beat_age_s is not None:
        age = span(seen.beat_age_s)
        beat = f", last sign of life {age} ago" if seen.status not in (standing.UNWATCHED, standing.COPY) else ""
        beat += " (late)" if beat and seen.beat_age_s > _OLD_BEAT_S else ""
    told = {
        standing.UNWATCHED: "the supervisor is gone, and the trainer goes on without it",
        standing.LOST: "supervisor and trainer are gone, and nobody saw the end",
        standing.COPY: "its files are for another place: it was moved or copied while it went on",
        standing.WAITING: f"its record cannot be read: {_lines(seen.unreadable)}, and none is understood"
        if seen.unreadable
        else "rendered, and never started",
        "guard": "stopped by the guard",
        "limit": "stopped at its limit",
    }.get(seen.status, seen.status)
    return f"{told}{tries}{beat}" + (f": {seen.reason}" if seen.reason else "")


def _lines(count: int) -> str:
    return f"{count:,} line{'' if count == 1 else 's'}"


def stage(how_far: Progress) -> str:
    """What the trainer is at; steps have a line of their own."""
    if not how_far.stage:
        return "starting the trainer"
    if how_far.stage == Stage.TRAINING or how_far.stage_done is None or how_far.stage_total is None:
        return how_far.stage
    return f"{how_far.stage}, {how_far.stage_done:,} of {how_far.stage_total:,}"


def progress(seen: View) -> str:
    """Steps, epochs, pace and the time that is left, on one line."""
    share = seen.progress.step / seen.progress.total_steps if seen.progress.total_steps else 0.0
    parts = [f"{seen.progress.step:,} of {seen.progress.total_steps:,} steps ({share:.1%})"]
    if seen.progress.eta_s is not None:
        parts.append(f"{span(seen.progress.eta_s)} to go")
    if seen.progress.step_s is not None:
        parts.append(f"{seen.progress.step_s:.3g} s a step")
    if seen.progress.epoch is not None:
        parts.append(f"epoch {seen.progress.epoch:g} of {math.ceil(seen.progress.epochs):,}")
    return ", ".join(parts)


def line(seen: View) -> str:
    """The whole view on one line, for a log."""
    parts = [progress(seen)]
    for name, numbers in (("loss", seen.loss), ("gradient", seen.gradient)):
        parts += [f"{name} {_number(numbers.smooth)}"] if numbers.points else []
    parts += [f"rate {seen.rate.now:.3g}"] if seen.rate.now is not None else []
    parts += [f"${seen.money.spent_usd:,.2f}"] if seen.money.spent_usd is not None else []
    return " | ".join(parts)


def alert(one: Alert) -> str:
    """An alert on one line."""
    return f"{one.about} at step {one.step:,}: {one.text}"


def money(spent: Money) -> str:
    """Hours and dollars, spent and to come, against their limits."""
    hours = f"{_hours(spent.spent_h)} spent"
    hours += "" if spent.left_h is None else f", {_hours(spent.left_h)} to come"
    hours += "" if spent.max_hours is None else f", at most {spent.max_hours:g} h"
    if spent.spent_usd is None:
        return hours
    usd = f"${spent.spent_usd:,.2f} spent"
    usd += "" if spent.left_usd is None else f", ${spent.left_usd:,.2f} to come"
    usd += "" if spent.max_usd is None else f", at most ${spent.max_usd:,.2f}"
    return f"{hours}; {usd} (${spent.usd_per_hour:,.2f} an hour, {spent.price_source})"


def gpu(one: Gpu) -> str:
    """A GPU on one line."""
    parts = [one.name]
    parts += [] if one.busy is None else [f"{one.busy:.0%} busy"]
    if one.used_bytes is not None and one.total_bytes is not None:
        parts.append(f"{one.used_bytes / 2**30:.1f} of {one.total_bytes / 2**30:.1f} GiB")
    parts += [] if one.celsius is None else [f"{one.celsius:.0f} degrees"]
    parts += [] if one.watts is None else [f"{one.watts:.0f} W"]
    return ", ".join(parts)


def span(seconds: float) -> str:
    """A length of time in the two units that matter."""
    seconds = round(seconds)
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min {seconds % _MINUTE_S:.0f} s"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // _MINUTE_S:.0f} min"
    return f"{seconds // _DAY_S:.0f} d {seconds % _DAY_S // _HOUR_S:.0f} h"


def _curves(seen: View) -> Iterator[str]:
    for name, numbers, logarithmic in (("loss", seen.loss, False), ("gradient", seen.gradient, True)):
        if numbers.points:
            drawn = sparkline(numbers.points, _WIDTH, logarithmic=logarithmic)
            yield f"{name:<11}{_ends(numbers)}{drawn}"
    if seen.rate.planned:
        rate = "not begun" if seen.rate.now is None else f"{seen.rate.now:.3g} now"
        drawn = sparkline(seen.rate.planned, _WIDTH - 1)
        behind = round(seen.rate.share * len(drawn))
        yield f"{'rate':<11}{rate:<{_ENDS_WIDTH}}{drawn[:behind]}|{drawn[behind:]}"


def _ends(numbers: Series) -> str:
    return f"{_number(numbers.last)} now, {_number(numbers.smooth)} smoothed".ljust(_ENDS_WIDTH - 1) + " "


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.3g}"


def _made(seen: View) -> Iterator[str]:
    if seen.made.checkpoint is not None:
        last = seen.made.checkpoint
        yield f"{'checkpoint':<11}{last.path}, step {last.step:,}, {_gb(last.bytes)}, {seen.made.checkpoints} made"
    if seen.made.validation is not None:
        bad = f", gone bad: {', '.join(seen.made.validation.faults)}" if seen.made.validation.faults else ""
        yield f"{'picture':<11}{seen.made.validation.path}{bad}"


def _gb(count: float) -> str:
    if count >= _GB * 100:
        return f"{count / _GB:,.0f} GB"
    return f"{count / _GB:.3g} GB" if count >= _GB / 10 else f"{count / 1e6:.3g} MB"


def _hours(hours: float) -> str:
    return span(hours * _HOUR_S)
