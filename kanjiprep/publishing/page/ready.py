"""Whether a page can paint at all, looked at before it is served, as pictures without a page are."""

from __future__ import annotations

from collections.abc import Iterator

from kanjiprep.publishing.page.offer import Offer
from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting import fitting, looked, outlook
from kanjiprep.publishing.painting.devices import Ways
from kanjiprep.publishing.tuned import Tuned


def notes(offer: Offer, ways: Ways) -> Iterator[str]:
    """What a user should know before the page is served, a line each.

    Raises:
        UsageError: If the machine has no such device or too little memory, or there is no such base model, or it is
            of another kind than what was trained.
        TrainerError: If the base model cannot be painted with, or none of the LoRAs can be used.
    """
    tuned = _first_before(offer)
    base = bases.here(offer.base)
    if base is None:
        yield f"note: {offer.base} is not on this machine, and is fetched for the first picture"
    else:
        for one in tuned:
            fitting.refuse_stranger(one, base)
    for error in looked.unfit(tuned).values():
        yield f"warning: {error}"
    adapter_bytes = max((one.path.stat().st_size for one in tuned if one.kind == "lora"), default=0)
    flavour = tuned[0].flavour if tuned else ""
    unseen = bases.need_unseen(offer.base, offer.family, flavour)
    outlook.placed(ways, unseen if base is None else bases.need(base, None, adapter_bytes))


def _first_before(offer: Offer) -> list[Tuned]:
    """What was trained, and before all others what the page begins with."""
    found = sorted(offer.choices, key=lambda one: one.key != offer.first)
    return [one.tuned for one in found if one.tuned is not None]
