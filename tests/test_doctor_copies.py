from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.evaluation.weights import lora, safetensors_file
from kanjiprep.progress import silent
from kanjiprep.publishing import tuned
from kanjiprep.publishing.doctor import copies, merged, resized
from kanjiprep.publishing.doctor.copies import Order
from kanjiprep.publishing.doctor.resized import Wish
from kanjiprep.training import presets
from kanjiprep.training.running.attempts import WEIGHTS
from tests import lora_files
from tests.lora_files import SD3, UNET, named, said, tensor, weights, write
from tests.run_folders import trained


def make(path: Path, pairs: Any = None, style: str = "diffusers-peft", **more: Any) -> Any:
    metadata = more.pop("metadata", None)
    write(path, named(weights() if pairs is None else pairs, style, **more), metadata)
    return tuned.find(str(path))


def products(path: Path, modules: Any = SD3) -> Mapping[str, Any]:
    """What both programs add, which has to be the same."""
    ours, theirs = lora_files.comfyui(path, modules), lora_files.diffusers(path, modules)
    assert isinstance(theirs, dict), theirs
    assert ours.keys() == theirs.keys()
    for module in ours:
        assert np.allclose(ours[module], theirs[module], rtol=1e-6)
    assert lora.problems(lora.inspect(path)) == ()
    return ours


def truth(pairs: Any, scale: float = 1.0) -> dict[str, Any]:
    return {module: scale * second @ first for module, (first, second) in pairs.items()}


def nearest(matrix: Any, rank: int) -> Any:
    left, values, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    return left[:, :rank] * values[:rank] @ right[:rank]


# smaller rank


@pytest.mark.parametrize("modules", [SD3, UNET], ids=["sd3", "sd1x"])
@pytest.mark.parametrize("style", ["diffusers-peft", "kohya", "no prefix"])
def test_a_smaller_rank_is_the_nearest_in_every_style(tmp_path: Path, modules: Any, style: str) -> None:
    pairs = weights(modules, rank=6)
    found = make(tmp_path / "a.safetensors", pairs, style, alpha=3 if style == "kohya" else None, dtype="F32")
    copied = copies.resize(found, Order(resize=Wish(2)), silent)
    assert copied.out == tmp_path / "a-r2.safetensors"
    told = products(copied.out, modules)
    scale = 0.5 if style == "kohya" else 1.0
    errors = {}
    for module, whole in truth(pairs, scale).items():
        near = nearest(whole, 2)
        assert np.abs(told[module] - near).max() < 1e-5 * np.abs(whole).max()
        errors[module] = np.linalg.norm(whole - near) / np.linalg.norm(whole)
    inspected = lora.inspect(copied.out)
    assert (inspected.rank, copied.rank, copied.lower_before) == (2, 2, 0)
    assert copied.worst is not None
    assert copied.worst.error == pytest.approx(max(errors.values()), rel=1e-4)
    assert min(errors.values()) < (copied.error or 0) < max(errors.values())
    assert {loss.before for loss in copied.losses} == {6}


def test_the_rank_that_keeps_a_share_of_the_energy_is_found(tmp_path: Path) -> None:
    pairs = weights(rank=4)
    for first, _ in pairs.values():
        first[2:] *= 0.01
    found = make(tmp_path / "a.safetensors", pairs, dtype="F32")
    copied = copies.resize(found, Order(resize=Wish(energy=0.99)), silent)
    assert (copied.rank, copied.out.name) == (2, "a-auto.safetensors")
    assert 0 < (copied.error or 0) < 0.1


def test_modules_of_a_smaller_rank_stay_as_they_are(tmp_path: Path) -> None:
    pairs = weights(SD3[:3], rank=2) | weights(SD3[3:], rank=6)
    found = make(tmp_path / "a.safetensors", pairs)
    copied = copies.resize(found, Order(resize=Wish(4)), silent)
    assert copied.lower_before == 0.5
    assert set(lora.inspect(copied.out).rank_by_module.values()) == {2, 4}
    told = products(copied.out)
    for module, whole in truth(weights(SD3[:3], rank=2)).items():
        assert np.array_equal(told[module], whole)


