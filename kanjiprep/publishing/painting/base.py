"""The model below: where its files are, whether they are whole, and how large it is."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

from kanjiprep.errors import TrainerError, UsageError, os_reason
from kanjiprep.evaluation.weights import safetensors_file
from kanjiprep.paths import expanded
from kanjiprep.publishing.hub import fault
from kanjiprep.publishing.painting import faults
from kanjiprep.publishing.painting.devices import Need, missing_extra
from kanjiprep.publishing.tuned import PARTS, Tuned
from kanjiprep.training import models
from kanjiprep.training.run_spec import FLAVOURS

INDEX: Final = "model_index.json"
CONFIG: Final = "config.json"
FAMILIES: Final[Mapping[str, str]] = {"StableDiffusion3Pipeline": "sd3", "StableDiffusionPipeline": "sd1x"}
"""What can be painted with, by the name of its pipeline in diffusers."""
UNUSED: Final = ("safety_checker", "image_encoder")
"""Parts that are not loaded: one blackens pictures that it takes for others, the other reads pictures."""
_REPO: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_PLAIN: Final = ("tokenizer", "scheduler")
"""Parts without weights."""
_WEIGHTS: Final = ("diffusion_pytorch_model", "model", "pytorch_model")
_LAYOUT: Final = "give a folder in the layout of diffusers, or such a repository, with --base"
_PICKLED_BYTES: Final = 4
"""Of a number in a file that is not .safetensors: such files are old and hold float32."""


@dataclass(frozen=True, slots=True)
class Base:
    """A pipeline in the layout of diffusers.

    Attributes:
        name: As it was given.
        shown: The same without the folders of this machine.
        folder: Where its files are.
        family: ``sd3`` or ``sd1x``.
        flavour: As in a spec, by the shape of its main part; empty for one that is not known.
        parts: How many numbers each part has, by its name.
    """

    name: str
    shown: str
    folder: Path
    family: str
    flavour: str
    parts: Mapping[str, int]


def here(name: str) -> Base | None:
    """The model ``name`` if it is on this machine: a folder, or in the Hub's cache.

    Raises:
        UsageError: If it is neither a folder nor the name of a repository, or huggingface_hub is not there.
        TrainerError: If the folder is no pipeline that can be painted with.
    """
    if not name.strip():
        raise UsageError("nobody knows which model it belongs to", "--base", "give --base MODEL")
    with suppress(OSError, ValueError):
        folder = expanded(Path(name))
        if folder.is_dir():
            return _read(name, folder)
        if folder.is_file():
            remedy = "give a folder in the layout of diffusers, or a repository of the Hub"
            raise UsageError("is one file, and a model to paint with is a folder", name, remedy)
    if not _REPO.fullmatch(name):
        raise UsageError("there is no such folder", name, "give --base with a folder or a repository OWNER/NAME")
    cached = _cached(name)
    return None if cached is None or any(_missing(cached)) else _read(name, cached)


def fetch(name: str) -> Base:
    """The model ``name``, downloaded if it is not on this machine.

    Raises:
        UsageError: If it is neither a folder nor the name of a repository.
        HubError: If it has to be fetched and cannot be.
        TrainerError: If it is no pipeline that can be painted with.
    """
    found = here(name)
    if found is not None:
        return found
    import huggingface_hub
    from huggingface_hub import errors

    try:
        with _without_retries_told():
            index = Path(huggingface_hub.hf_hub_download(name, INDEX))
            _family(name, _table(index, name))
            folder = _download(name)
    except (TrainerError, UsageError):
        raise
    except Exception as error:  # the client's own kinds, httpx's and the system's: told apart there
        if isinstance(error, errors.RemoteEntryNotFoundError):
            raise TrainerError(f"has no {INDEX}", name, _LAYOUT) from error
        raise faults.of_hub(fault.describe(_root(error)), name, huggingface_hub.constants.ENDPOINT) from error
    return _read(name, folder)


@contextmanager
def _without_retries_told() -> Iterator[None]:
    """A block in which the Hub's client says nothing of each try; what comes of them is told once."""
    from huggingface_hub import logging as theirs

    before = theirs.get_verbosity()
    theirs.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        theirs.set_verbosity(before)


def _download(name: str) -> Path:
    from diffusers import DiffusionPipeline

    return Path(DiffusionPipeline.download(name, **dict.fromkeys(UNUSED)))


def _root(error: BaseException) -> BaseException:
    """What diffusers has put into an error of its own."""
    return error.__cause__ if type(error) is OSError and error.__cause__ is not None else error


def _cached(repo: str) -> Path | None:
    try:
        import huggingface_hub
    except ImportError as error:
        raise missing_extra() from error
    try:
        found = huggingface_hub.try_to_load_from_cache(repo, INDEX)
    except ValueError:  # no name of a repository: the download says why
        return None
    return Path(found).parent if isinstance(found, str) else None


def _read(name: str, folder: Path) -> Base:
    index = _table(folder / INDEX, name)
    family = _family(name, index)
    missing = list(_missing(folder))
    if missing:
        remedy = "copy or download the folder again"
        raise TrainerError(f"is not whole: {', '.join(missing[:3])} is not there", name, remedy)
    counted = {one: _count(folder / one) for one in _used(index)}
    shown = folder.resolve().name if expanded(Path(name)).is_dir() else name
    return Base(name, shown, folder, family, flavour(family, folder / PARTS[family]), counted)


