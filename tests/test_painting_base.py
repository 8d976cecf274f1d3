from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kanjiprep.errors import HubError, TrainerError, UsageError
from kanjiprep.publishing import tuned as tuneds
from kanjiprep.publishing.painting import base as bases
from tests import painting_models

LARGE = "stabilityai/stable-diffusion-3.5-large"


def test_a_folder_is_read(tmp_path: Path) -> None:
    found = bases.here(str(painting_models.base(tmp_path / "my sd3")))
    assert found is not None
    assert (found.shown, found.family, found.flavour) == ("my sd3", "sd3", "tiny")
    assert dict(found.parts) == {"transformer": 12, "vae": 12}
    assert bases.sampler(found) == "FlowMatchEulerDiscreteScheduler"


def test_a_folder_of_sd1x_is_read(tmp_path: Path) -> None:
    found = bases.here(str(painting_models.base(tmp_path / "sd1x", painting_models.SD1X)))
    assert found is not None
    assert (found.family, found.flavour) == ("sd1x", "tiny")


def test_shards_and_old_files_are_counted(tmp_path: Path) -> None:
    folder = painting_models.base(tmp_path / "sd3")
    part = folder / "transformer"
    whole = part / "diffusion_pytorch_model.safetensors"
    whole.rename(part / "diffusion_pytorch_model-00001-of-00001.safetensors")
    index = {"weight_map": {"weight": "diffusion_pytorch_model-00001-of-00001.safetensors"}}
    (part / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "vae" / "diffusion_pytorch_model.bin").write_bytes(bytes(80))
    found = bases.here(str(folder))
    assert found is not None
    assert dict(found.parts) == {"transformer": 12, "vae": 20}


def broken(change: Callable[[Path], Any]) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        painting_models.base(folder)
        change(folder)
        return folder

    return made


def indexed(files: str) -> Callable[[Path], Path]:
    """A pipeline in which an index says which files the weights of the vae are in."""

    def change(folder: Path) -> None:
        file = next((folder / "vae").glob("*.safetensors"))
        file.with_name(f"{file.name}.index.json").write_text(f'{{"weight_map": {files}}}')
        file.unlink()

    return broken(change)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (broken(lambda one: (one / "model_index.json").unlink()), "has no model_index.json"),
        (broken(lambda one: (one / "model_index.json").write_text("{")), "model_index.json is no JSON"),
        (broken(lambda one: (one / "model_index.json").write_text("[]")), "model_index.json is no JSON table"),
        (broken(lambda one: (one / "model_index.json").write_text("{}")), "is of the kind None, with which"),
        (broken(lambda one: (one / "transformer/config.json").unlink()), "not whole: transformer/config.json is not"),
        (
            broken(lambda one: next((one / "vae").glob("*.safetensors")).unlink()),
            "not whole: the weights of vae is not",
        ),
        (
            broken(lambda one: (one / "transformer/config.json").write_text("no")),
            "transformer/config.json is no JSON",
        ),
        (indexed("[]"), "model.safetensors.index.json does not say which files the weights are in"),
        (indexed('{"a": []}'), "model.safetensors.index.json does not say which files the weights are in"),
        (indexed("{}"), "not whole: the weights of vae is not"),
        (indexed('{"a": "one.safetensors"}'), "not whole: vae/one.safetensors is not"),
    ],
)
def test_a_folder_that_is_no_whole_pipeline_is_refused(
    make: Callable[[Path], Path], told: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainerError, match=told):
        bases.here(str(make(tmp_path / "base")))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = painting_models.base(tmp_path / "base")
    (folder / "model_index.json").unlink()
    (folder / "model_index.json").mkdir()
    with pytest.raises(TrainerError, match="model_index.json cannot be read: is a directory"):
        bases.here(str(folder))


