from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.evaluation.weights import adapters
from kanjiprep.evaluation.weights.adapters import ordered, spread
from tests.lora_files import SD3, STYLES, UNET, named, said, tensor, weights, write

KINDS = ("to_q", "to_k", "to_v", "to_out.0")
LARGE = tuple(f"transformer_blocks.{block}.attn.{kind}" for block in range(38) for kind in KINDS)


def test_modules_are_ordered_by_depth() -> None:
    assert [name.split(".")[1] for name in ordered(LARGE)[::4]] == [str(block) for block in range(38)]


def test_the_modules_looked_at_are_spread_over_depth_and_kinds() -> None:
    chosen = spread(ordered(LARGE), 24)
    assert len(chosen) == 24
    for kind in KINDS:
        depths = [int(name.split(".")[1]) for name in chosen if name.endswith(kind)]
        assert len(depths) == 6
        assert max(np.diff(depths)) <= 7
    assert len({name.split(".")[1] for name in chosen}) == 24


@pytest.mark.parametrize("most", [1, 3, 5, 7, 152, 1000])
def test_no_more_modules_are_chosen_than_are_wanted_or_there(most: int) -> None:
    assert len(spread(ordered(LARGE), most)) == min(most, len(LARGE))


def test_a_kind_with_few_modules_gives_what_it_has() -> None:
    modules = (*LARGE[::4], "transformer_blocks.0.attn.to_k")
    assert spread(modules, 8)[-1] == "transformer_blocks.0.attn.to_k"
    assert len(spread(modules, 8)) == 5


@pytest.mark.parametrize("style", STYLES)
def test_norms_are_of_the_product_in_every_style(tmp_path: Path, style: str) -> None:
    pairs = weights(UNET if style == "kohya" else SD3)
    adapter = adapters.load(400, write(tmp_path / "a", named(pairs, style)))
    found = adapters.read_norms(adapter, adapter.pairs)
    wanted = sorted(float(np.linalg.norm(up @ down, 2)) for down, up in pairs.values())
    assert sorted(one.spectral for one in found.values()) == pytest.approx(wanted)


def test_norms_are_scaled_as_the_adapter_is_applied(tmp_path: Path) -> None:
    pairs = weights(SD3[:1])
    plain = adapters.load(1, write(tmp_path / "a", named(pairs, "diffusers-peft"), said(r=4, lora_alpha=4)))
    half = adapters.load(1, write(tmp_path / "b", named(pairs, "diffusers-peft"), said(r=4, lora_alpha=2)))
    (one,), (other,) = (adapters.read_norms(adapter, SD3[:1]).values() for adapter in (plain, half))
    assert other.frobenius == pytest.approx(one.frobenius / 2)


def test_a_file_without_a_lora_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="a: holds no LoRA of a known kind; take another checkpoint"):
        adapters.load(1, write(tmp_path / "a", {"x": tensor([1.0])}))


def test_matrices_that_do_not_multiply_are_refused(tmp_path: Path) -> None:
    pair = {"to_q": (np.ones((3, 8), np.float32), np.ones((8, 4), np.float32))}
    with pytest.raises(TrainerError, match="a: the matrices of 'to_q' do not multiply"):
        adapters.load(1, write(tmp_path / "a", named(pair, "diffusers-peft")))


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (
            weights(SD3[:2]),
            weights(SD3[:1]),
            "step 400 adapts 'transformer_blocks.0.attn.to_k' at rank 4, and step 1,200",
        ),
        (
            weights(SD3[:1]),
            weights(SD3[:2]),
            "step 1,200 adapts 'transformer_blocks.0.attn.to_k' at rank 4, and step 400",
        ),
        (
            weights(SD3[:1]),
            weights(SD3[:1], 8),
            "step 400 adapts 'transformer_blocks.0.attn.to_q' at rank 4, and step 1,200",
        ),
    ],
)
def test_adapters_of_several_runs_are_refused(tmp_path: Path, first: object, second: object, said: str) -> None:
    both = [
        adapters.load(step, write(tmp_path / str(step), named(pairs, "diffusers-peft")))  # type: ignore[arg-type]
        for step, pairs in ((400, first), (1200, second))
    ]
    with pytest.raises(TrainerError, match=f"1200: {said} does not; give checkpoints of one run"):
        adapters.refuse_strangers(both)
    adapters.refuse_strangers(both[:1] * 2)
