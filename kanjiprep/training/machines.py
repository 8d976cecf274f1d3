"""The machines that a run could be rented on: what each needs of memory, hours and money."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kanjiprep.training import gpus, memory, prices, speed
from kanjiprep.training.gpus import Catalogue, Gpu, Instance
from kanjiprep.training.memory import Memory
from kanjiprep.training.models import Workload
from kanjiprep.training.prices import NoPrices, Prices
from kanjiprep.training.provenance import Figure, scale
from kanjiprep.training.run_spec import RunSpec
from kanjiprep.training.speed import Drawing, Duration


@dataclass(frozen=True, slots=True)
class Machine:
    """One kind of machine to run on.

    Attributes:
        gpu: Name of the GPU.
        title: As its maker says it.
        gpus: How many.
        memory_gib: What a program can have of one.
        verdict: ``fits``, ``tight``, ``does not fit``, or why it is out of the question.
        instance: What Lambda calls such a machine; empty if it has none.
        disk_gib: Of that machine; None if it is not known.
        regions: Where Lambda has one to rent at this minute; None if it was not asked.
        usd_per_hour: None if no price is known.
        hours: Of the whole run.
        usd: Of the whole run.
    """

    gpu: str
    title: str
    gpus: int
    memory_gib: float
    verdict: str
    instance: str
    disk_gib: float | None
    regions: tuple[str, ...] | None
    usd_per_hour: Figure | None
    hours: Figure | None
    usd: Figure | None


@dataclass(frozen=True, slots=True)
class Market:
    """What machines there are and cost.

    Attributes:
        catalogue: The dated table.
        live: Lambda's own prices, or why there are none; None if they were not asked for.
    """

    catalogue: Catalogue
    live: Prices | NoPrices | None = None

    def price(self, instance: Instance) -> Figure | None:
        """What ``instance`` costs an hour: now if Lambda was asked, else on the day of the table."""
        if isinstance(self.live, Prices):
            return prices.live_price(self.live, instance.name)
        return gpus.table_price(self.catalogue, instance)

    def regions(self, instance: Instance) -> tuple[str, ...] | None:
        """Where there is such a machine now; None if Lambda was not asked."""
        if not isinstance(self.live, Prices):
            return None
        known = self.live.by_name.get(instance.name)
        return known.regions if known else ()


@dataclass(frozen=True, slots=True)
class Length:
    """All that decides how long a run takes on some GPU.

    Attributes:
        workload: What is trained.
        steps: Optimizer steps.
        samples: Pictures with captions.
        drawing: Validation pictures.
        written: Bytes of all checkpoints.
    """

    workload: Workload
    steps: int
    samples: int
    drawing: Drawing
    written: Figure

    def on(self, gpu: Gpu) -> Duration:
        """Its hours on ``gpu``."""
        return speed.duration(self.workload, gpu, self.steps, self.samples, self.drawing, self.written)


def workload_of(spec: RunSpec) -> Workload:
    """What ``spec`` costs memory and time by."""
    return Workload(
        family=spec.model.family,
        flavour=spec.model.flavour,
        train=spec.model.train,
        rank=spec.lora.rank,
        targets=spec.lora.targets,
        optimizer=spec.optimizer.name,
        precision=spec.model.precision,
        batch=spec.training.batch,
        accumulation=spec.training.accumulation,
        gpus=spec.machine.gpus,
        resolution_px=spec.training.resolution_px,
        gradient_checkpointing=spec.training.gradient_checkpointing,
        validation_px=spec.validation.size_px,
        dropout=spec.lora.dropout,
    )


def machine_of(gpu: Gpu, length: Length, needed: Memory, market: Market) -> Machine:
    """What the run would be on machines with ``gpu``; the cheapest of them, if Lambda has several."""
    count = length.workload.gpus
    priced = [(one, market.price(one)) for one in gpus.instances_with(market.catalogue, gpu.name, count)]
    priced.sort(key=lambda pair: pair[1].value if pair[1] else math.inf)
    instance, price = priced[0] if priced else (None, None)
    hours = length.on(gpu).total if gpu.bf16_tflops is not None else None
    return Machine(
        gpu=gpu.name,
        title=gpu.title,
        gpus=count,
        memory_gib=gpu.memory_gib,
        verdict=memory.fits(needed, gpu) if hours else "no bf16",
        instance=instance.name if instance else "",
        disk_gib=instance.disk_gib if instance else None,
        regions=market.regions(instance) if instance else None,
        usd_per_hour=price,
        hours=hours,
        usd=usd_of(hours, price),
    )


def usd_of(hours: Figure | None, usd_per_hour: Figure | None) -> Figure | None:
    """What so many hours cost; None where either is not known. The band is that of the hours."""
    if hours is None or usd_per_hour is None:
        return None
    return scale(hours, usd_per_hour.value, "USD", f"hours as {hours.how}, at a price of {usd_per_hour.source}")
