"""What painting will cost, told before it begins: tokens, memory, time on a CPU, and what is to be downloaded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from kanjiprep import tokens
from kanjiprep.publishing import prompt_tokens
from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting import devices
from kanjiprep.publishing.painting.devices import Need, Placement, Ways
from kanjiprep.publishing.painting.planned import Plan
from kanjiprep.publishing.painting.texts import Named
from kanjiprep.publishing.painting.wish import Wish
from kanjiprep.publishing.prompt_tokens import Count, Counter
from kanjiprep.publishing.tuned import PARTS
from kanjiprep.training import models

_LARGE: Final = 10**8
"""Numbers in a model's main part from which a CPU takes long."""
_UNET_FLOP: Final = 0.68e12
"""Of one pass of the UNet of SD 1.5 at 512 px. Source: twice the 0.34 TMAC that are published for it."""
_TOKEN_PX: Final = 16
_PROBE: Final = 1024
_SLOW_S: Final = 60


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known before anything is loaded.

    Attributes:
        counts: Tokens by a prompt's short name.
        lost: Sentences about subjects that are cut off, by a prompt's short name.
        placement: Where the model will be; None if its size is not known before it is fetched.
        cpu_s_a_picture: An estimate for a large model without a GPU, else None.
        download_bytes: Of a model that is not here; 0 for one that is, None if nobody knows.
    """

    counts: Mapping[str, tuple[Count, ...]]
    lost: Mapping[str, str]
    placement: Placement | None
    cpu_s_a_picture: float | None
    download_bytes: int | None


def outlook(plan: Plan, ways: Ways, environ: Mapping[str, str]) -> Outlook:
    """What ``plan`` will cost.

    Raises:
        UsageError: If torch is not installed, or the machine has no such device or too little memory.
    """
    need = _need(plan)
    placement = placed(ways, need)
    numbers = max((need.parts.get(part, 0) for part in PARTS.values()), default=0) if need is not None else 0
    is_slow = placement is not None and placement.device == "cpu" and numbers >= _LARGE
    seconds = flop(plan.pictures[0].wish, plan.family, numbers) / flop_per_s() if is_slow else None
    counter = prompt_tokens.counter(plan.base_name, environ, plan.family)
    named: dict[str, Named] = {}
    for one in plan.pictures:
        named.setdefault(one.name, one)
    return Outlook(
        counts={name: _limited(counter, one.wish)(one.wish.prompt) for name, one in named.items()},
        lost={name: told for name, one in named.items() if (told := _lost(one, counter))},
        placement=placement,
        cpu_s_a_picture=seconds,
        download_bytes=_download_bytes(plan, need is not None),
    )


def placed(ways: Ways, need: Need | None) -> Placement | None:
    """Where ``need`` will be loaded on this machine; None if nobody knows it before it is fetched.

    Raises:
        UsageError: If torch is not installed, or the machine has no such device or too little memory.
    """
    machine = devices.read_machine()
    devices.device_of(ways, machine)
    return None if need is None else devices.choose(ways, machine, need)


def _need(plan: Plan) -> Need | None:
    if plan.base is None:
        return bases.need_unseen(plan.base_name, plan.family, _flavour(plan))
    adapters = [one.tuned.path.stat().st_size for one in plan.columns if one.tuned and one.tuned.kind == "lora"]
    return bases.need(plan.base, None, max(adapters, default=0))


def _flavour(plan: Plan) -> str:
    return next((one.tuned.flavour for one in plan.columns if one.tuned is not None), "")


def _download_bytes(plan: Plan, is_known: bool) -> int | None:
    if plan.base is not None:
        return 0
    return round(models.download_bytes(models.model_of(plan.family, _flavour(plan))).value) if is_known else None


def _lost(named: Named, counter: Counter) -> str:
    wish = named.wish
    return prompt_tokens.warning(prompt_tokens.lost(wish.subject, wish.prompt, _limited(counter, wish), named.start))


def _limited(counter: Counter, wish: Wish) -> Counter:
    """``counter`` with as much of T5 as the wish is painted with."""
    return lambda text: tuple(
        replace(one, limit=wish.t5_tokens) if one.encoder == "T5" else one for one in counter(text)
    )


def flop(wish: Wish, family: str, numbers: int) -> float:
    """An estimate of the operations for a picture: two for every number of the model and token."""
    passes = wish.steps * (2 if wish.guidance > 1 else 1)
    if family == "sd1x":
        return passes * _UNET_FLOP * (wish.size_px / 512) ** 2
    return passes * 2.0 * numbers * ((wish.size_px / _TOKEN_PX) ** 2 + tokens.CLIP_LIMIT + wish.t5_tokens)


def flop_per_s() -> float:
    """Operations a second of this CPU, measured with a product of two matrices."""
    import torch

    matrix = torch.ones(_PROBE, _PROBE)
    (matrix @ matrix).sum().item()  # the first one warms up
    before = time.perf_counter()
    (matrix @ matrix).sum().item()
    return float(2 * _PROBE**3 / max(time.perf_counter() - before, 1e-6))


def lines(found: Outlook) -> Iterator[str]:
    """What a user should know of ``found``, a line each; warnings say so."""
    for name, told in found.lost.items():
        yield f"warning: of prompt {name}, {told}"
    if found.cpu_s_a_picture is not None and found.cpu_s_a_picture >= _SLOW_S:
        length = _duration(found.cpu_s_a_picture)
        yield f"warning: a picture takes about {length} on this CPU, estimated from a product of matrices timed here"
    if found.download_bytes is None or found.download_bytes:
        size = "" if found.download_bytes is None else f", about {found.download_bytes / 1e9:.1f} GB"
        yield f"note: the base model is not on this machine and will be downloaded{size}"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
