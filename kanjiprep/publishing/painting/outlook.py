"""What painting will cost, told before it begins: tokens, memory, time on a CPU, and what is to be downloaded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep import tokens
from kanjiprep.publishing import text_encoders
from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting import devices
from kanjiprep.publishing.painting.devices import Need, Placement, Ways
from kanjiprep.publishing.painting.planned import Plan
from kanjiprep.publishing.painting.wish import Wish
from kanjiprep.publishing.text_encoders import Encoder
from kanjiprep.publishing.tuned import PARTS
from kanjiprep.training import models

_LARGE: Final = 10**8
"""Numbers in a model's main part from which a CPU takes long."""
_UNET_FLOP: Final = 0.68e12
"""Of one pass of the UNet of SD 1.5 at 512 px. Source: twice the 0.34 TMAC that are published for it."""
_TEXT_TOKENS: Final = tokens.CLIP_LIMIT + tokens.T5_LIMIT
_TOKEN_PX: Final = 16
_PROBE: Final = 1024
_SLOW_S: Final = 60


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens of a prompt for one text encoder.

    Attributes:
        encoder: Which.
        tokens: That the prompt costs, begin and end included.
        limit: That the encoder reads.
        is_exact: Whether its own tokenizer has counted, and not a rule that gives an upper bound.
    """

    encoder: Encoder
    tokens: int
    limit: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known before anything is loaded.

    Attributes:
        counts: Tokens by a prompt's short name.
        placement: Where the model will be; None if its size is not known before it is fetched.
        cpu_s_a_picture: An estimate for a large model without a GPU, else None.
        download_bytes: Of a model that is not here; 0 for one that is, None if nobody knows.
    """

    counts: Mapping[str, tuple[Count, ...]]
    placement: Placement | None
    cpu_s_a_picture: float | None
    download_bytes: int | None


def outlook(plan: Plan, ways: Ways, environ: Mapping[str, str]) -> Outlook:
    """What ``plan`` will cost.

    Raises:
        UsageError: If torch is not installed, or the machine has no such device or too little memory.
        InputError: If a tokenizer of the model cannot be read.
    """
    need = _need(plan)
    machine = devices.read_machine()
    placement = devices.choose(ways, machine, need) if need is not None else None
    numbers = max((need.parts.get(part, 0) for part in PARTS.values()), default=0) if need is not None else 0
    is_slow = placement is not None and placement.device == "cpu" and numbers >= _LARGE
    seconds = flop(plan.pictures[0].wish, plan.family, numbers) / flop_per_s() if is_slow else None
    return Outlook(
        counts=counts(plan, environ),
        placement=placement,
        cpu_s_a_picture=seconds,
        download_bytes=_download_bytes(plan, need is not None),
    )


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


def counts(plan: Plan, environ: Mapping[str, str]) -> dict[str, tuple[Count, ...]]:
    """Tokens of every prompt by its short name.

    Raises:
        InputError: If a tokenizer of the model cannot be read.
    """
    folders = text_encoders.find(plan.base_name, plan.family, environ)
    found: dict[str, tuple[Count, ...]] = {}
    for one in plan.pictures:
        if one.name not in found:
            found[one.name] = tuple(_count(one.wish.prompt, encoder, folder) for encoder, folder in folders.items())
    return found


def _count(prompt: str, encoder: Encoder, folder: Path | None) -> Count:
    limit = tokens.T5_LIMIT if encoder == "T5" else tokens.CLIP_LIMIT
    if folder is not None:
        try:
            return Count(encoder, text_encoders.load(folder, encoder)(prompt), limit, is_exact=True)
        except ModuleNotFoundError:  # the rule below needs nothing
            pass
    bound = tokens.t5_tokens(prompt) if encoder == "T5" else tokens.clip_at_most(prompt, {})
    return Count(encoder, bound, limit, is_exact=False)


def flop(wish: Wish, family: str, numbers: int) -> float:
    """An estimate of the operations for a picture: two for every number of the model and token."""
    passes = wish.steps * (2 if wish.guidance > 1 else 1)
    if family == "sd1x":
        return passes * _UNET_FLOP * (wish.size_px / 512) ** 2
    return passes * 2.0 * numbers * ((wish.size_px / _TOKEN_PX) ** 2 + _TEXT_TOKENS)


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
    for name, some in found.counts.items():
        long = [one for one in some if one.tokens > one.limit]
        for one in long:
            least = "" if one.is_exact else "at most "
            yield f"warning: prompt {name} has {least}{one.tokens} tokens, and {one.encoder} reads {one.limit}"
    if found.cpu_s_a_picture is not None and found.cpu_s_a_picture >= _SLOW_S:
        length = _duration(found.cpu_s_a_picture)
        yield f"warning: a picture takes about {length} on this CPU, estimated from a product of matrices timed here"
    if found.download_bytes is None or found.download_bytes:
        size = "" if found.download_bytes is None else f", about {found.download_bytes / 1e9:.1f} GB"
        yield f"note: the base model is not on this machine and will be downloaded{size}"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
