"""From what a run shows to what should be known of it: verdicts, without touching anything."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kanjiprep.training.run_spec import Guard as Limits
from kanjiprep.training.running.events import Alert, Step, Validation
from kanjiprep.training.running.explosions import Gauge, Phase

NON_FINITE, SPIKE, EXPLOSION, STALL, DISK, PICTURE, BUDGET = (
    "non-finite", "spike", "explosion", "stall", "disk", "picture", "budget",
)  # fmt: skip
TAKEN_BACK: Final = frozenset({NON_FINITE, EXPLOSION, PICTURE})
"""Troubles of the weights, which an earlier checkpoint does not have."""
_MEMORY_STEPS: Final = 4_000
"""So many earlier steps are looked at again when a run goes on; the baseline is shorter."""
_RECENT_STEPS: Final = 64
_RAISED: Final = 3.0
_QUIET_STEPS: Final = 20
"""A row of spikes is told once; it may be an explosion that is not known yet."""
_NEARLY: Final = 0.9
_UNREADABLE: Final = ("unreadable",)
"""Says more of the disk than of the weights."""
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is not in the events.

    Attributes:
        silent_s: Since the last sign of life.
        free_bytes: On the disk of the run folder; None if it cannot be asked.
        checkpoint_bytes: Of the next checkpoint.
        spent_s: Of a trainer running, all attempts together.
    """

    silent_s: float
    free_bytes: int | None
    checkpoint_bytes: int
    spent_s: float


class Guard:
    """Judges steps, pictures and surroundings as they come; tells each trouble of an attempt once.

    The same steps give the same verdicts, however they are portioned.

    Args:
        limits: The table ``guard`` of the spec.
        prompts: Pictures in a round of validation.
        usd_per_hour: Price of the machine, if it has one.
    """

    def __init__(self, limits: Limits, prompts: int, usd_per_hour: float | None = None) -> None:
        self._limits = limits
        self._prompts = prompts
        self._usd_per_hour = usd_per_hour
        self._gauge = Gauge()
        self._has_gradient = False
        self._phase: Phase | None = None
        self._round: dict[int, list[Validation]] = {}
        self._was_bad_round = False
        self._said: set[tuple[str, str, int]] = set()
        self._step = 0
        self._spike_at = -_QUIET_STEPS
        self._recent: deque[tuple[int, float]] = deque(maxlen=_RECENT_STEPS)

    def trouble_since(self) -> int:
        """Where the trouble began that the trainer died of after its last step: at the latest, at the next.

        Before there is a baseline to speak of, a row of last steps counts, each far above the median of those
        before it.
        """
        if self._phase is not None:
            return self._phase.start
        row = list(self._recent)
        while len(row) > 1 and _is_raised(row[-1][1], [value for _, value in row[:-1]]):
            row.pop()
        return row[-1][0] + 1 if row else self._step + 1

    def goes_on(self) -> list[Alert]:
        """The explosion that was going on in what was recalled, told again to whoever takes over."""
        if self._phase is None:
            return []
        text = f"the explosion since step {self._phase.start:,} goes on"
        return [self._alert(EXPLOSION, "error", text, self._phase.start)]

    def recall(self, steps: Iterable[Step]) -> None:
        """Learn from steps that were judged before, and say nothing."""
        for step in tuple(steps)[-_MEMORY_STEPS:]:
            tuple(self._judge_step(step))

    def steps(self, steps: Iterable[Step]) -> list[Alert]:
        """Verdicts on further steps."""
        return [alert for step in steps for alert in self._judge_step(step)]

    def _judge_step(self, step: Step) -> Iterator[Alert]:
        self._step = step.step
        self._has_gradient = self._has_gradient or step.gradient is not None
        if step.loss is None:
            yield self._alert(NON_FINITE, "error", "the loss is not finite", step.step)
        value = step.gradient if self._has_gradient else step.loss
        self._recent.append((step.step, math.inf if value is None else value))
        mark = self._gauge.read(step.step, math.nan if value is None else value)
        what = "gradient" if self._has_gradient else "loss"
        if mark.phase is not None and self._phase is None:
            yield self._alert(EXPLOSION, "error", _explosion(mark.phase, what, step), mark.phase.start)
        elif mark.is_spike and step.step - self._spike_at > _QUIET_STEPS:
            self._spike_at = step.step
            yield self._alert(SPIKE, "note", f"the {what} was {_times(mark.factor)} its usual level for a step")
        if mark.phase is not None and mark.phase.end is not None:
            yield self._alert(EXPLOSION, "note", f"the explosion since step {mark.phase.start:,} is over")
        self._phase = None if mark.phase is None or mark.phase.end is not None else mark.phase

    def pictures(self, pictures: Iterable[Validation]) -> list[Alert]:
        """Verdicts on further validation pictures, a round at a time."""
        return [alert for picture in pictures for alert in self._judge_picture(picture)]

    def _judge_picture(self, picture: Validation) -> Iterator[Alert]:
        one = self._round.setdefault(picture.step, [])
        one.append(picture)
        if len(one) == self._prompts:
            del self._round[picture.step]
            yield from self._judge_round(one)

    def _judge_round(self, pictures: list[Validation]) -> Iterator[Alert]:
        """All of several gone bad at once, or the only one twice running, is no accident."""
        bad = [picture for picture in pictures if picture.faults]
        is_bad = all(picture.faults and picture.faults != _UNREADABLE for picture in pictures)
        if bad:
            told = ", ".join(f"{one.prompt} ({', '.join(one.faults)})" for one in bad[:4])
            many = f"{len(bad)} of {len(pictures)} pictures have gone bad: {told}"
            is_sure = is_bad and (len(pictures) > 1 or self._was_bad_round)
            yield Alert(PICTURE, "error" if is_sure else "warning", pictures[0].step, many, pictures[0].step)
        self._was_bad_round = is_bad

    def surroundings(self, now: Surroundings) -> list[Alert]:
        """Verdicts on silence, disk and budget."""
        return [*self._judge_silence(now), *self._judge_disk(now), *self._judge_budget(now)]

    def _judge_silence(self, now: Surroundings) -> Iterator[Alert]:
        limit_s = self._limits.stall_minutes * 60
        text = f"no sign of life for {_span(now.silent_s)}: no step, no file, no line in the log"
        if now.silent_s >= limit_s:
            yield from self._once(STALL, "error", text)
        elif now.silent_s >= limit_s / 2:
            yield from self._once(STALL, "warning", text)
        else:
            self._forget(STALL)

    def _judge_disk(self, now: Surroundings) -> Iterator[Alert]:
        if now.free_bytes is None:
            return
        text = (
            f"{now.free_bytes / _GIB:,.2f} GiB are free on the disk, "
            f"and a checkpoint takes {now.checkpoint_bytes / _GIB:,.2f} GiB"
        )
        if now.free_bytes < now.checkpoint_bytes:
            yield from self._once(DISK, "error", text)
        elif now.free_bytes < 2 * now.checkpoint_bytes:
            yield from self._once(DISK, "warning", text)
        else:
            self._forget(DISK)

    def _judge_budget(self, now: Surroundings) -> Iterator[Alert]:
        for index, (share, text) in enumerate(shares(self._limits, now.spent_s, self._usd_per_hour)):
            if share >= 1:
                yield from self._once(BUDGET, "error", text, index)
            elif share >= _NEARLY:
                yield from self._once(BUDGET, "warning", text, index)

    def _once(self, about: str, severity: str, text: str, index: int = 0) -> Iterator[Alert]:
        if (about, severity, index) not in self._said:
            self._said.add((about, severity, index))
            yield self._alert(about, severity, text)

    def _forget(self, about: str) -> None:
        self._said -= {(about, severity, 0) for severity in ("warning", "error")}

    def _alert(self, about: str, severity: str, text: str, since_step: int | None = None) -> Alert:
        since = self._step if since_step is None else since_step
        return Alert(about, severity, self._step, text, since)  # type: ignore[arg-type]


