from __future__ import annotations

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training import models
from kanjiprep.training.models import Workload
from kanjiprep.training.shapes import IMAGE_ATTENTION, JOINT_ATTENTION

COUNTED = {
    ("sd3", "large"): (8_056_627_520, 152, 739_328),
    ("sd3", "medium"): (2_243_171_520, 148, 454_656),
    ("sd3", "tiny"): (323_872, 12, 1_536),
    ("sd1x", "1.5"): (859_520_964, 128, 199_296),
    ("sd1x", "tiny"): (629_732, 128, 5_952),
}
"""Parameters, LoRA modules and LoRA parameters a rank, as diffusers 0.42.1 and peft 0.21.2 make them."""


@pytest.mark.parametrize("name", COUNTED, ids="-".join)
def test_a_shape_counts_to_what_diffusers_makes(name: tuple[str, str]) -> None:
    model = models.model_of(*name)
    modules = models.lora_modules(model, IMAGE_ATTENTION)
    assert (model.parameters, modules, models.lora_parameters(model, IMAGE_ATTENTION, 1)) == COUNTED[name]


def test_the_text_stream_adds_modules_but_not_in_the_last_block() -> None:
    large = models.model_of("sd3", "large")
    assert models.lora_modules(large, JOINT_ATTENTION) == 303
    assert models.lora_parameters(large, JOINT_ATTENTION, 768) == 1_473_792 * 768


def test_full_fine_tuning_trains_everything_and_a_lora_its_own() -> None:
    assert models.trained_parameters(Workload(train="full")) == 8_056_627_520
    assert models.trained_parameters(Workload(rank=768)) == 567_803_904


@pytest.mark.parametrize(
    ("name", "shown_gb"),
    [
        (("sd3", "large"), 9.99 + 6.31),
        (("sd3", "medium"), 4.94),
        (("sd1x", "1.5"), 3.44),
    ],
)
def test_weight_files_are_as_large_as_the_hub_shows(name: tuple[str, str], shown_gb: float) -> None:
    assert models.weight_bytes(models.model_of(*name)) / 1e9 == pytest.approx(shown_gb, abs=0.015)


def test_the_tiny_file_is_as_large_as_it_was_seen_but_for_its_header() -> None:
    assert 0 < 1_836_424 - models.weight_bytes(models.model_of("sd3", "tiny")) < 10_000


def test_a_tiny_model_has_the_modules_of_the_large_one_and_no_download() -> None:
    for family, flavour in (("sd3", "large"), ("sd1x", "1.5")):
        tiny, large = models.model_of(family, "tiny"), models.model_of(family, flavour)
        assert {layer.name for layer in tiny.layers} == {layer.name for layer in large.layers}
        assert (tiny.repo, tiny.files, tiny.prediction) == ("", (), large.prediction)


def test_a_download_has_the_text_encoders_too() -> None:
    download = models.download_bytes(models.model_of("sd3", "large"))
    assert download.value / 1e9 == pytest.approx(9.99 + 6.31 + 4.99 + 4.53 + 0.247 + 1.39 + 0.168, abs=0.02)
    assert (download.unit, download.how, download.is_exact) == ("bytes", "computed", True)


def test_tokens_follow_resolution_but_not_of_text() -> None:
    large = models.model_of("sd3", "large")
    assert [models.tokens(large, "image", 2, px) for px in (512, 1024)] == [1024, 4096]
    assert [models.tokens(large, "text", 2, px) for px in (512, 1024)] == [231, 231]
    assert models.latent_px(1024) == 128


def test_models_say_what_they_predict_and_where_they_are() -> None:
    large, small = models.model_of("sd3", "large"), models.model_of("sd1x", "1.5")
    assert (large.prediction, large.repo) == ("flow", "stabilityai/stable-diffusion-3.5-large")
    assert (small.prediction, small.repo) == ("epsilon", "stable-diffusion-v1-5/stable-diffusion-v1-5")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (("sd33", "large"), "no model family 'sd33', did you mean 'sd3'.; use sd1x or sd3"),
        (("sd3", "larg"), "no flavour 'larg' of sd3, did you mean 'large'.; use large or medium or tiny"),
    ],
)
def test_an_unknown_model_is_told_with_a_guess(name: tuple[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        models.model_of(*name)


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        (
            ("to_k", "add_q_prj"),
            "3.5 Large has no module 'add_q_prj', did you mean 'add_q_proj'.; it has .*to_add_out",
        ),
        (("norm1.linear",), "has no module 'norm1.linear'"),
        ((), "needs at least one target module; name some of .*to_k"),
    ],
)
def test_an_unknown_target_is_told_with_a_guess(targets: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        models.lora_layers(models.model_of("sd3", "large"), targets)
