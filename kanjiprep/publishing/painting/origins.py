"""What paints, as it is written into pictures: without the folders of this machine."""

from __future__ import annotations

from kanjiprep.dataset.folder import sha256_of
from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting import painted
from kanjiprep.publishing.painting.base import Base
from kanjiprep.publishing.painting.painted import Origin
from kanjiprep.publishing.tuned import Tuned


def origin(base: Base, tuned: Tuned | None) -> Origin:
    """What paints, as it is written into pictures.

    Raises:
        TrainerError: If a file cannot be read.
    """
    below = (base.shown, painted.fingerprint(bases.files_of(base.folder)), bases.sampler(base))
    if tuned is None:
        return Origin("", "", None, "", *below)
    try:
        is_lora = tuned.kind == "lora"
        digest = sha256_of(tuned.path) if is_lora else painted.fingerprint(bases.files_of(tuned.path))
    except OSError as error:
        raise TrainerError(f"cannot be read: {os_reason(error)}", str(tuned.path), "check its permissions") from error
    return Origin(tuned.name, tuned.kind, tuned.step, digest, *below)


def made_with() -> dict[str, str]:
    """Versions of the libraries that paint."""
    from importlib import metadata

    return {name: metadata.version(name) for name in ("torch", "diffusers", "transformers", "peft")}
