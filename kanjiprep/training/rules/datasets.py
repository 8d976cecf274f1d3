"""multidatabackend.json: datasets, caches and folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from kanjiprep.training.rules.rule import Hit, Rule, rule
from kanjiprep.training.rules.subject import TRAINED, Subject, Table, key_of, kind, name_of

_FACTORY: Final = "SimpleTuner 4.10.1 helpers/data_backend/factory.py"
_TYPES: Final = ("local", "aws", "csv", "huggingface", "webshart", "memory")
_CACHES: Final = ("text_embeds", "image_embeds", "conditioning_image_embeds")
_KINDS: Final = (*sorted(TRAINED), "conditioning", "eval", *_CACHES, "caption", "distillation_cache", "grounding")
_FROM_CAPTIONS: Final = ("caption", "distillation_cache")


def _folders(dataset: Table) -> tuple[str, ...]:
    raw = dataset.get("instance_data_dir", dataset.get("instance_data_root"))
    folders = raw if isinstance(raw, list) else [raw]
    return tuple(str(folder).strip() for folder in folders if folder and str(folder).strip())


@rule(
    "nothing-to-train-on",
    "error",
    "No dataset to train on",
    why="A run learns from datasets of the type image, video or audio that are not disabled.",
    fix="Add one, or enable it.",
    source=_FACTORY,
)
def nothing_to_train_on(subject: Subject) -> Iterator[Hit]:
    """No enabled dataset of a kind that is learnt from."""
    kinds = {kind(one) for one in subject.datasets}
    if subject.backends and not kinds & (TRAINED | set(_FROM_CAPTIONS)):
        yield Hit("data_backend_config", f"There are {len(subject.backends)} datasets, none of them to train on.")


@rule(
    "dataset-id",
    "error",
    "Datasets without an id of their own",
    why="Every dataset needs an id that no other one has; its caches are kept under it.",
    fix="Give each dataset its own id.",
    source=f"{_FACTORY} _prevalidate_backend_ids, run",
)
def dataset_id(subject: Subject) -> Iterator[Hit]:
    """Missing and doubled ids."""
    nameless = [one for one in subject.datasets if not one.get("id")]
    if nameless:
        yield Hit("id", f"{len(nameless)} of {len(subject.datasets)} datasets have no id.")
    ids = [str(one["id"]) for one in subject.datasets if one.get("id") and kind(one) not in _CACHES]
    for name, count in Counter(ids).items():
        if count > 1:
            yield Hit(f"{name}.id", f"{count} datasets have the id {name}.")


@rule(
    "dataset-type",
    "error",
    "A type of dataset that does not exist",
    why="type and dataset_type must be of the words that the trainer knows, and type must be there.",
    fix="Write one of the words that are listed.",
    source=f"{_FACTORY}, helpers/data_backend/builders, dataset_types.py",
)
def dataset_type(subject: Subject) -> Iterator[Hit]:
    """Unknown words for type and dataset_type."""
    for dataset in subject.datasets:
        if dataset.get("type") not in _TYPES:
            yield Hit(key_of(dataset, "type"), f"type {dataset.get('type')!r} is none of {', '.join(_TYPES)}.")
        if kind(dataset) not in _KINDS:
            yield Hit(key_of(dataset, "dataset_type"), f"{kind(dataset)!r} is none of {', '.join(_KINDS)}.")


@rule(
    "dataset-key-gone",
    "error",
    "A dataset key that is gone",
    why="disable_vae_cache was renamed and is refused in a dataset.",
    fix="Write vae_cache_disable.",
    source=f"{_FACTORY} init_backend_config",
)
def dataset_key_gone(subject: Subject) -> Iterator[Hit]:
    """The old name of vae_cache_disable."""
    for dataset in subject.datasets:
        if "disable_vae_cache" in dataset:
            yield Hit(key_of(dataset, "disable_vae_cache"), f"{name_of(dataset)} has disable_vae_cache.")


@rule(
    "two-default-text-caches",
    "error",
    "Two default text caches",
    why="Only one dataset of the type text_embeds may be the default one.",
    fix='Leave "default": true with one of them.',
    source=f"{_FACTORY}, run",
)
def two_defaults(subject: Subject) -> Iterator[Hit]:
    """More than one default."""
    defaults = [one for one in subject.datasets if kind(one) == "text_embeds" and one.get("default") is True]
    if len(defaults) > 1:
        yield Hit(key_of(defaults[1], "default"), f"{' and '.join(map(name_of, defaults))} are both the default.")


@rule(
    "no-picture-folder",
    "error",
    "A local dataset without a folder",
    why="A dataset of the type local needs instance_data_dir.",
    fix="Write the folder of the pictures.",
    source=f"{_FACTORY} _configure_backend_by_type",
)
def no_picture_folder(subject: Subject) -> Iterator[Hit]:
    """Local datasets that name no folder."""
    for dataset in subject.trained:
        if dataset.get("type") == "local" and not _folders(dataset):
            yield Hit(key_of(dataset, "instance_data_dir"), f"{name_of(dataset)} names no folder.")


@rule(
    "no-hub-dataset",
    "error",
    "A Hub dataset without a name",
    why="A dataset of the type huggingface needs dataset_name.",
    fix="Write the repository: owner/name.",
    source=f"{_FACTORY}, run",
)
def no_hub_dataset(subject: Subject) -> Iterator[Hit]:
    """Hub datasets that name no repository."""
    for dataset in subject.trained:
        block = dataset.get("huggingface")
        name = dataset.get("dataset_name") or (block.get("dataset_name") if isinstance(block, dict) else None)
        if dataset.get("type") == "huggingface" and not name:
            yield Hit(key_of(dataset, "dataset_name"), f"{name_of(dataset)} names no repository.")


@rule(
    "shared-cache",
    "error",
    "Two caches in one folder",
    why="Each dataset needs a cache_dir_vae of its own, which is not that of the texts either.",
    fix="Give each its own folder.",
    source=f"{_FACTORY} _configure_vae_cache",
)
def shared_cache(subject: Subject) -> Iterator[Hit]:
    """Picture caches that another dataset uses too."""
    taken = {str(one.get("cache_dir")) for one in subject.datasets if kind(one) == "text_embeds"}
    for dataset in (one for one in subject.datasets if kind(one) not in _CACHES and one.get("cache_dir_vae")):
        folder = str(dataset["cache_dir_vae"])
        if folder in taken:
            yield Hit(key_of(dataset, "cache_dir_vae"), f"{folder} is the cache of another dataset already.")
        taken.add(folder)


@rule(
    "output-among-pictures",
    "error",
    "Output that becomes training data",
    why="A local folder is searched with all its subfolders: validation pictures in output_dir are trained on too.",
    fix="Write an output_dir outside of the folder of pictures.",
    source="SimpleTuner 4.10.1 helpers/data_backend/local.py list_files",
)
def output_among_pictures(subject: Subject) -> Iterator[Hit]:
    """An output_dir that is, or is inside of, a folder of pictures."""
    output = subject.text("output_dir")
    for dataset in subject.trained:
        for folder in _folders(dataset) if output and dataset.get("type") == "local" else ():
            if PurePath(output).is_relative_to(folder):
                yield Hit("output_dir", f"{output} is inside of {folder}, the pictures of {name_of(dataset)}.")


@rule(
    "deletes-pictures",
    "warning",
    "Pictures that the trainer may delete",
    why="delete_problematic_images and delete_unwanted_images delete files of the dataset itself.",
    fix="Leave both off, and check the dataset before.",
    source="SimpleTuner 4.10.1 helpers/metadata/backends/discovery.py",
)
def deletes_pictures(subject: Subject) -> Iterator[Hit]:
    """Either switch, with a local dataset."""
    if not any(one.get("type") == "local" for one in subject.trained):
        return
    for key in ("delete_problematic_images", "delete_unwanted_images"):
        if subject.flag(key):
            yield Hit(key, f"{key} is on, with a local dataset.")


RULES: Final[tuple[Rule, ...]] = (
    nothing_to_train_on,
    dataset_id,
    dataset_type,
    dataset_key_gone,
    two_defaults,
    no_picture_folder,
    no_hub_dataset,
    shared_cache,
    output_among_pictures,
    deletes_pictures,
)
