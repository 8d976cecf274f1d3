"""A trained judge as a value, and as one file that is named by its dataset."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
import platformdirs
from numpy.typing import NDArray

from kanjiprep import metadata, receipt, spec
from kanjiprep.dataset import characters
from kanjiprep.dataset.characters import Character
from kanjiprep.errors import InputError, TrainerError, os_reason
from kanjiprep.evaluation.weights import safetensors_file

Numbers = NDArray[np.float32]

VERSION: Final = "1"
"""Of the network and of what it looks at; weights of another one are of no use."""
_KIND: Final = "kanjiprep judge"
_BANK: Final = "bank"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_REMEDY: Final = "train it again with kanjiprep score --train-judge"


@dataclass(frozen=True, slots=True)
class Figures:
    """How good a judge is on characters that it has not learnt.

    Components and strokes are looked for in plain drawings of them, and it is worse on painted ones. What is looked
    up among the characters is changed, as those that it learns from are.

    Attributes:
        learnt: How many characters it has learnt.
        measured: How many others the figures are of.
        average_precision: Mean of the components' average precision.
        recall: Share of the components there that it finds.
        precision: Share of the components it finds that are there.
        stroke_error: Mean error of the number of strokes.
        novelty_auc: Chance that an unknown character is called newer than a copy of a known one.
        top_1: Share of the copies whose original is the nearest character.
    """

    learnt: int
    measured: int
    average_precision: float
    recall: float
    precision: float
    stroke_error: float
    novelty_auc: float
    top_1: float


@dataclass(frozen=True, slots=True)
class Words:
    """All of a judge but its numbers.

    Attributes:
        dataset: What names the dataset, see ``key_of``.
        kanjivg: SHA-256 of KanjiVG's drawings.
        seed: Of the training.
        torch: Version that trained it; another one may give other numbers.
        components: Those that it tells apart.
        characters: Every character of the dataset that KanjiVG draws.
        phrases: The component that each meaning stands for.
        slope: Of the curve of novelty, see ``see.novelty``.
        middle: The similarity at which a copy is as likely as an unknown character.
        figures: How good it is.
    """

    dataset: str
    kanjivg: str
    seed: int
    torch: str
    components: tuple[str, ...]
    characters: str
    phrases: Mapping[str, str]
    slope: float
    middle: float
    figures: Figures


@dataclass(frozen=True, slots=True)
class Judge(Words):
    """A trained judge.

    Attributes:
        weights: Of the network, by name.
        bank: (characters, features) float32, each of length 1.
    """

    weights: Mapping[str, Numbers]
    bank: Numbers


_WORDS: Final = tuple(one.name for one in fields(Words))


def default_folder() -> Path:
    """Where judges are kept, honouring ``XDG_DATA_HOME``."""
    return platformdirs.user_data_path("kanjiprep") / "judges"


def path_of(folder: Path, key: str) -> Path:
    """The file of the judge of a dataset.

    Args:
        folder: Where judges are kept.
        key: As ``key_of`` gives it, or the digest of the dataset that a run has noted.
    """
    name = key if _DIGEST.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()
    return folder / f"{name}{safetensors_file.SUFFIX}"


def characters_of(dataset: Path) -> tuple[Character, ...]:
    """What is known of the pictures of a dataset folder, in the order of its table.

    Raises:
        DatasetError: If its tables cannot be read.
    """
    names = [name for name, _ in metadata.read_rows(dataset / metadata.NAME)]
    return characters.read(dataset, names)


def key_of(dataset: Path) -> str:
    """What names a dataset: the digest of its birth certificate, or else one of its characters.

    Raises:
        DatasetError: If its tables cannot be read.
    """
    certified = receipt.certified_digest(dataset)
    return certified or hashlib.sha256(characters.to_jsonl(characters_of(dataset))).hexdigest()


def write(judge: Judge, folder: Path) -> Path:
    """Write a judge aside and rename it; gives its file. The same judge gives the same bytes.

    Raises:
        TrainerError: If it cannot be written.
    """
    path = path_of(folder, judge.dataset)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot be written: {os_reason(error)}", str(folder), "check its permissions") from error
    tensors = {name: _raw(value, "F32") for name, value in judge.weights.items()}
    tensors[_BANK] = _raw(judge.bank, "F16")
    words = {name: getattr(judge, name) for name in _WORDS}
    words["figures"] = asdict(judge.figures)
    text = json.dumps(words, ensure_ascii=False, sort_keys=True)
    digest = _digest(text, {name: data for name, (_, _, data) in tensors.items()})
    safetensors_file.write(
        path, tensors, {"kind": _KIND, "version": VERSION, "dataset": judge.dataset, "judge": text, "sha256": digest}
    )
    return path


def load(folder: Path, key: str) -> Judge | None:
    """The judge of a dataset; None if none was trained.

    Args:
        folder: Where judges are kept.
        key: As ``path_of`` takes it.

    Raises:
        InputError: If the file is damaged, not a judge, or one of another dataset or version.
    """
    path = path_of(folder, key)
    if not path.exists():
        return None
    try:
        return _read(path, key)
    except TrainerError as error:
        raise InputError(error.what, str(path), _REMEDY) from error


def _read(path: Path, key: str) -> Judge:
    header = safetensors_file.read(path)
    words = header.metadata
    if words.get("kind") != _KIND:
        raise InputError("is no trained judge", str(path), _REMEDY)
    if (words.get("version"), words.get("dataset")) != (VERSION, key):
        raise InputError("is a judge of another dataset or version", str(path), _REMEDY)
    data = {name: safetensors_file.raw(path, header, name) for name in header.tensors}
    if words.get("sha256") != _digest(words.get("judge", ""), data) or _BANK not in data:
        raise InputError("was changed since it was written", str(path), _REMEDY)
    numbers = {name: safetensors_file.values(path, header, name) for name in header.tensors}
    told = spec.from_table(Words, json.loads(words["judge"]), str(path))
    bank = numbers.pop(_BANK)
    return Judge(**{name: getattr(told, name) for name in _WORDS}, weights=numbers, bank=bank)


def _raw(numbers: Numbers, dtype: str) -> safetensors_file.Raw:
    return dtype, tuple(numbers.shape), safetensors_file.encode(numbers, dtype)


def _digest(text: str, data: Mapping[str, bytes | memoryview]) -> str:
    """SHA-256 over the words and the bytes of every tensor."""
    total = hashlib.sha256(text.encode())
    for name in sorted(data):
        total.update(f"\n{name} {len(data[name])}\n".encode())
        total.update(data[name])
    return total.hexdigest()
