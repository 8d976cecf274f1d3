"""What a run was made with: versions, machine, dataset. No variable of the environment is among it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from kanjiprep import __version__
from kanjiprep.training.pictures import Dataset
from kanjiprep.training.running import gpu
from kanjiprep.training.trainer import Trainer

_PACKAGES: Final = ("torch", "diffusers", "transformers", "accelerate", "peft", "safetensors", "bitsandbytes")
_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What environment.json holds.

    Attributes:
        kanjiprep: Our version.
        commit: Of our checkout; empty for an installed package.
        python: That we run under.
        system: Kernel, architecture and C library.
        simpletuner: Its version.
        trainer: Its Python.
        packages: Versions of what the trainer works with; those that it lacks are left out.
        gpus: By the driver; none without one.
        driver: Its version; empty without one.
        dataset: Folder of the pictures.
        digest: Of the dataset; empty if it is not known.
        is_built: Whether it has a birth certificate of ours.
        hub_dataset: Repository of the Hub where it stands; empty if it is not known.
        hub_revision: The commit there.
        pictures: How many.
    """

    kanjiprep: str
    commit: str
    python: str
    system: str
    simpletuner: str
    trainer: str
    packages: dict[str, str]
    gpus: tuple[str, ...]
    driver: str
    dataset: str
    digest: str
    is_built: bool
    hub_dataset: str
    hub_revision: str
    pictures: int


def read(trainer: Trainer, dataset: Dataset, on_gpu: bool) -> Surroundings:
    """The surroundings of a run that is about to start."""
    found, machine = gpu.read() if on_gpu else (), os.uname()
    hub_dataset, _, hub_revision = dataset.hub.partition("@")
    return Surroundings(
        kanjiprep=__version__,
        commit=commit(Path(__file__).resolve().parents[3]),
        python=platform.python_version(),
        system=" ".join((machine.sysname, machine.release, machine.machine, *platform.libc_ver())),
        simpletuner=trainer.version,
        trainer=str(trainer.python),
        packages=packages(trainer.package.parent),
        gpus=tuple(one.name for one in found),
        driver=found[0].driver if found else "",
        dataset=str(dataset.folder),
        digest=dataset.digest,
        is_built=dataset.is_built,
        hub_dataset=hub_dataset,
        hub_revision=hub_revision,
        pictures=len(dataset.pictures),
    )


def packages(site: Path) -> dict[str, str]:
    """Versions by name of what matters in a folder of packages."""
    found = (importlib.metadata.distributions(name=name, path=[str(site)]) for name in _PACKAGES)
    return {one.metadata["Name"]: one.version for several in found for one in several}


def commit(root: Path) -> str:
    """The git commit that is checked out in ``root``; empty if it is no checkout, or there is no git."""
    if not (root / ".git").exists():
        return ""
    words = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def to_bytes(about: Surroundings) -> bytes:
    """``about`` as the bytes of environment.json."""
    return (json.dumps(asdict(about), ensure_ascii=False, indent=2) + "\n").encode()
