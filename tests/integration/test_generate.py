"""Pictures painted by the real diffusers, with models of random weights: from the command to the page."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kanjiprep.errors import HubError, TrainerError, UsageError
from kanjiprep.publishing import tuned as tuneds
from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting import fitting, painted
from kanjiprep.publishing.painting.devices import Placement
from kanjiprep.publishing.painting.model import Ways, opened
from kanjiprep.publishing.painting.wish import Painter, Unpainted, Wish
from kanjiprep.training.inside import tiny_model
from kanjiprep.training.running.attempts import WEIGHTS
from tests.conftest import Run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*torchvision.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

WISH = Wish("mountains", "mountains", "blurry", seed=7, size_px=64, steps=2)
CPU = Ways(device="cpu")
SMALL = ("--size-px", "64", "--steps", "2")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with both tiny models, a LoRA and a trained UNet."""
    import torch

    folder = tmp_path_factory.mktemp("tiny")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # models this small only wait for each other's threads
    for family, made_of in tiny_model.FAMILIES.items():
        (folder / family).mkdir()
        tiny_model.main(folder / family, 0, made_of)
    for name, seed in (("lora", 1), ("other", 2)):
        save_lora(folder / name, folder / "sd3", seed)
    torch.manual_seed(5)
    tiny_model.sd1x_parts()["unet"].save_pretrained(folder / "full" / "unet")
    yield folder
    torch.set_num_threads(threads)


def save_lora(folder: Path, base: Path, seed: int) -> None:
    import torch
    from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
    from peft import LoraConfig, get_peft_model_state_dict

    torch.manual_seed(seed)
    transformer = SD3Transformer2DModel.from_pretrained(base / "transformer")
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    transformer.add_adapter(LoraConfig(r=4, lora_alpha=8, init_lora_weights=False, target_modules=targets))
    layers = get_peft_model_state_dict(transformer)
    StableDiffusion3Pipeline.save_lora_weights(folder, transformer_lora_layers=layers)


def painted_by(model: Painter, wish: Wish = WISH) -> str:
    return hashlib.sha256(model.paint(wish, lambda _, __: None).tobytes()).hexdigest()


@pytest.fixture(scope="module")
def sd3(made: Path) -> Iterator[Painter]:
    with opened(None, str(made / "sd3"), CPU) as model:
        yield model


@pytest.fixture
def lora(made: Path) -> tuneds.Tuned:
    return tuneds.find(str(made / "lora"))


# the model


def test_a_lora_changes_the_picture_and_goes_away_exactly(sd3: Painter, lora: tuneds.Tuned, made: Path) -> None:
    sd3.take(None)
    plain = painted_by(sd3)
    sd3.take(lora)
    first = painted_by(sd3)
    sd3.take(tuneds.find(str(made / "other")))
    second = painted_by(sd3)
    sd3.take(lora)
    again = painted_by(sd3)
    sd3.take(None)
    assert len({plain, first, second}) == 3
    assert again == first
    assert painted_by(sd3) == plain


def test_alpha_is_applied_as_it_was_trained(made: Path, lora: tuneds.Tuned, sd3: Painter) -> None:
    import torch
    from diffusers import StableDiffusion3Pipeline

    sd3.take(lora)
    ours = sd3.paint(WISH, lambda _, __: None)
    pipeline = StableDiffusion3Pipeline.from_pretrained(made / "sd3")
    pipeline.load_lora_weights(made / "lora")
    noise = torch.randn((1, 16, 8, 8), generator=torch.Generator("cpu").manual_seed(7))
    theirs = pipeline(
        prompt=WISH.prompt, negative_prompt=WISH.negative, height=64, width=64, num_inference_steps=2,
        guidance_scale=WISH.guidance, latents=noise,
    ).images[0]  # fmt: skip
    differences = [abs(one - two) for one, two in zip(ours.tobytes(), theirs.tobytes(), strict=True)]
    assert max(differences) <= 1