def test_stale_hashes_go_and_ranks_of_kohya_are_set(tmp_path: Path) -> None:
    metadata = {"sshs_model_hash": "a", "ss_network_dim": "4", "ss_network_alpha": "4", "ss_steps": "9"}
    found = make(tmp_path / "a.safetensors", metadata=metadata)
    _, said_now = lora_files.everything(copies.resize(found, Order(resize=Wish(2)), silent).out)
    assert (said_now["ss_network_dim"], said_now["ss_network_alpha"], said_now["ss_steps"]) == ("2", "2", "9")
    assert "sshs_model_hash" not in said_now
    assert json.loads(said_now["lora_adapter_metadata"])["transformer.r"] == 2


def test_a_rank_that_is_no_smaller_is_refused(tmp_path: Path) -> None:
    found = make(tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="its rank is 4, so nothing would be smaller at rank 4"):
        copies.resize(found, Order(resize=Wish(4)), silent)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("text", ["", "0", "-3", "4.5", "x", "auto:", "auto:0", "auto:1.1", "auto:nan", "9" * 9])
def test_what_is_no_rank_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no rank"):
        resized.wish(text)


def test_ranks_are_read() -> None:
    assert (resized.wish("64"), resized.wish("auto:0.5")) == (Wish(64), Wish(energy=0.5))


def test_nothing_has_no_energy() -> None:
    assert resized.error_of_all([]) == 0


# sums


def test_the_mean_of_two_is_exact_at_the_sum_of_their_ranks(tmp_path: Path) -> None:
    one, other = weights(seed=1), weights(rank=2, seed=2)
    found = [
        make(tmp_path / "a.safetensors", one, "kohya", alpha=2, dtype="F32"),
        make(tmp_path / "b.safetensors", other, dtype="F32"),
    ]
    copied = copies.merge(found, Order(), silent)
    assert copied.out == tmp_path / "a-merged.safetensors"
    assert (copied.rank, lora.inspect(copied.out).rank) == (6, 6)
    told, first, second = products(copied.out), truth(one, 0.5), truth(other)
    for module in SD3:
        wanted = (first[module] + second[module]) / 2
        assert np.abs(told[module] - wanted).max() < 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("modules", [SD3, UNET], ids=["sd3", "sd1x"])
