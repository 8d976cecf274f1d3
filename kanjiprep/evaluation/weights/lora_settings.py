"""What PEFT was told, as diffusers keeps it in the metadata of a LoRA: rank, alpha, and much that says nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from kanjiprep.errors import shown
from kanjiprep.evaluation.weights.lora_keys import flat

KEY: Final = "lora_adapter_metadata"
"""Of the metadata; a JSON table with names such as ``transformer.r``. ComfyUI does not read it."""

NEEDED: Final = ("r", "lora_alpha", "target_modules")
"""Settings that diffusers cannot do without where there are any: PEFT takes 8 for a rank or alpha that is not said,
and fails with the KeyError 'model_type' without target_modules. Source: tried with diffusers 0.42.1, PEFT 0.21.2."""

_LASTING: Final = frozenset(
    (
        *("r", "lora_alpha", "rank_pattern", "alpha_pattern", "target_modules", "bias", "lora_dropout"),
        *("use_rslora", "use_dora", "fan_in_fan_out", "init_lora_weights", "modules_to_save"),
    )
)
"""Settings that every PEFT knows which diffusers loads LoRAs with."""
_DEFAULTS: Final[Mapping[str, object]] = {
    "peft_type": "LORA",
    "megatron_core": "megatron.core",
    "qalora_group_size": 16,
}
"""Further settings that say nothing with these values, besides null, false and what is empty."""
_NOTES: Final = frozenset(("peft_version", "base_model_name_or_path", "revision", "task_type"))
"""Settings that do nothing to an adapter that is loaded into a pipeline."""
_WILD: Final = frozenset("^$*+?()[]{}|\\")
_LARGEST: Final = 2**31


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one adapter.

    Attributes:
        component: The part of the pipeline they are for, such as ``transformer``; empty if the file has none.
        words: PEFT's names and values.
        fault: Why diffusers could not read them, a phrase; empty if it can.
    """

    component: str = ""
    words: Mapping[str, object] = field(default_factory=dict)
    fault: str = ""

    def rank_of(self, module: str) -> int | None:
        """The rank that is said for a module, named with dots or underlines."""
        value = self._of(module, "rank_pattern", "r")
        return value if type(value) is int else None

    def alpha_of(self, module: str) -> float | None:
        """The alpha that is said for a module, named with dots or underlines."""
        value = self._of(module, "alpha_pattern", "lora_alpha")
        return float(value) if isinstance(value, int | float) else None

    @property
    def is_rank_stabilized(self) -> bool:
        """Whether the adapter is applied times alpha / sqrt(rank), not alpha / rank."""
        return self.words.get("use_rslora") is True

    @property
    def superfluous(self) -> tuple[str, ...]:
        """Settings that say nothing, and that older versions of PEFT refuse to read."""
        return tuple(name for name, value in self.words.items() if name not in _LASTING and _is_neutral(name, value))

    @property
    def lacking(self) -> tuple[str, ...]:
        """What of ``NEEDED`` is not said, or not so that PEFT can use it."""
        return tuple(name for name in NEEDED if not _is_said(name, self.words.get(name)))

    def _of(self, module: str, pattern: str, default: str) -> object:
        found = self.words.get(pattern)
        cases = found.items() if isinstance(found, Mapping) else ()
        fitting = (value for name, value in cases if _is_end(name.removeprefix("^"), module))
        return next(fitting, self.words.get(default))


def _is_end(name: str, module: str) -> bool:
    if "." in module:
        return f".{module}".endswith(f".{name}")
    return f"_{module}".endswith(f"_{flat(name)}")


def _is_said(name: str, value: object) -> bool:
    """Whether it is of use; PEFT finds the modules itself where the list of them is empty."""
    if name != "target_modules":
        return value is not None
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _is_neutral(name: str, value: object) -> bool:
    return not value or name in _NOTES or _DEFAULTS.get(name) == value


def read(metadata: Mapping[str, str]) -> Settings:
    """The settings of the adapter of the model itself, not of a text encoder."""
    if KEY not in metadata:
        return Settings()
    try:
        table = json.loads(metadata[KEY])
    except (ValueError, RecursionError):
        return Settings(fault="is not JSON")
    if not isinstance(table, dict):
        return Settings(fault="is no table")
    parted = [(*name.partition("."), value) for name, value in table.items()]
    components = [component for component, *_ in parted if not component.startswith("text_encoder")]
    component = Counter(components).most_common(1)[0][0] if components else ""
    words = {name: value for other, _, name, value in parted if other == component}
    fault = next(_faults(words), "")
    return Settings(component, {} if fault else words, fault)


def _faults(words: Mapping[str, object]) -> Iterator[str]:
    for name in ("r", "lora_alpha"):
        if name in words and not _is_amount(words[name]):
            yield f"has the {name} {shown(words[name])}"
    for name in ("rank_pattern", "alpha_pattern"):
        pattern = words.get(name) or {}
        if not isinstance(pattern, dict) or not all(map(_is_amount, pattern.values())):
            yield f"has the {name} {shown(pattern)}"
        elif any(not _WILD.isdisjoint(key.removeprefix("^")) for key in pattern):
            yield f"has wildcards in its {name} {shown(pattern)}"


def _is_amount(value: object) -> bool:
    return type(value) in (int, float) and isinstance(value, int | float) and 0 < value < _LARGEST


def write(settings: Settings, ranks: Mapping[str, int]) -> str:
    """Settings of an adapter that is applied as it is: alpha is the rank, for every module.

    Args:
        settings: What was said, of which the rest is kept if it says anything.
        ranks: By the names of the modules, with dots.
    """
    ((rank, _),) = Counter(ranks.values()).most_common(1)
    others = {name: other for name, other in sorted(ranks.items()) if other != rank}
    dropped = {*settings.superfluous, *settings.lacking, "use_rslora"}
    kept = {name: value for name, value in settings.words.items() if name not in dropped}
    words = {
        "target_modules": sorted(ranks),
        **kept,
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": others,
        "alpha_pattern": others,
    }
    return json.dumps({f"transformer.{name}": value for name, value in words.items()}, indent=2, sort_keys=True)