def _is_raised(value: float, before: Sequence[float]) -> bool:
    return math.isinf(value) or value > _RAISED * statistics.median(before)


def began(alerts: Sequence[Alert], otherwise: int) -> int:
    """The first step of the last trouble of the weights among ``alerts``."""
    found = (one.since_step for one in reversed(alerts) if one.about in TAKEN_BACK and one.severity == "error")
    return next(found, otherwise)


def shares(limits: Limits, spent_s: float, usd_per_hour: float | None) -> Iterator[tuple[float, str]]:
    """How much of each limit is used, as a share and in words."""
    hours = spent_s / 3600
    if limits.max_hours is not None:
        yield hours / limits.max_hours, f"{hours:,.3g} of at most {limits.max_hours:g} hours are used"
    if limits.max_usd is not None and usd_per_hour is not None:
        usd = hours * usd_per_hour
        yield usd / limits.max_usd, f"${usd:,.2f} of at most ${limits.max_usd:,.2f} are spent"


def _explosion(phase: Phase, what: str, step: Step) -> str:
    rate = "" if step.learning_rate is None else f", at a learning rate of {step.learning_rate:.3g}"
    level = "is not finite" if phase.has_non_finite else f"is up to {_times(phase.worst_factor)} its usual level"
    return f"the {what} {level} since step {phase.start:,}{rate}"


def _times(factor: float) -> str:
    return f"{factor:,.1f} times" if math.isfinite(factor) else "far above"


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"  # noqa: PLR2004