@pytest.mark.parametrize("styles", [("diffusers-peft", "diffusers-down-up"), ("kohya", "diffusers-peft")])
def test_files_of_different_naming_are_added_up(tmp_path: Path, modules: Any, styles: tuple[str, str]) -> None:
    if modules is UNET:
        styles = ("no prefix" if styles[0] == "diffusers-peft" else "kohya", "no prefix")
    pairs = [weights(modules, seed=seed) for seed in (1, 2)]
    for first, second in (0, 1), (1, 0):
        found = [
            make(tmp_path / f"{first}{one}.safetensors", pairs[one], styles[one], dtype="F32")
            for one in (first, second)
        ]
        told = products(copies.merge(found, Order(weights="1,1"), silent).out, modules)
        for module in modules:
            wanted = truth(pairs[0])[module] + truth(pairs[1])[module]
            assert np.abs(told[module] - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_every_run_of_a_sum_has_its_own_alpha_unless_one_is_given(tmp_path: Path) -> None:
    found = []
    for name, alpha in (("one", 4), ("other", 1)):
        run = trained(tmp_path / name, preset=presets.load("sd35-large-lora", ("lora.rank=4", f"lora.alpha={alpha}")))
        path = run / "output/checkpoint-8" / WEIGHTS
        path.unlink()
        write(path, named(weights(seed=alpha), "diffusers-peft", dtype="F32"))
        found.append(tuned.find(str(run), "8"))
    found.append(make(tmp_path / "says.safetensors", weights(seed=9), dtype="F32", metadata=said(r=4, lora_alpha=2)))
    for given, scales in ((None, (1, 0.25, 0.5)), (8, (2, 2, 0.5))):
        order = Order(weights="1,1,1", alpha=given, out=tmp_path / f"{given}.safetensors")
        told = products(copies.merge(found, order, silent).out)
        for module in SD3:
            wanted = sum(by * truth(weights(seed=seed))[module] for by, seed in zip(scales, (4, 1, 9), strict=True))
            assert np.abs(told[module] - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_weights_count_and_may_be_negative(tmp_path: Path) -> None:
    found = [make(tmp_path / f"{seed}.safetensors", weights(seed=seed), dtype="F32") for seed in (1, 2, 3)]
    order = Order(weights="1,-0.5,0.25", out=tmp_path / "out.safetensors")
    told = products(copies.merge(found, order, silent).out)
    for module in SD3:
        wanted = sum(by * truth(weights(seed=seed))[module] for seed, by in ((1, 1), (2, -0.5), (3, 0.25)))
        assert np.abs(told[module] - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_a_sum_is_made_smaller(tmp_path: Path) -> None:
    found = [make(tmp_path / f"{seed}.safetensors", weights(seed=1), dtype="F32") for seed in (1, 2)]
    copied = copies.merge(found, Order(resize=Wish(4)), silent)
    assert (copied.error or 0) < 1e-6, "both are the same, so their mean has their rank"
    told = products(copied.out)
    for module, whole in truth(weights(seed=1)).items():
        assert np.abs(told[module] - whole).max() < 1e-5 * np.abs(whole).max()


def test_a_sum_of_more_rank_than_there_is_needs_to_be_smaller(tmp_path: Path) -> None:
    found = [make(tmp_path / f"{seed}.safetensors", weights(rank=40, seed=seed)) for seed in (1, 2)]
    with pytest.raises(TrainerError, match="together they have rank 80, and 'transformer_blocks.* can have 64; add"):
        copies.merge(found, Order(), silent)
    assert copies.merge(found, Order(resize=Wish(64)), silent).error == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (weights(SD3[1:]), "it does not adapt 'transformer_blocks.0.attn.to_q', and"),
        (weights(SD3, width=32), "'transformer_blocks.0.attn.to_k' is of another size in"),
        (weights(SD3, width=1536), "it is of sd3 medium, and .* of sd3 tiny"),
        (weights(UNET), "it is of a UNet, and"),
    ],
)
def test_strangers_are_refused_by_name(tmp_path: Path, other: Any, says: str) -> None:
    found = [make(tmp_path / "a.safetensors"), make(tmp_path / "b.safetensors", other)]
    if "UNet" in says:
        found[1] = make(tmp_path / "b.safetensors", weights(UNET, width=48))
    with pytest.raises(TrainerError, match=says):
        copies.merge(found, Order(), silent)


def test_modules_of_another_size_are_refused(tmp_path: Path) -> None:
    names = ("transformer_blocks.0.attn.to_q", "transformer_blocks.0.ff.net.2")
    found = []
    for side in (64, 128):
        pairs = weights(names[:1]) | {names[1]: weights(names[1:], width=side)[names[1]]}
        found.append(make(tmp_path / f"{side}.safetensors", pairs))
    with pytest.raises(TrainerError, match="'transformer_blocks.0.ff.net.2' is of another size in"):
        copies.merge(found, Order(), silent)


def test_one_file_is_nothing_to_add_up(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one file alone is nothing to add up"):
        copies.merge([make(tmp_path / "a.safetensors")], Order(), silent)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nan,1", "is not finite"),
        ("inf,1", "is not finite"),
        ("0,0", "is all zero, so the sum would do nothing"),
        ("1e300,1e300", "is too large"),
    ],
)
def test_weights_say_what_is_wrong_with_them(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=f"'{text}' {says}; give 2 numbers"):
        merged.weights(text, 2)


def test_files_that_cancel_each_other_out_are_refused_and_nothing_stays(tmp_path: Path) -> None:
    pairs = weights()
    found = [make(tmp_path / name, pairs, dtype="F32") for name in ("a.safetensors", "b.safetensors")]
    before = sorted(tmp_path.iterdir())
    with pytest.raises(TrainerError, match="they cancel each other out: their sum has .* give other --weights"):
        copies.merge(found, Order(weights="0.3,-0.3"), silent)
    assert sorted(tmp_path.iterdir()) == before
    copies.merge(found, Order(weights="1,-0.99"), silent)


