"""The pipeline of diffusers: loaded, placed on its device, and what was trained put in and taken out."""

from __future__ import annotations

import gc
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.evaluation.weights import lora as loras
from kanjiprep.evaluation.weights import safetensors_file
from kanjiprep.publishing.doctor import fixed
from kanjiprep.publishing.doctor import plan as mending
from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting import faults
from kanjiprep.publishing.painting.base import UNUSED, Base
from kanjiprep.publishing.painting.devices import Placement
from kanjiprep.publishing.tuned import PARTS

if TYPE_CHECKING:
    from kanjiprep.publishing.tuned import Tuned

_NAME: Final = "tuned"
_FILE: Final = "mended.safetensors"
_BASE_REMEDY: Final = "look whether its folder is whole, or give another with --base"


def refuse_stranger(tuned: Tuned, base: Base) -> None:
    """Refuse what was trained on another kind of model.

    Raises:
        UsageError: If families or flavours differ.
        TrainerError: If its config cannot be read.
    """
    flavour = tuned.flavour if tuned.kind == "lora" else bases.flavour(tuned.family, tuned.path)
    theirs, ours = (tuned.family, flavour), (base.family, base.flavour)
    is_other_family = bool(tuned.family) and tuned.family != base.family
    if is_other_family or (flavour and base.flavour and theirs != ours):
        what = f"belongs to {' '.join(theirs).strip()}, and {base.shown} is {' '.join(ours).strip()}"
        raise UsageError(what, tuned.name, "give its own base model with --base")


def load(base: Base, placement: Placement, part: Tuned | None) -> Any:
    """The pipeline of ``base`` on its device, with a trained part in the place of its own.

    Raises:
        TrainerError: If it cannot be loaded.
    """
    import torch
    from diffusers import DiffusionPipeline

    dtype = getattr(torch, placement.dtype)
    # The decoder of SD 1.5 overflows in float16, and black pictures come of it.
    dtypes = {"default": dtype, "vae": torch.float32 if placement.dtype == "float16" else dtype}
    given: dict[str, Any] = dict.fromkeys(UNUSED) if base.family == "sd1x" else {}
    given |= {"requires_safety_checker": False} if base.family == "sd1x" else {}
    if part is not None:
        given[PARTS[base.family]] = _trained(part.path, base.family, placement)
    with faults.clear("cannot be loaded", base.shown, _BASE_REMEDY), _old_name():
        pipeline = DiffusionPipeline.from_pretrained(base.folder, torch_dtype=dtypes, local_files_only=True, **given)
        pipeline.set_progress_bar_config(disable=True)
        place(pipeline, placement)
    return pipeline


def put_part(pipeline: Any, base: Base, placement: Placement, part: Tuned | None) -> None:
    """Put the trained part, or the base model's own, into ``pipeline``.

    Raises:
        TrainerError: If it cannot be loaded.
    """
    name = PARTS[base.family]
    folder = base.folder / name if part is None else part.path
    pipeline.remove_all_hooks()
    pipeline.register_modules(**{name: None})  # its memory first, the next one's then
    free()
    pipeline.register_modules(**{name: _trained(folder, base.family, placement)})
    with faults.clear("cannot be loaded", base.shown, _BASE_REMEDY):
        place(pipeline, placement)


def put_adapter(pipeline: Any, tuned: Tuned, base: str) -> None:
    """Put a LoRA into ``pipeline``, mended first where diffusers would refuse it or apply it at a wrong strength.

    Raises:
        TrainerError: If it is unfit, or does not fit into the model.
    """
    remedy = "give its own base model with --base"
    with _fit(tuned) as file, faults.clear(f"does not fit the base model {base}", tuned.name, remedy):
        pipeline.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=_NAME)
    if not any(_NAME in names for names in pipeline.get_list_adapters().values()):
        raise TrainerError(f"has nothing that fits into {base}", tuned.name, remedy)


@contextmanager
def _fit(tuned: Tuned) -> Iterator[Path]:
    """The LoRA's file itself if there is nothing to mend, else a copy that is there until the block ends.

    Without that suffix diffusers would take the file for a pickle.
    """
    alpha, found = tuned.alpha, loras.outline(tuned.path)
    loras.refuse_unfit(found)
    if tuned.path.suffix == safetensors_file.SUFFIX and not fixed.changes(found, mending.plan(found, alpha)):
        loras.refuse_unfit(loras.inspect(tuned.path))  # whose numbers were not read yet
        yield tuned.path.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="kanjiprep-lora-") as folder:
        copy = Path(folder) / _FILE
        fixed.fix(tuned.path, copy, alpha)
        yield copy


def shifted(scheduler: Any, shift: float | None) -> Any:
    """The sampler of the trainer's validation with ``shift``, or ``scheduler`` itself for None."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    return scheduler if shift is None else FlowMatchEulerDiscreteScheduler.from_config(scheduler.config, shift=shift)


def free() -> None:
    """Give memory back that nobody uses."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _trained(folder: Path, family: str, placement: Placement) -> Any:
    import torch
    from diffusers import SD3Transformer2DModel, UNet2DConditionModel

    kind = SD3Transformer2DModel if family == "sd3" else UNet2DConditionModel
    with faults.clear("cannot be loaded", folder.name, "take another checkpoint"), _old_name():
        return kind.from_pretrained(folder, torch_dtype=getattr(torch, placement.dtype), local_files_only=True)


def place(pipeline: Any, placement: Placement) -> None:
    """Put the pipeline on its device."""
    if placement.offload == "model":
        pipeline.enable_model_cpu_offload(device=placement.device)
    elif placement.offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=placement.device)
    else:
        pipeline.to(placement.device)


@contextmanager
def _old_name() -> Iterator[None]:
    """A block in which diffusers is given ``torch_dtype``: 0.37 knows no other name, and 0.42 warns of it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch_dtype` is deprecated", FutureWarning)
        yield