def _family(name: str, index: Mapping[str, Any]) -> str:
    kind = index.get("_class_name")
    family = FAMILIES.get(kind) if isinstance(kind, str) else None
    if family is None:
        what = f"is of the kind {str(kind)[:60]}, with which kanjiprep cannot paint"
        raise TrainerError(what, name, "give a model of SD 3, SD 3.5 or SD 1.5 with --base")
    return family


def _table(path: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise TrainerError(f"has no {_inside(path)}", name, _LAYOUT) from error
    except OSError as error:
        raise TrainerError(f"{_inside(path)} cannot be read: {os_reason(error)}", name, _LAYOUT) from error
    except (ValueError, RecursionError) as error:
        raise TrainerError(f"{_inside(path)} is no JSON", name, _LAYOUT) from error
    if not isinstance(found, dict):
        raise TrainerError(f"{_inside(path)} is no JSON table", name, _LAYOUT)
    return found


def _inside(path: Path) -> str:
    return path.name if path.name == INDEX else f"{path.parent.name}/{path.name}"


def _used(index: Mapping[str, Any]) -> Iterator[str]:
    """Parts that are loaded and have weights."""
    for part, made_of in index.items():
        is_part = isinstance(made_of, list) and len(made_of) == 2 and isinstance(made_of[1], str)  # noqa: PLR2004
        has_weights = part.startswith(("text_encoder", "vae", *PARTS.values()))
        if is_part and has_weights and part not in UNUSED:
            yield part


def _missing(folder: Path) -> Iterator[str]:
    """Files without which the pipeline in ``folder`` cannot be loaded."""
    with suppress(TrainerError):
        index = _table(folder / INDEX, "")
        yield from (
            part for part in index if part.startswith(_PLAIN) and index[part] and not (folder / part).is_dir()
        )
        for part in _used(index):
            if not (folder / part / CONFIG).is_file():
                yield f"{part}/{CONFIG}"
            files = _files(folder / part)
            yield from (f"{part}/{one.name}" for one in files if not one.is_file())
            if not files:
                yield f"the weights of {part}"


def _files(part: Path) -> tuple[Path, ...]:
    """The files of a part's weights that diffusers loads; those that an index names, there or not."""
    for suffix in (".safetensors", ".bin"):
        for stem in _WEIGHTS:
            index = part / f"{stem}{suffix}.index.json"
            if index.is_file():
                return tuple(part / one for one in _named_by(index, part.name))
            if (part / f"{stem}{suffix}").is_file():
                return (part / f"{stem}{suffix}",)
    return ()


def _named_by(index: Path, name: str) -> list[str]:
    names = _table(index, name).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(one, str) for one in names.values()):
        raise TrainerError(f"{_inside(index)} does not say which files the weights are in", name, _LAYOUT)
    return sorted(set(names.values()))


def _count(part: Path) -> int:
    """How many numbers a part has."""
    return sum(map(_numbers, _files(part)))


def _numbers(file: Path) -> int:
    if file.suffix != safetensors_file.SUFFIX:
        return file.stat().st_size // _PICKLED_BYTES
    return sum(prod(tensor.shape) for tensor in safetensors_file.read(file).tensors.values())


def flavour(family: str, part: Path) -> str:
    """The flavour of the main part in the folder ``part``, by its shape; empty for one that is not known.

    Raises:
        TrainerError: If its config cannot be read.
    """
    return models.flavour_of(family, _table(part / CONFIG, part.name))


def need(base: Base, tuned: Tuned | None, adapter_bytes: int = 0) -> Need:
    """What has to be loaded of ``base``, with ``tuned`` and another adapter of so many bytes."""
    is_adapter = tuned is not None and tuned.kind == "lora"
    own = tuned.path.stat().st_size if tuned is not None and is_adapter else 0
    return Need(base.shown, base.parts, max(own, adapter_bytes))


def need_unseen(name: str, family: str, flavour: str) -> Need | None:
    """What has to be loaded of a model that is not on this machine; None for one that we do not know."""
    if family not in FLAVOURS or flavour not in FLAVOURS[family]:
        return None
    known = models.model_of(family, flavour)
    if name != known.repo:
        return None
    parts = {PARTS[family]: known.parameters, **{part: count for part, count, _ in known.files}}
    return Need(name, parts)


def sampler(base: Base) -> str:
    """The class of the base model's scheduler.

    Raises:
        TrainerError: If its config cannot be read.
    """
    return str(_table(base.folder / "scheduler" / "scheduler_config.json", base.name).get("_class_name", ""))


def files_of(folder: Path) -> tuple[Path, ...]:
    """The files of weights of a pipeline's folder, or of one part's.

    Raises:
        TrainerError: If a file that says which they are cannot be read.
    """
    if (folder / INDEX).is_file():
        return tuple(file for part in _used(_table(folder / INDEX, folder.name)) for file in _files(folder / part))
    return _files(folder)