def test_nothing_and_nothing_do_not_cancel_each_other_out() -> None:
    assert merged.left({"a": (0.0, 0.0)}) == 1
    assert merged.left({"a": (3.0, 3.0), "b": (1.0, -1e-20)}) == pytest.approx(0.75**0.5)


@pytest.mark.parametrize("act", [copies.fix, copies.resize])
def test_an_alpha_that_the_file_says_otherwise_is_refused(tmp_path: Path, act: Any) -> None:
    found = make(tmp_path / "a.safetensors", metadata=said(r=4, lora_alpha=2.0))
    with pytest.raises(UsageError, match="8 would do nothing: the file says alpha 2 itself; leave it out"):
        act(found, Order(alpha=8, resize=Wish(1)), silent)
    act(found, Order(alpha=2, resize=Wish(1)), silent)


def test_an_alpha_counts_if_one_of_several_does_not_say_its_own(tmp_path: Path) -> None:
    one = make(tmp_path / "a.safetensors", metadata=said(r=4, lora_alpha=2.0))
    other = make(tmp_path / "b.safetensors")
    with pytest.raises(UsageError, match="would do nothing"):
        copies.merge([one, one], Order(alpha=8), silent)
    copies.merge([one, other], Order(alpha=8), silent)


@pytest.mark.parametrize("text", ["", "1", "1,x", "1,2,3"])
def test_weights_that_do_not_fit_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give 2 numbers with commas between, such as 0.5,0.5"):
        merged.weights(text, 2)


# the type of numbers


def test_a_copy_in_bf16_is_half_as_large_and_says_what_rounding_does(tmp_path: Path) -> None:
    pairs = {module: (first * np.float32(1 / 3), second) for module, (first, second) in weights().items()}
    found = make(tmp_path / "a.safetensors", pairs, dtype="F32")
    copied = copies.fix(found, Order(dtype="BF16"), silent)
    (change,) = copied.changes
    assert change.startswith("wrote its numbers as BF16, not F32; rounding changes them by 0.")
    assert copied.bytes < 0.6 * (tmp_path / "a.safetensors").stat().st_size
    told = products(copied.out)
    for module, whole in truth(pairs).items():
        assert np.linalg.norm(told[module] - whole) < 0.005 * np.linalg.norm(whole)


def test_the_type_and_the_strength_change_together(tmp_path: Path) -> None:
    found = make(tmp_path / "a.safetensors", metadata=said(r=4, lora_alpha=2))
    copied = copies.fix(found, Order(dtype="F32"), silent)
    assert len(copied.changes) == 2
    assert copied.changes[1] == "wrote its numbers as F32, not BF16; this is exact"
    assert lora.inspect(copied.out).dtypes == ("F32",)