def test_the_same_wish_gives_the_same_picture_in_another_opening(sd3: Painter, made: Path) -> None:
    sd3.take(None)
    with opened(None, str(made / "sd3"), CPU) as other:
        assert painted_by(other) == painted_by(sd3)
    assert painted_by(sd3, replace(WISH, seed=8)) != painted_by(sd3)


def test_steps_are_told(sd3: Painter) -> None:
    told: list[tuple[int, int]] = []
    sd3.paint(WISH, lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_a_wish_has_its_own_shift_and_length_of_t5(sd3: Painter) -> None:
    loaded: Any = sd3
    sd3.take(None)
    wish = replace(WISH, steps=4)
    plain = painted_by(sd3, wish)
    own = loaded._scheduler.config.shift
    assert painted_by(sd3, replace(wish, shift=own)) == plain
    assert painted_by(sd3, replace(wish, shift=own + 2)) != plain
    assert loaded._pipeline.scheduler.config.shift == own + 2
    assert painted_by(sd3, replace(wish, t5_tokens=154)) != plain
    assert painted_by(sd3, wish) == plain


def test_a_size_that_the_model_has_not_is_refused(sd3: Painter) -> None:
    with pytest.raises(UsageError, match="--size-px: 72 is no multiple of 16; give 64"):
        sd3.paint(replace(WISH, size_px=72), lambda _, __: None)


def test_a_trained_unet_takes_the_place_of_the_models_own(made: Path) -> None:
    full = tuneds.find(str(made / "full"))
    with opened(full, str(made / "sd1x"), CPU) as model:
        trained = painted_by(model)
        model.take(None)
        plain = painted_by(model)
        model.take(full)
        assert painted_by(model) == trained
    with opened(None, str(made / "sd1x"), CPU) as model:
        assert painted_by(model) == plain
    assert trained != plain


def test_half_precision_paints_and_decodes_in_full(made: Path) -> None:
    with opened(None, str(made / "sd1x"), Ways("cpu", "float16")) as model:
        loaded: Any = model
        assert str(loaded._pipeline.vae.dtype) == "torch.float32"
        assert str(loaded._pipeline.unet.dtype) == "torch.float16"
        assert painted_by(model)


def test_what_was_chosen_is_told(made: Path) -> None:
    said: list[str] = []
    with opened(None, str(made / "sd3"), CPU, said.append):
        pass
    assert said == ["device: cpu, float32 (asked for)"]


def test_a_picture_that_is_no_numbers_is_told_and_not_saved(made: Path) -> None:
    import torch

    with opened(None, str(made / "sd3"), CPU) as model:
        loaded: Any = model
        with torch.no_grad():
            loaded._pipeline.transformer.proj_out.weight.fill_(float("nan"))
        with pytest.raises(
            Unpainted, match="the picture of 'mountains' with the seed 7 is not a number in its latent"
        ):
            model.paint(WISH, lambda _, __: None)


def test_a_decoder_that_overflows_is_told(made: Path) -> None:
    import torch

    with opened(None, str(made / "sd3"), CPU) as model:
        loaded: Any = model
        with torch.no_grad():
            loaded._pipeline.vae.decoder.conv_out.weight.fill_(float("inf"))
        with pytest.raises(Unpainted, match="cannot be decoded"):
            model.paint(WISH, lambda _, __: None)


def test_another_family_than_wanted_is_refused(made: Path) -> None:
    with (
        pytest.raises(UsageError, match="is of the family sd1x, and wanted is sd3"),
        opened(None, str(made / "sd1x"), Ways("cpu", family="sd3")),
    ):
        pass


def test_a_lora_of_another_model_is_refused(made: Path, lora: tuneds.Tuned, sd3: Painter) -> None:
    with (
        pytest.raises(UsageError, match="belongs to sd3 tiny, and sd1x is sd1x tiny"),
        opened(lora, str(made / "sd1x"), CPU),
    ):
        pass
    with pytest.raises(UsageError, match="belongs to sd3 large, and sd3 is sd3 tiny"):
        sd3.take(replace(lora, flavour="large"))


def test_a_lora_that_is_unfit_leaves_the_model_usable(sd3: Painter, lora: tuneds.Tuned, tmp_path: Path) -> None:
    sd3.take(None)
    plain = painted_by(sd3)
    broken = tmp_path / WEIGHTS
    broken.write_bytes(b"no weights")
    with pytest.raises(TrainerError, match="no .safetensors file"):
        sd3.take(replace(lora, path=broken))
    sd3.take(None)
    assert painted_by(sd3) == plain


def test_a_lora_with_modules_that_the_model_lacks_is_refused(
    sd3: Painter, lora: tuneds.Tuned, tmp_path: Path
) -> None:
    from tests import lora_files

    far = lora_files.weights(["transformer_blocks.7.attn.to_q"])
    path = lora_files.write(tmp_path / WEIGHTS, lora_files.named(far, "diffusers-peft"))
    with pytest.raises(TrainerError, match=r"does not fit the base model sd3|has nothing that fits into sd3"):
        sd3.take(replace(lora, path=path, name="far"))
    sd3.take(None)
    assert painted_by(sd3)


def test_a_trained_part_that_is_broken_is_told(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "full", tmp_path / "full")
    (tmp_path / "full" / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"no weights")
    full = tuneds.find(str(tmp_path / "full"))
    with opened(None, str(made / "sd1x"), CPU) as model:
        plain = painted_by(model)
        with pytest.raises(TrainerError, match="unet: cannot be loaded"):
            model.take(full)
        model.take(None)
        assert painted_by(model) == plain


def test_a_base_model_that_is_broken_is_told_in_a_line(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "sd3", tmp_path / "sd3")
    (tmp_path / "sd3" / "vae" / "config.json").write_text('{"_class_name": "AutoencoderKL", "act_fn": "no such"}')
    with pytest.raises(TrainerError, match="cannot be loaded") as told, opened(None, str(tmp_path / "sd3"), CPU):
        pass
    assert "\n" not in str(told.value)
    assert "look whether its folder is whole" in str(told.value)


def test_offload_goes_to_the_device_by_the_pipelines_own_way() -> None:
    class Pipeline:
        def __init__(self) -> None:
            self.told: list[tuple[str, str]] = []

        def enable_model_cpu_offload(self, device: str) -> None:
            self.told.append(("model", device))

        def enable_sequential_cpu_offload(self, device: str) -> None:
            self.told.append(("sequential", device))

        def to(self, device: str) -> None:
            self.told.append(("none", device))

    pipeline = Pipeline()
    for offload in ("none", "model", "sequential"):
        fitting.place(pipeline, Placement("cuda", "bfloat16", offload, ""))
    assert pipeline.told == [("none", "cuda"), ("model", "cuda"), ("sequential", "cuda")]


def test_a_lora_of_which_nothing_is_taken_is_told(lora: tuneds.Tuned) -> None:
    class Deaf:
        def load_lora_weights(self, folder: str, **_: str) -> None:
            assert list(Path(folder).iterdir())

        def get_list_adapters(self) -> dict[str, list[str]]:
            return {}

    with pytest.raises(TrainerError, match="lora: has nothing that fits into sd3"):
        fitting.put_adapter(Deaf(), lora, "sd3")


def test_memory_of_the_gpu_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    told: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: told.append("emptied"))
    fitting.free()
    assert told == ["emptied"]


