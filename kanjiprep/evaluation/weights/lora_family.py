"""Which model a LoRA is of, guessed by the names and the widths of its modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kanjiprep.errors import shown
from kanjiprep.evaluation.weights import lora_keys
from kanjiprep.evaluation.weights.lora_keys import Layout
from kanjiprep.training import models
from kanjiprep.training.run_spec import FLAVOURS

UNKNOWN: Final = "unknown"
_SHOWN: Final = 3
_MATRIX: Final = 2

Shapes = Mapping[str, tuple[int, ...]]
"""Of the first matrices, by module."""


def family(kind: Layout, shapes: Shapes) -> str:
    """``sd3 large``, ``sd3 medium``, ``sd3 tiny``, ``sd1x`` or ``unknown``."""
    if kind == "unet":
        inputs = _inputs(shapes)
        texts = {channels for module, channels in inputs.items() if lora_keys.reads_text(module)}
        known = {models.model_of("sd1x", flavour).text_width for flavour in FLAVOURS["sd1x"]}
        return "sd1x" if texts and texts <= known else UNKNOWN
    found = () if kind == "unknown" else widths(shapes)
    fitting = (flavour for flavour in FLAVOURS["sd3"] if found == (models.model_of("sd3", flavour).width,))
    return next((f"sd3 {flavour}" for flavour in fitting), UNKNOWN)


def widths(shapes: Shapes) -> tuple[int, ...]:
    """Channels of a token by the attentions of a transformer: one in any model, none if no attention is adapted."""
    found = {channels for module, channels in _inputs(shapes).items() if lora_keys.is_attention(module)}
    return tuple(sorted(found))


def misfit(kind: Layout, shapes: Shapes) -> str:
    """Why it is of no model that is known here, a phrase; empty if it may be of one, or adapts nothing."""
    if not shapes:
        return ""
    if kind == "unknown":
        strange = sorted(module for module in shapes if lora_keys.layout([module]) == "unknown")
        how = "are of another model" if strange else "are named in several ways"
        such = shown(strange[0] if strange else next(iter(shapes)))
        return f"it is no LoRA for SD3 or SD1.5: its modules {how}, such as {such}"
    several = () if kind == "unet" else widths(shapes)
    if len(several) > 1:
        return f"it fits no model: its attention has {' and '.join(f'{one:,}' for one in several[:_SHOWN])} channels"
    return ""


def _inputs(shapes: Shapes) -> dict[str, int]:
    """Channels in, by module."""
    return {module: shape[1] for module, shape in shapes.items() if len(shape) == _MATRIX}