def test_what_does_not_fit_into_fp16_is_refused(tmp_path: Path) -> None:
    pairs = {module: (first, second * np.float32(1e6)) for module, (first, second) in weights().items()}
    found = make(tmp_path / "a.safetensors", pairs)
    for make_copy, order in ((copies.fix, Order(dtype="F16")), (copies.resize, Order(dtype="F16", resize=Wish(2)))):
        if order.resize is None:
            with pytest.raises(TrainerError, match="does not fit into F16; take bf16 or fp32"):
                make_copy(found, order, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_nothing_to_mend_is_a_copy(tmp_path: Path) -> None:
    found = make(tmp_path / "a.safetensors")
    copied = copies.fix(found, Order(), silent)
    assert copied.changes == ()
    assert copied.out.read_bytes() == (tmp_path / "a.safetensors").read_bytes()


# where to


def test_a_copy_of_a_folder_goes_to_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "checkpoint-8"
    folder.mkdir()
    make(folder / "pytorch_lora_weights.safetensors")
    monkeypatch.chdir(tmp_path)
    assert copies.place([tuned.find("checkpoint-8")], None, "fixed") == Path("checkpoint-8-fixed.safetensors")
    file = tuned.find("checkpoint-8/pytorch_lora_weights.safetensors")
    assert copies.place([file], None, "r2") == Path("checkpoint-8/pytorch_lora_weights-r2.safetensors")


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("a.safetensors", "exists already, and nothing is overwritten"),
        ("b.pt", "is no .safetensors file"),
        ("no/b.safetensors", "there is no such folder"),
    ],
)
def test_no_file_is_overwritten(tmp_path: Path, out: str, says: str) -> None:
    found = make(tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()
    with pytest.raises(UsageError, match=says):
        copies.fix(found, Order(out=tmp_path / out), silent)
    assert (tmp_path / "a.safetensors").read_bytes() == before


# LyCORIS


def lokr(path: Path, kind: str = "whole", more: Any = None) -> tuple[Path, Any]:
    """A file of one module, and what it adds."""
    some = np.random.default_rng(0)
    stem = "lycoris_transformer_blocks_0_attn_to_q"
    if kind == "loha":
        parts = {"hada_w1_a": (12, 2), "hada_w1_b": (2, 8), "hada_w2_a": (12, 3), "hada_w2_b": (3, 8)}
    elif kind == "factored":
        parts = {"lokr_w1": (2, 2), "lokr_w2_a": (6, 3), "lokr_w2_b": (3, 4)}
    else:
        parts = {"lokr_w1": (2, 2), "lokr_w2": (6, 4)}
    arrays = {part: some.standard_normal(shape).astype(np.float32) for part, shape in parts.items()}
    tensors = {f"{stem}.{part}": tensor(array, "F32") for part, array in arrays.items()}
    write(path, tensors | {f"{stem}.alpha": tensor(6, "F32")} | (more or {}))
    if kind == "loha":
        whole = arrays["hada_w1_a"] @ arrays["hada_w1_b"] * (arrays["hada_w2_a"] @ arrays["hada_w2_b"]) * 3
    elif kind == "factored":
        whole = np.kron(arrays["lokr_w1"], arrays["lokr_w2_a"] @ arrays["lokr_w2_b"]) * 2
    else:
        whole = np.kron(arrays["lokr_w1"], arrays["lokr_w2"])
    return path, whole


@pytest.mark.parametrize("kind", ["whole", "factored", "loha"])
@pytest.mark.parametrize("rank", [2, 20])
def test_lycoris_becomes_a_lora_of_the_nearest_products(tmp_path: Path, kind: str, rank: int) -> None:
    path, whole = lokr(tmp_path / "a.safetensors", kind)
    copied = copies.resize(tuned.find(str(path)), Order(resize=Wish(rank)), silent)
    told = products(copied.out)["transformer_blocks.0.attn.to_q"]
    near = nearest(whole, rank)
    assert np.abs(told - near).max() < 1e-5 * np.abs(whole).max()
    lost = np.linalg.norm(whole - near) / np.linalg.norm(whole)
    assert copied.error == pytest.approx(lost, abs=1e-6)


def test_the_sum_of_two_lokr_is_exact(tmp_path: Path) -> None:
    path, whole = lokr(tmp_path / "a.safetensors", "factored")
    found = [tuned.find(str(path))] * 2
    told = products(copies.merge(found, Order(resize=Wish(12)), silent).out)["transformer_blocks.0.attn.to_q"]
    assert np.abs(told - whole).max() < 1e-5 * np.abs(whole).max()


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("lycoris_transformer_blocks_0_attn_to_k.oft_blocks", (2, 2), "it is OFT, which is no sum"),
        ("lycoris_transformer_blocks_0_attn_to_k.lokr_w1", (2, 2), "is no matrix of LoKr or LoHa that is known"),
        ("lycoris_transformer_blocks_0_attn_to_q.lokr_t2", (2, 2, 3, 3), "is no matrix of LoKr"),
        ("lycoris_transformer_blocks_0_attn_to_q.lokr_w2", (0, 4), "is no matrix of LoKr"),
        ("lycoris_transformer_blocks_0_attn_to_q.alpha", (2,), "alpha' is no matrix of LoKr"),
        ("stranger.weight", (2,), "'stranger.weight' is no matrix"),
    ],
)
def test_other_kinds_of_lycoris_are_told_apart(tmp_path: Path, name: str, shape: Any, says: str) -> None:
    path, _ = lokr(tmp_path / "a.safetensors", more={name: tensor(np.ones(shape))})
    with pytest.raises(TrainerError, match=says):
        copies.resize(tuned.find(str(path)), Order(resize=Wish(2)), silent)