def test_what_is_neither_a_folder_nor_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nobody knows which model it belongs to; give --base MODEL"):
        bases.here(" ")
    with pytest.raises(UsageError, match="nowhere: there is no such folder"):
        bases.here("nowhere")
    with pytest.raises(UsageError, match="there is no such folder"):
        bases.here("a\0b")
    (tmp_path / "sd3.safetensors").write_bytes(b"x")
    with pytest.raises(UsageError, match="is one file, and a model to paint with is a folder"):
        bases.here(str(tmp_path / "sd3.safetensors"))


def test_a_model_that_is_not_in_the_cache_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert bases.here("nobody/nothing") is None
    assert bases.here("nobody/no--thing..") is None


def test_without_the_hubs_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match="pictures need diffusers"):
        bases.here("nobody/nothing")


@pytest.fixture
def answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))

    def answer(given: Any) -> None:
        def download(repo: str, name: str) -> str:
            assert (repo, name) == ("some/model", "model_index.json")
            if isinstance(given, Exception):
                raise given
            return str(given)

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)

    return answer


def test_a_fetched_model_is_read(answered: Callable[[Any], None], tmp_path: Path, monkeypatch: Any) -> None:
    folder = painting_models.base(tmp_path / "snapshot")
    answered(folder / "model_index.json")
    monkeypatch.setattr(bases, "_download", lambda _: folder)
    found = bases.fetch("some/model")
    assert (found.name, found.shown, found.folder) == ("some/model", "some/model", folder)


def test_a_repository_that_is_no_pipeline_is_refused_before_it_is_downloaded(
    answered: Callable[[Any], None], tmp_path: Path
) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    answered(tmp_path / "model_index.json")
    with pytest.raises(TrainerError, match="is of the kind FluxPipeline, with which kanjiprep cannot paint"):
        bases.fetch("some/model")


def test_what_the_hub_refuses_is_told(answered: Callable[[Any], None]) -> None:
    answered(ConnectionError("no route"))
    with pytest.raises(HubError, match="some/model: is not in the cache, and the Hub cannot be reached"):
        bases.fetch("some/model")
    wrapped = OSError("Cannot load model")
    wrapped.__cause__ = ConnectionError("no route")
    answered(wrapped)
    with pytest.raises(HubError, match="the Hub cannot be reached"):
        bases.fetch("some/model")


def test_a_repository_without_an_index_is_told(answered: Callable[[Any], None]) -> None:
    from huggingface_hub import errors

    missing = errors.RemoteEntryNotFoundError.__new__(errors.RemoteEntryNotFoundError)
    answered(missing)
    with pytest.raises(TrainerError, match="some/model: has no model_index.json"):
        bases.fetch("some/model")


def test_the_need_of_a_model_that_is_not_here_is_known_for_the_usual_ones() -> None:
    need = bases.need_unseen(LARGE, "sd3", "large")
    assert need is not None
    assert round(need.in_all("bfloat16") / 2**30, 1) == 25.6
    assert bases.need_unseen("some/other", "sd3", "large") is None
    assert bases.need_unseen(LARGE, "", "") is None


def test_an_adapter_adds_to_the_need(tmp_path: Path) -> None:
    base = bases.here(str(painting_models.base(tmp_path / "sd3")))
    tuned = tuneds.find(str(painting_models.lora(tmp_path / "a.safetensors")))
    assert base is not None
    size = tuned.path.stat().st_size
    assert bases.need(base, tuned).in_all("float32") == 24 * 4 + size
    assert bases.need(base, None, 5).largest("float32") == 12 * 4 + 5


def test_all_but_what_is_not_used_is_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []

    class DiffusionPipeline:
        @staticmethod
        def download(name: str, **unused: None) -> str:
            asked.append((name, unused))
            return str(tmp_path)

    monkeypatch.setitem(sys.modules, "diffusers", SimpleNamespace(DiffusionPipeline=DiffusionPipeline))
    assert bases._download("some/model") == tmp_path
    assert asked == [("some/model", {"safety_checker": None, "image_encoder": None})]
