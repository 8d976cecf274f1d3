"""Which model a LoRA is of, by names and widths."""

from __future__ import annotations

import pytest

from kanjiprep.evaluation.weights import lora_family
from kanjiprep.evaluation.weights.lora_keys import Layout

SD3 = "transformer_blocks.0.attn.to_q"
LAST = "transformer_blocks.1.attn.to_k"
TEXT = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"


@pytest.mark.parametrize(
    ("kind", "shapes", "family"),
    [
        ("transformer", {SD3: (4, 2432), LAST: (4, 2432)}, "sd3 large"),
        ("transformer", {SD3: (4, 2432), LAST: (4, 1536)}, "unknown"),
        ("transformer", {SD3: (4, 3072)}, "unknown"),
        ("unet", {TEXT: (4, 768)}, "sd1x"),
        ("unet", {TEXT: (4, 1024)}, "unknown"),
        ("unknown", {SD3: (4, 2432)}, "unknown"),
    ],
)
def test_names_and_widths_tell_the_model(kind: Layout, shapes: dict[str, tuple[int, ...]], family: str) -> None:
    assert lora_family.family(kind, shapes) == family


def test_what_fits_no_model_is_told() -> None:
    assert lora_family.misfit("transformer", {}) == ""
    assert lora_family.misfit("transformer", {SD3: (4, 3072)}) == ""
    assert lora_family.misfit("unet", {TEXT: (4, 768)}) == ""
    mixed = lora_family.misfit("transformer", {SD3: (4, 2432), LAST: (4, 1536)})
    assert mixed == "it fits no model: its attention has 1,536 and 2,432 channels"
    assert "are of another model, such as 'layers.0.wq'" in lora_family.misfit("unknown", {"layers.0.wq": (4, 64)})
    assert "are named in several ways" in lora_family.misfit("unknown", {SD3: (4, 64), TEXT: (4, 64)})