def test_lycoris_is_not_mended_by_names(tmp_path: Path) -> None:
    path, _ = lokr(tmp_path / "a.safetensors")
    with pytest.raises(TrainerError, match="it is LoKr of LyCORIS, .*; make a LoRA of LoKr or LoHa with --resize R"):
        copies.fix(tuned.find(str(path)), Order(), silent)


def test_a_lora_and_a_lokr_of_one_module_are_added_up(tmp_path: Path) -> None:
    path, whole = lokr(tmp_path / "a.safetensors")
    some = np.random.default_rng(1)
    plain = {"transformer_blocks.0.attn.to_q": (some.random((1, 8)), some.random((12, 1)))}
    found = [make(tmp_path / "b.safetensors", plain, dtype="F32"), tuned.find(str(path))]
    copied = copies.merge(found, Order(resize=Wish(8), weights="1,1"), silent)
    ((first, second),) = plain.values()
    told = products(copied.out)["transformer_blocks.0.attn.to_q"]
    assert np.abs(told - whole - second @ first).max() < 1e-5


def test_factors_that_do_not_multiply_are_told(tmp_path: Path) -> None:
    wrong = {"lycoris_transformer_blocks_0_attn_to_q.lokr_w2_b": tensor(np.ones((2, 4)))}
    path, _ = lokr(tmp_path / "a.safetensors", "factored", wrong)
    with pytest.raises(TrainerError, match="is no matrix of LoKr"):
        copies.resize(tuned.find(str(path)), Order(resize=Wish(2)), silent)


def test_lokr_of_an_unknown_module_is_refused(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.safetensors",
        {"lycoris_x.lokr_w1": tensor(np.ones((2, 2))), "lycoris_x.lokr_w2": tensor(np.ones((2, 2)))},
    )
    with pytest.raises(TrainerError, match="there is no name for 'x'"):
        copies.resize(tuned.find(str(path)), Order(resize=Wish(1)), silent)


@pytest.mark.parametrize("wanted", [Wish(1), Wish(energy=0.9)])
def test_lokr_that_is_not_finite_is_refused(tmp_path: Path, wanted: Wish) -> None:
    broken = {"lycoris_transformer_blocks_0_attn_to_q.lokr_w1": tensor([[np.nan, 1], [1, 1]], "F32")}
    path, _ = lokr(tmp_path / "a.safetensors", more=broken)
    with pytest.raises(TrainerError, match="NaN or infinity in 'transformer_blocks.0.attn.to_q'"):
        copies.resize(tuned.find(str(path)), Order(resize=wanted), silent)


def test_lokr_of_zeros_has_no_energy(tmp_path: Path) -> None:
    nothing = {"lycoris_transformer_blocks_0_attn_to_q.lokr_w1": tensor(np.zeros((2, 2)), "F32")}
    path, _ = lokr(tmp_path / "a.safetensors", more=nothing)
    with pytest.raises(TrainerError, match="all of it is zero, so it has no energy"):
        copies.resize(tuned.find(str(path)), Order(resize=Wish(energy=0.9)), silent)


def test_no_more_than_one_module_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = make(tmp_path / "a.safetensors")
    read: list[str] = []
    real = safetensors_file.values

    def spied(path: Path, header: Any, name: str) -> Any:
        read.append(name)
        return real(path, header, name)

    monkeypatch.setattr(safetensors_file, "values", spied)
    copies.resize(found, Order(resize=Wish(2)), silent)
    assert len(read) == 2 * 2 * len(SD3), "once to look at it, once to write it"