# the Hub


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def test_a_model_in_the_cache_works_offline(made: Path, cache: Path) -> None:
    home = cache / "models--kanji--tiny"
    shutil.copytree(made / "sd3", home / "snapshots" / ("a" * 40))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("a" * 40)
    with opened(None, "kanji/tiny", CPU) as model:
        assert painted_by(model)
    found = bases.fetch("kanji/tiny")
    assert (found.shown, found.family, found.flavour) == ("kanji/tiny", "sd3", "tiny")


def test_a_cache_that_holds_half_a_model_is_no_model(made: Path, cache: Path) -> None:
    home = cache / "models--kanji--tiny"
    shutil.copytree(made / "sd3", home / "snapshots" / ("a" * 40))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("a" * 40)
    (home / "snapshots" / ("a" * 40) / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    assert bases.here("kanji/tiny") is None


def test_offline_without_the_model_is_told(cache: Path) -> None:
    with pytest.raises(HubError, match="kanji/none: is not in the cache, and HF_HUB_OFFLINE is set"):
        bases.fetch("kanji/none")
    assert not cache.exists() or not list(cache.glob("*/snapshots/*"))


# the command


def command(made: Path, *words: str) -> tuple[str, ...]:
    return ("generate", str(made / "lora"), "--base", str(made / "sd3"), *SMALL, *words)


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_command_paints_a_series_with_its_page(run: Run, made: Path) -> None:
    code, out, err = run(*command(made, "--prompt", "mountains", "--prompt", "山", "--seeds", "1-2", "--with-base"))
    assert (code, out) == (0, ""), err
    folder = Path("pictures/lora")
    assert sorted(one.name for one in folder.iterdir()) == [
        *(f"base_{name}_seed-{seed}.png" for name in ("mountains", "u5c71") for seed in (1, 2)),
        "grid.json",
        "grid.png",
        *(f"lora_{name}_seed-{seed}.png" for name in ("mountains", "u5c71") for seed in (1, 2)),
    ]
    assert "painted: 8 pictures" in err
    assert "Look at: pictures/lora/grid.png" in err
    cells = json.loads((folder / "grid.json").read_text())["cells"]
    assert [one["file"] for one in cells[:2]] == ["base_mountains_seed-1.png", "lora_mountains_seed-1.png"]


def test_pictures_hold_their_words_and_no_folder_of_this_machine(run: Run, made: Path) -> None:
    assert run(*command(made, "--prompt", "山", "--negative", "grey"))[0] == 0
    path = Path("pictures/lora/lora_u5c71_seed-42.png")
    with Image.open(path) as picture:
        assert picture.size == (64, 64)
        words = picture.text  # type: ignore[attr-defined]
    assert words["parameters"].startswith("山 <lora:lora:1>\nNegative prompt: grey\nSteps: 2, Sampler: Euler, CFG sc")
    table = painted.read(path)
    assert table is not None
    assert table["wish"]["subject"] == "山"
    assert table["origin"]["sha256"] == hashlib.sha256((made / "lora" / WEIGHTS).read_bytes()).hexdigest()
    assert str(made).encode() not in path.read_bytes()
    assert b"/tmp" not in path.read_bytes()


def test_a_series_goes_on_where_it_was_ended(run: Run, made: Path) -> None:
    words = command(made, "--prompt", "mountains", "--seeds", "1-3")
    assert run(*words)[0] == 0
    before = {one.name: one.read_bytes() for one in Path("pictures/lora").iterdir()}
    Path("pictures/lora/lora_mountains_seed-2.png").unlink()
    code, out, _ = run(*words, "--json")
    made_now = json.loads(out)
    assert code == 0
    assert made_now["painted"] == ["lora_mountains_seed-2.png"]
    assert len(made_now["kept"]) == 2
    assert {one.name: one.read_bytes() for one in Path("pictures/lora").iterdir()} == before


def test_pictures_of_other_settings_are_never_overwritten(run: Run, made: Path) -> None:
    assert run(*command(made, "--prompt", "mountains"))[0] == 0
    before = Path("pictures/lora/lora_mountains_seed-42.png").read_bytes()
    code, _, err = run(*command(made, "--prompt", "mountains", "--guidance", "3"))
    assert code == 2
    assert "is in the way: it is no picture of this model with these words and settings" in err
    assert Path("pictures/lora/lora_mountains_seed-42.png").read_bytes() == before


def test_a_trained_unet_paints_by_the_command(run: Run, made: Path) -> None:
    words = ("generate", str(made / "full"), "--base", str(made / "sd1x"), *SMALL, "--prompt", "robot", "--json")
    code, out, err = run(*words)
    assert code == 0, err
    assert json.loads(out)["painted"] == ["full_robot_seed-42.png"]
