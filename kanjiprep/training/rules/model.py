"""Which model is trained, with which LoRA, optimizer and precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kanjiprep import tokens
from kanjiprep.training.rules.clipping import is_large
from kanjiprep.training.rules.rule import Hit, Rule, rule
from kanjiprep.training.rules.subject import Subject

FLAVOURS: Final[Mapping[str, Mapping[str, str]]] = {
    "sd3": {
        "large": "stabilityai/stable-diffusion-3.5-large",
        "medium": "stabilityai/stable-diffusion-3.5-medium",
    },
    "sd1x": {
        "1.4": "CompVis/stable-diffusion-v1-4",
        "1.5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "dreamshaper": "Lykon/dreamshaper-8",
        "realvis": "SG161222/RealVisXL_V5.0",
    },
}
"""Flavours of the two families that this project trains. Source: SimpleTuner 4.10.1 helpers/models/*/model.py."""

_DEFAULT_FLAVOUR: Final = {"sd3": "medium", "sd1x": "dreamshaper"}
_SETUP: Final = "SimpleTuner 4.10.1 helpers/models/common.py setup_model_flavour"

VERY_LARGE_RANK: Final = 256
"""Above this the trainer's own web interface calls a rank very large."""

GONE_OPTIMIZERS: Final[Mapping[str, str]] = {
    "adafactor": "optimi-stableadamw",
    "adamw": "adamw_bf16 or torch-adamw",
    "adamw8bit": "optimi-adamw or adamw_bf16",
    "dadaptation": "adamw_schedulefree",
    "lion": "optimi-lion",
}
"""Names of optimizers that are refused, and what there is. Source: optimizer_param.py, run."""


@rule(
    "family-by-default",
    "warning",
    "A model that nobody named",
    why="Without model_flavour and pretrained_model_name_or_path, sd3 is SD3.5 Medium and sd1x is Dreamshaper 8.",
    fix='Write model_flavour: "large" for SD3.5 Large, "1.5" for Stable Diffusion 1.5.',
    source=_SETUP,
)
def family_by_default(subject: Subject) -> Iterator[Hit]:
    """A family with a surprising default, and no flavour."""
    default = _DEFAULT_FLAVOUR.get(subject.family)
    is_open = not subject.text("model_flavour") and not subject.text("pretrained_model_name_or_path")
    if default and is_open:
        yield Hit("model_flavour", f"{subject.family} will train {FLAVOURS[subject.family][default]}.")


@rule(
    "unknown-flavour",
    "error",
    "A flavour that does not exist",
    why="The parser takes any flavour; the model refuses it when it is built.",
    fix="Write one of the flavours that are listed.",
    source=_SETUP,
)
def unknown_flavour(subject: Subject) -> Iterator[Hit]:
    """A flavour that its family does not have."""
    flavours, flavour = FLAVOURS.get(subject.family, {}), subject.text("model_flavour")
    if flavours and flavour and flavour not in flavours and not subject.text("pretrained_model_name_or_path"):
        yield Hit("model_flavour", f"{flavour!r} is none of {', '.join(flavours)}.")


@rule(
    "flavour-overruled",
    "warning",
    "A flavour that the path overrules",
    why="pretrained_model_name_or_path wins over model_flavour.",
    fix="Drop one of the two.",
    source=_SETUP,
)
def flavour_overruled(subject: Subject) -> Iterator[Hit]:
    """A flavour beside the path of something else."""
    path, flavour = subject.text("pretrained_model_name_or_path"), subject.text("model_flavour")
    usual = FLAVOURS.get(subject.family, {}).get(flavour)
    if usual and path and path != usual:
        yield Hit("model_flavour", f"The model is {path}, whatever {flavour!r} says.")


@rule(
    "rank-very-large",
    "warning",
    "A very large rank",
    why="SimpleTuner's web interface calls a lora_rank above 256 very large and refuses it; the trainer takes it.",
    fix="Write 64 to 256 first: files, memory and the risk of overfitting grow with the rank.",
    source="SimpleTuner 4.10.1, field registry (lora_rank 1 to 256)",
)
def rank_very_large(subject: Subject) -> Iterator[Hit]:
    """A rank above what the registry takes."""
    rank = subject.whole("lora_rank")
    if subject.is_lora and rank > VERY_LARGE_RANK:
        yield Hit("lora_rank", f"lora_rank is {rank}, {rank / VERY_LARGE_RANK:.3g} times the largest usual one.")


@rule(
    "alpha-unlike-rank",
    "warning",
    "An alpha that ComfyUI does not see",
    why="The saved file has no alpha tensors, and without them ComfyUI takes a scale of 1, not alpha / rank.",
    fix="Drop lora_alpha, which is then the rank, or give ComfyUI the strength alpha / rank.",
    source="ComfyUI 0.3.64, its loader run on SD3; SimpleTuner 4.10.1 helpers/models/common.py",
)
def alpha_unlike_rank(subject: Subject) -> Iterator[Hit]:
    """An alpha of its own, for SD3."""
    alpha, rank = subject.number("lora_alpha"), subject.whole("lora_rank")
    has_alphas = subject.family != "sd3" or subject.text("lora_format") == "comfyui"
    if has_alphas or not subject.is_lora or alpha is None or alpha == rank:
        return
    factor = (
        f"{rank / alpha:.3g} times as strongly as it was trained" if alpha else "which was trained at a scale of 0"
    )
    yield Hit("lora_alpha", f"With alpha {alpha:g} and rank {rank}, ComfyUI applies the LoRA {factor}.")


@rule(
    "lora-dropout-by-default",
    "note",
    "A dropout of 0.1, because nothing was said",
    why="lora_dropout is 0.1 where it is not written.",
    fix="Write the lora_dropout that you mean; 0 for none.",
    source="SimpleTuner 4.10.1, default of the live parser",
)
def lora_dropout(subject: Subject) -> Iterator[Hit]:
    """A missing lora_dropout."""
    if subject.is_lora and subject.given("lora_dropout") is None:
        yield Hit("lora_dropout", "A tenth of the LoRA's inputs is dropped in every step.")


@rule(
    "lora-for-comfyui",
    "note",
    "A LoRA that only ComfyUI reads",
    why="lora_format comfyui renames the tensors; ComfyUI reads the usual names too, diffusers does not read the "
    "others, and 3.1.6 wrote names for SD3 that ComfyUI skips without an error.",
    fix="Drop lora_format: the default loads in both.",
    source="ComfyUI 0.3.64, its loader run on SD3; SimpleTuner helpers/training/lora_format.py",
)
def lora_for_comfyui(subject: Subject) -> Iterator[Hit]:
    """The ComfyUI format for SD3."""
    if subject.family == "sd3" and subject.text("lora_format") == "comfyui":
        yield Hit("lora_format", "The tensors will have ComfyUI's names.")


@rule(
    "precision-refused",
    "error",
    "A precision that SD3 refuses",
    why="SD3 does not run in fp8-quanto, and says so when the model is built.",
    fix="Write int8-quanto or fp8-torchao.",
    source="SimpleTuner 4.10.1 helpers/models/sd3/model.py check_user_config",
)
def precision_refused(subject: Subject) -> Iterator[Hit]:
    """fp8-quanto for SD3."""
    if subject.family == "sd3" and subject.text("base_model_precision") == "fp8-quanto":
        yield Hit("base_model_precision", "base_model_precision is fp8-quanto.")


@rule(
    "optimizer-gone",
    "error",
    "An optimizer that is gone",
    why="Some optimizers were removed and others have a prefix; the parser refuses their plain names.",
    fix="Write the name that is given.",
    source="SimpleTuner 4.10.1 helpers/training/optimizer_param.py, run",
)
def optimizer_gone(subject: Subject) -> Iterator[Hit]:
    """A name that was seen to be refused."""
    optimizer = subject.text("optimizer")
    if optimizer in GONE_OPTIMIZERS:
        yield Hit("optimizer", f"{optimizer} is refused; there is {GONE_OPTIMIZERS[optimizer]}.")


@rule(
    "one-beta",
    "error",
    "One beta without the other",
    why="The parser wants optimizer_beta1 and optimizer_beta2 together or not at all.",
    fix="Write both.",
    source="SimpleTuner 4.10.1 helpers/configuration/cmd_args.py, run",
)
def one_beta(subject: Subject) -> Iterator[Hit]:
    """Exactly one of the two."""
    missing = [key for key in ("optimizer_beta1", "optimizer_beta2") if subject.given(key) is None]
    if len(missing) == 1:
        yield Hit(missing[0], f"{missing[0]} is missing.")


@rule(
    "no-gradient-checkpointing",
    "warning",
    "All activations kept",
    why="Without gradient checkpointing SD3.5 Large keeps about 14 GiB of activations for each 1024 px picture of a "
    "batch, with it about 1.1 GiB.",
    fix="Write gradient_checkpointing: true.",
    source="computed by running the model on meta tensors with a flash kernel: an estimate, not a measured run",
)
def no_gradient_checkpointing(subject: Subject) -> Iterator[Hit]:
    """Checkpointing switched off for SD3.5 Large."""
    if is_large(subject) and not subject.flag("gradient_checkpointing"):
        batch = subject.whole("train_batch_size")
        yield Hit("gradient_checkpointing", f"It is off, with train_batch_size {batch}.")


@rule(
    "tokens-capped",
    "warning",
    "A token limit that is cut down",
    why="SD3 takes 154 tokens of T5 at most; a higher tokenizer_max_length is set back.",
    fix="Write 154, or nothing, and shorten the captions.",
    source="SimpleTuner 4.10.1 helpers/models/sd3/model.py check_user_config",
)
def tokens_capped(subject: Subject) -> Iterator[Hit]:
    """A limit above 154 for SD3."""
    limit = subject.whole("tokenizer_max_length")
    if subject.family == "sd3" and limit > tokens.T5_CUT and not subject.flag("i_know_what_i_am_doing"):
        yield Hit("tokenizer_max_length", f"{limit} becomes {tokens.T5_CUT}.")


RULES: Final[tuple[Rule, ...]] = (
    family_by_default,
    unknown_flavour,
    flavour_overruled,
    rank_very_large,
    alpha_unlike_rank,
    lora_dropout,
    lora_for_comfyui,
    precision_refused,
    optimizer_gone,
    one_beta,
    no_gradient_checkpointing,
    tokens_capped,
)
