"""Pictures of the page as files, with what they were made by inside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kanjiprep.errors import TrainerError
from kanjiprep.publishing.page.offer import Choice
from kanjiprep.publishing.page.sitting import Saving
from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting import origins, painted
from kanjiprep.publishing.painting.painted import Origin
from kanjiprep.publishing.painting.wish import Wish

if TYPE_CHECKING:
    from PIL import Image


def saving(base: str) -> Saving:
    """What writes the page's pictures, which are painted on the model ``base``."""
    known: dict[str, Origin] = {}

    def save(path: Path, picture: Image.Image, wish: Wish, choice: Choice) -> None:
        if choice.key not in known:  # large files are read for it
            known[choice.key] = _origin(base, choice)
        painted.write(path, painted.encoded(picture, wish, known[choice.key], origins.made_with()))

    return save


def _origin(base: str, choice: Choice) -> Origin:
    found = bases.here(base)
    if found is None:
        raise TrainerError("is not there any more", base, "fetch it again")
    return origins.origin(found, choice.tuned)
