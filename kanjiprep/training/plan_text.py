"""A plan as lines for people: every number with its origin, and every trap in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Final

from kanjiprep.training import curve_picture, our_words
from kanjiprep.training.machines import Machine
from kanjiprep.training.plan import Costs, Difference, Plan
from kanjiprep.training.provenance import Figure, scale, short
from kanjiprep.training.rules import Finding
from kanjiprep.training.rules.clipping import STABLE_RATE

_LABEL: Final = 11


class Sources:
    """Numbers each source once, in the order in which it is first cited."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def cite(self, figure: Figure) -> str:
        """``estimated [3]``: how ``figure`` is known, and the number of its source."""
        number = self._known.setdefault(figure.source, len(self._known) + 1)
        return f"{figure.how} [{number}]"

    def lines(self) -> Iterator[str]:
        """The numbered sources."""
        for source, number in self._known.items():
            yield f"[{number}] {source}"


def lines(plan: Plan, rates: Sequence[float]) -> list[str]:
    """The plan, line by line.

    Args:
        plan: What to tell.
        rates: The learning rate of every step, for the drawing.
    """
    sources = Sources()
    parts = (
        _head(plan),
        _steps(plan, sources),
        _rate(plan, rates),
        _weights(plan),
        _memory(plan.costs, sources),
        _disk(plan.costs, sources),
        _time(plan.costs, sources),
        _others(plan.costs),
        findings(plan.findings),
        sources.lines(),
    )
    return [line for part in parts for line in part]


def findings(found: Sequence[Finding]) -> Iterator[str]:
    """What the rules found, each with its reason and its remedy."""
    for finding in found:
        yield f"{finding.severity}: {finding.rule}: {finding.what}"
        yield f"    {finding.why} {finding.fix}"
        if ours := our_words.named_in(finding):
            yield f"    In run.toml: {'; '.join(ours)}."


def band(figure: Figure, prefix: str = "") -> str:
    """``58.6 h (41.3 to 83.2)`` of ``figure``, with three digits that count."""
    unit = f" {figure.unit}" if not prefix else ""
    text = f"{prefix}{short(figure.value)}{unit}"
    return text if figure.is_exact else f"{text} ({short(figure.low)} to {short(figure.high)})"


