"""GPUs and the machines that Lambda rents out with them: a dated table."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from kanjiprep import spec
from kanjiprep.errors import UsageError, os_reason
from kanjiprep.spec import Bounds, SpecError, did_you_mean
from kanjiprep.training.provenance import Figure, exact

TABLE: Final = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One kind of GPU.

    Attributes:
        name: As users say it.
        title: As its maker says it.
        memory_gib: What a program can have of it.
        memory_how: ``seen`` in public messages, or ``estimated`` from the figure on the box.
        tflops_source: Who says so.
        bandwidth_tb_s: Of its memory, in 10^12 bytes a second, by its maker.
        bf16_tflops: Peak, dense, in 10^12 operations a second; None if the chip has no bf16.
    """

    name: str
    title: str
    memory_gib: Annotated[float, Bounds(above=0)]
    memory_how: Literal["seen", "estimated"]
    tflops_source: str
    bandwidth_tb_s: Annotated[float, Bounds(above=0)]
    bf16_tflops: Annotated[float, Bounds(above=0)] | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine that Lambda rents out.

    Attributes:
        name: Lambda's.
        gpu: Name of its GPU here.
        gpus: How many.
        usd_per_hour: Of the whole machine, on the day of the table; None if it was not read.
        disk_gib: Of its own disk; None if it was not read.
    """

    name: str
    gpu: str
    gpus: Annotated[int, Bounds(least=1)] = 1
    usd_per_hour: Annotated[float, Bounds(above=0)] | None = None
    disk_gib: Annotated[float, Bounds(above=0)] | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The table.

    Attributes:
        prices_read: The day on which prices were read, ISO.
        prices_source: Where.
        gpu: Every GPU.
        instance: Every machine.
    """

    prices_read: str
    prices_source: str
    gpu: tuple[Gpu, ...]
    instance: tuple[Instance, ...]


def load(path: Path = TABLE) -> Catalogue:
    """The table at ``path``, checked as a whole.

    Raises:
        UsageError: If it cannot be read.
        SpecError: If it does not fit, or names a GPU or machine twice, or an unknown GPU.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot be read: {os_reason(error)}", str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"is not TOML: {error}", str(path)) from error
    catalogue = spec.from_table(Catalogue, table, str(path))
    if problems := tuple(_problems(catalogue)):
        raise SpecError(str(path), problems)
    return catalogue


def gpu_named(catalogue: Catalogue, name: str) -> Gpu:
    """The GPU called ``name``.

    Raises:
        UsageError: If there is none.
    """
    known = {gpu.name: gpu for gpu in catalogue.gpu}
    if name not in known:
        remedy = f"use one of {', '.join(known)}"
        near = next((one for one in known if name and one.startswith(name.lower())), "")
        guess = f", did you mean {near!r}?" if near else did_you_mean(name, known)
        raise UsageError(f"no GPU is called {name!r}{guess}", "", remedy)
    return known[name]


def instances_with(catalogue: Catalogue, gpu: str, gpus: int = 1) -> tuple[Instance, ...]:
    """The machines with exactly ``gpus`` GPUs called ``gpu``; perhaps none."""
    return tuple(one for one in catalogue.instance if one.gpu == gpu and one.gpus == gpus)


def table_price(catalogue: Catalogue, instance: Instance) -> Figure | None:
    """What ``instance`` cost an hour on the day of the table; None if that was not read."""
    if instance.usd_per_hour is None:
        return None
    source = f"{catalogue.prices_source}, read {catalogue.prices_read}"
    return exact(instance.usd_per_hour, "USD/h", "published", source)


def _problems(catalogue: Catalogue) -> list[str]:
    names = [gpu.name for gpu in catalogue.gpu]
    machines = [instance.name for instance in catalogue.instance]
    twice = sorted({name for every in (names, machines) for name in every if every.count(name) > 1})
    strangers = [one for one in catalogue.instance if one.gpu not in names]
    return [
        *(f"{name} is there twice" for name in twice),
        *(f"{one.name} has a GPU {one.gpu!r} that is not there{did_you_mean(one.gpu, names)}" for one in strangers),
    ]
