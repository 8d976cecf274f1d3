from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep import __version__
from kanjiprep.training.pictures import Dataset, Picture
from kanjiprep.training.running import gpu, surroundings
from kanjiprep.training.running.gpu import Gpu
from kanjiprep.training.trainer import Trainer

DATASET = Dataset(Path("/dataset"), (Picture("亜.png", "kanji", 8, 8),) * 3, "ab12")


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(tmp_path / "bin" / "python", "4.10.1", tmp_path / "site" / "simpletuner", "option")


def install(site: Path, name: str, version: str) -> None:
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")


def test_packages_are_those_that_matter_with_their_versions(tmp_path: Path) -> None:
    assert surroundings.packages(tmp_path / "gone") == {}
    for name, version in (
        ("torch", "2.13.0+cu130"),
        ("diffusers", "0.39.0"),
        ("requests", "2.0"),
        ("torchvision", "1"),
    ):
        install(tmp_path, name, version)
    assert surroundings.packages(tmp_path) == {"torch": "2.13.0+cu130", "diffusers": "0.39.0"}


def test_what_is_no_checkout_has_no_commit(tmp_path: Path) -> None:
    assert surroundings.commit(tmp_path) == ""


def test_the_surroundings_of_a_run_without_a_gpu(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "commit", lambda root: f"commit of {root.name}")
    monkeypatch.setattr(gpu, "read", lambda: pytest.fail("nobody asked for a GPU"))
    install(trainer.package.parent, "torch", "2.13.0")
    found = surroundings.read(trainer, DATASET, on_gpu=False)
    root = Path(__file__).parent.parent.name
    assert (found.kanjiprep, found.commit, found.simpletuner) == (__version__, f"commit of {root}", "4.10.1")
    assert (found.trainer, found.packages) == (str(trainer.python), {"torch": "2.13.0"})
    assert (found.gpus, found.driver) == ((), "")
    assert (found.dataset, found.digest, found.pictures) == ("/dataset", "ab12", 3)
    assert (found.hub_dataset, found.hub_revision) == ("", "")
    on_the_hub = surroundings.read(trainer, replace(DATASET, hub="me/kanji@c0ffee"), on_gpu=False)
    assert (on_the_hub.hub_dataset, on_the_hub.hub_revision) == ("me/kanji", "c0ffee")


def test_the_surroundings_of_a_run_on_gpus(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Gpu("NVIDIA H100", "570.86.15", None, None, None, None, None)
    monkeypatch.setattr(surroundings, "commit", lambda _: "")
    monkeypatch.setattr(gpu, "read", lambda: (one, one))
    found = surroundings.read(trainer, DATASET, on_gpu=True)
    assert (found.gpus, found.driver) == (("NVIDIA H100", "NVIDIA H100"), "570.86.15")
    monkeypatch.setattr(gpu, "read", lambda: ())
    found = surroundings.read(trainer, DATASET, on_gpu=True)
    assert (found.gpus, found.driver) == ((), "")


def test_nothing_of_the_environment_is_written(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "commit", lambda _: "")
    monkeypatch.setenv("HF_TOKEN", "hf_thesecretofsomebody")
    found = surroundings.read(trainer, DATASET, on_gpu=False)
    data = surroundings.to_bytes(found)
    assert b"thesecret" not in data
    assert set(json.loads(data)) == {
        "kanjiprep", "commit", "python", "system", "simpletuner", "trainer", "packages", "gpus", "driver",
        "dataset", "digest", "is_built", "hub_dataset", "hub_revision", "pictures",
    }  # fmt: skip