def _counted(number: int, word: str) -> str:
    """``1 picture``, ``2 pictures``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _row(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}{text}"


def _head(plan: Plan) -> Iterator[str]:
    yield f"{plan.preset}: {plan.title}"
    if plan.own_templates:
        told = "numbers are those of run.toml, rules and checkpoints those of the rendered files"
        yield _row("templates", f"{', '.join(plan.own_templates)} of its own: {told}")
    shapes = "of one shape" if len(plan.buckets) == 1 else f"in {len(plan.buckets)} buckets"
    digest = f", digest {plan.digest[:12]}" if plan.digest else ""
    yield _row("dataset", f"{plan.dataset}: {_counted(plan.steps.pictures, 'picture')} {shapes}{digest}")
    if plan.hub:
        yield _row("", f"on the Hub: {plan.hub}")
    for name, size in plan.steps.short_buckets.items():
        yield _row("", f"the trainer will refuse bucket {name}: its {_counted(size, 'picture')} cannot fill one step")


def _steps(plan: Plan, sources: Sources) -> Iterator[str]:
    steps = plan.steps
    yield _row(
        "steps", f"{steps.total:,}: {steps.per_epoch:,} an epoch, {short(steps.epochs)} epochs, as the trainer counts"
    )
    for difference in plan.differences:
        yield _row("", _difference(difference, sources))
    made = plan.pictures
    every, looks = (_counted(one, "step") for one in (made.checkpoint_every_steps, made.validation_every_steps))
    yield _row(
        "made",
        f"{_counted(made.rounds, 'validation')} of {made.prompts} each, every {looks}; "
        f"{_counted(made.checkpoints, 'checkpoint')}, every {every}, {made.kept:,} kept",
    )


def _difference(difference: Difference, sources: Sources) -> str:
    word = "more" if difference.more > 0 else "fewer"
    text = f"{difference.steps:,} {difference.what}: {abs(difference.more):,} {word}"
    if difference.hours:
        text += f", {band(difference.hours)}"
    if difference.usd:
        text += f", {band(difference.usd, '$')}"
    return f"{text}, {sources.cite(difference.hours)}" if difference.hours else text


def _rate(plan: Plan, rates: Sequence[float]) -> Iterator[str]:
    scheduler, back = plan.rates.scheduler, plan.rates.returns
    told = f"SimpleTuner's {scheduler.name}, lr_warmup_steps {scheduler.warmup_steps:,}"
    yield _row("rate", f"{told}; {rates[0]:.3g} at first, at most {max(rates):.3g}, {rates[-1]:.3g} at the end")
    for line in curve_picture.in_characters(rates):
        yield f"  {line}"
    if (plan.rates.asked, scheduler.name) == ("cosine", "polynomial"):
        yield _row("", "SimpleTuner has no cosine with a warmup: this falls straight, at most 0.11 of the peak away")
    if back:
        at = ", ".join(f"{step:,}" for step in back[:6])
        yield _row("", f"back at its peak {_counted(len(back), 'time')}: at step {at}")
    if plan.rates.above_stable:
        yield _row("", _above_stable(plan))


def _above_stable(plan: Plan) -> str:
    share = plan.rates.above_stable or 0.0
    text = f"{share:.0%} of its steps are above {STABLE_RATE:g}, the rate that SimpleTuner's SD3 guide calls stable"
    usd = plan.costs.machine.usd if plan.costs.machine else None
    return f"{text}: {band(scale(usd, share, 'USD'), '$')} of the money" if usd else text


def _weights(plan: Plan) -> Iterator[str]:
    share = plan.trained_parameters / plan.model_parameters
    whole = f"{plan.model_parameters:,} of {plan.model}"
    yield _row("weights", f"{plan.trained_parameters:,} trained, {share:.2%} of the {whole}")


def _memory(costs: Costs, sources: Sources) -> Iterator[str]:
    if costs.machine is None:
        yield _row("memory", "not estimated for a CPU")
        return
    yield _row("memory", f"on each GPU: {band(costs.memory.peak)} at the peak, {sources.cite(costs.memory.peak)}")
    for field in fields(costs.memory):
        figure: Figure = getattr(costs.memory, field.name)
        if figure.high > 0:
            also = ", before training and not added" if field.name == "caching" else ""
            yield _row("", f"{field.name:<13}{band(figure):<31} {sources.cite(figure)}{also}")


def _disk(costs: Costs, sources: Sources) -> Iterator[str]:
    yield _row("disk", f"{_gigabytes(costs.disk.total)} in all, {sources.cite(costs.disk.total)}")
    one = costs.disk.checkpoint
    yield _row("", f"a checkpoint is {_gigabytes(one.total)}, its weights alone {_gigabytes(one.weights)}")
    for field in fields(costs.disk):
        figure = getattr(costs.disk, field.name)
        if isinstance(figure, Figure) and figure.high > 0:
            yield _row("", f"{field.name.replace('_', ' '):<13}{_gigabytes(figure):<31} {sources.cite(figure)}")


def _gigabytes(figure: Figure) -> str:
    return band(scale(figure, 1e-9, "GB"))


def _time(costs: Costs, sources: Sources) -> Iterator[str]:
    if costs.duration is None or costs.step_seconds is None or costs.machine is None:
        yield _row("time", "not estimated for a CPU")
        return
    machine = costs.machine
    yield _row("machine", f"{machine.gpus} x {machine.title}: {machine.verdict}")
    step = f"a step {band(costs.step_seconds)}, {sources.cite(costs.step_seconds)}"
    yield _row("time", f"{band(costs.duration.total)}; {step}")
    for field in fields(costs.duration):
        figure: Figure = getattr(costs.duration, field.name)
        yield _row("", f"{field.name:<13}{band(figure):<31} {sources.cite(figure)}")
    yield _row("money", _money(machine, sources))
    if costs.price_note:
        yield _row("", f"no live price: {costs.price_note}")


def _money(machine: Machine, sources: Sources) -> str:
    price = machine.usd_per_hour
    if machine.usd is None or price is None:
        return f"not known: no price of a machine with {machine.gpus} x {machine.gpu}"
    where = "" if machine.regions is None else f"; to rent now: {', '.join(machine.regions) or 'nowhere'}"
    return f"{band(machine.usd, '$')} at {price.value:.2f} $/h ({machine.instance}, {sources.cite(price)}){where}"


def _others(costs: Costs) -> Iterator[str]:
    rows = [one for one in costs.others if one.hours is not None]
    if rows:
        yield _row("elsewhere", "memory, hours and money of the same run")
    for one in rows:
        yield _row("", f"{one.gpus} x {one.gpu:<16}{one.verdict:<14}{_hours_and_money(one)}")


def _hours_and_money(machine: Machine) -> str:
    hours = band(machine.hours) if machine.hours else ""
    money = f"{band(machine.usd, '$'):<26}{machine.instance}" if machine.usd else "no price known"
    return f"{hours:<28}{money}"
