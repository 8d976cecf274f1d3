"""Under which licence an adapter goes, by the model that it adapts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Licence:
    """The licence of a base model, which an adapter of it takes over.

    Attributes:
        license: The Hub's word for it.
        license_name: Its name where that word is ``other``; else empty.
        license_link: Where it is written.
        title: In words.
        notice: What it wants written in a file NOTICE beside the weights; empty for nothing.
    """

    license: str
    license_name: str
    license_link: str
    title: str
    notice: str = ""


STABILITY: Final = "stabilityai-ai-community"
_STABILITY_REPOS: Final = frozenset(
    f"stabilityai/stable-diffusion-3.5-{flavour}" for flavour in ("large", "large-turbo", "medium")
)
_FIRST_REPOS: Final = frozenset({"stable-diffusion-v1-5/stable-diffusion-v1-5", "runwayml/stable-diffusion-v1-5"})
_FIRST: Final = Licence(
    "creativeml-openrail-m",
    "",
    "https://huggingface.co/spaces/CompVis/stable-diffusion-license",
    "CreativeML Open RAIL-M licence",
)


def of_base(repo: str) -> Licence | None:
    """The licence of the base model ``repo`` on the Hub; None if we do not know it.

    Source: the model cards and LICENSE.md of stabilityai/stable-diffusion-3.5-large and -medium, section IV(a)
    for the notice; the model card of stable-diffusion-v1-5/stable-diffusion-v1-5.
    """
    if repo in _STABILITY_REPOS:
        return Licence(
            "other",
            STABILITY,
            f"https://huggingface.co/{repo}/blob/main/LICENSE.md",
            "Stability AI Community License",
            "This Stability AI Model is licensed under the Stability AI Community License, "
            "Copyright © Stability AI Ltd. All Rights Reserved",
        )
    return _FIRST if repo in _FIRST_REPOS else None


def notice_file(licence: Licence, base: str) -> str:
    """The text of a file NOTICE for an adapter of the model that is called ``base``; empty if none is wanted."""
    if not licence.notice:
        return ""
    change = f"Changed: a low-rank adapter of {base} was trained; the weights of the model itself are not in here."
    return f"{licence.notice}\n\n{change}\n"
