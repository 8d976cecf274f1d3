"""A model that is loaded, with what was trained in it, ready to paint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kanjiprep.errors import UsageError
from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting import devices, faults, fitting
from kanjiprep.publishing.painting.base import Base
from kanjiprep.publishing.painting.devices import Placement, Ways
from kanjiprep.publishing.painting.wish import Painter, Stepped, Unpainted, Wish, refuse_size
from kanjiprep.publishing.tuned import PARTS

if TYPE_CHECKING:
    from PIL import Image

    from kanjiprep.publishing.tuned import Tuned

__all__ = ["Ways", "opened"]

Say = Callable[[str], None]


def _print_nothing(line: str) -> None:
    """Hear and say nothing."""


@contextmanager
def opened(tuned: Tuned | None, base: str, ways: Ways, say: Say = _print_nothing) -> Iterator[Painter]:
    """The model ``base`` with ``tuned`` in it, loaded until the block ends.

    Args:
        tuned: What was trained; None for the base model alone.
        base: A folder in the layout of diffusers, or a repository of the Hub.
        ways: How it is loaded.
        say: Hears what was chosen and why, and warnings, a line each.

    Raises:
        UsageError: If diffusers is not installed, there is no such device or base model, or too little memory.
        HubError: If the base model has to be fetched and cannot be.
        TrainerError: If it cannot be loaded, or what was trained does not belong to it.
    """
    refuse_without_diffusers()
    with _quiet():
        found = bases.fetch(base)
        if ways.family not in (None, found.family):
            raise UsageError(f"is of the family {found.family}, and wanted is {ways.family}", base, "give another")
        if tuned is not None:
            fitting.refuse_stranger(tuned, found)
        placement = devices.choose(ways, devices.read_machine(), bases.need(found, tuned, ways.adapter_bytes))
        for line in told(placement):
            say(line)
        loaded = _Loaded(found, placement, tuned)
        try:
            loaded.take(tuned)
            yield loaded
        finally:
            loaded.close()


def refuse_without_diffusers() -> None:
    """Say what is missing before anything is loaded.

    Raises:
        UsageError: If the libraries are not installed.
    """
    try:
        import accelerate
        import diffusers
        import peft
        import torch
        import transformers
    except ImportError as error:
        raise devices.missing_extra() from error
    del accelerate, diffusers, peft, torch, transformers


def told(placement: Placement) -> Iterator[str]:
    """What was chosen and why, a line each."""
    offload = "" if placement.offload == "none" else f", offload {placement.offload}"
    yield f"device: {placement.device}, {placement.dtype}{offload} ({placement.why})"
    yield from (f"warning: {line}" for line in placement.warnings)


class _Loaded:
    """A pipeline in memory; a ``Painter``."""

    def __init__(self, base: Base, placement: Placement, tuned: Tuned | None) -> None:
        self._base = base
        self._placement = placement
        self._has_adapter = False
        part = tuned if tuned is not None and tuned.kind == "full" else None
        self._pipeline: Any = fitting.load(base, placement, part)
        self._scheduler: Any = self._pipeline.scheduler
        """The base model's own."""
        self._part: str | None = str(part.path) if part else ""
        """The folder of the trained part in the pipeline; empty for the base model's own, None for none."""

    def close(self) -> None:
        """Give the memory back."""
        self._pipeline = self._scheduler = None
        fitting.free()

    def take(self, tuned: Tuned | None) -> None:
        if tuned is not None:
            fitting.refuse_stranger(tuned, self._base)
        if self._has_adapter:
            self._pipeline.unload_lora_weights()
            self._has_adapter = False
        part = str(tuned.path) if tuned is not None and tuned.kind == "full" else ""
        if part != self._part:
            self._part = None
            fitting.put_part(self._pipeline, self._base, self._placement, tuned if part else None)
            self._part = part
        if tuned is not None and tuned.kind == "lora":
            self._has_adapter = True
            fitting.put_adapter(self._pipeline, tuned, self._base.shown)

    def paint(self, wish: Wish, stepped: Stepped) -> Image.Image:
        refuse_size(wish.size_px, self._base.family)
        what, remedy = "the picture cannot be painted", "try --dtype float32, or other settings"
        with faults.clear(what, self._base.shown, remedy):
            latents = self._latents(wish, stepped)
            return self._decoded(latents, wish)

    def _latents(self, wish: Wish, stepped: Stepped) -> Any:
        def told(pipeline: Any, index: int, _: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            stepped(index + 1, pipeline.num_timesteps)
            return tensors

        is_sd3 = self._base.family == "sd3"
        own = {"max_sequence_length": wish.t5_tokens} if is_sd3 else {}
        self._pipeline.scheduler = fitting.shifted(self._scheduler, wish.shift if is_sd3 else None)
        return self._pipeline(
            prompt=wish.prompt, negative_prompt=wish.negative, height=wish.size_px, width=wish.size_px,
            num_inference_steps=wish.steps, guidance_scale=wish.guidance, latents=self._noise(wish),
            callback_on_step_end=told, callback_on_step_end_tensor_inputs=["latents"], output_type="latent", **own,
        ).images  # fmt: skip

    def _noise(self, wish: Wish) -> Any:
        """The same numbers for a seed on every device and of every type; ComfyUI draws them in this way too."""
        import torch

        main = self._main()
        side = wish.size_px // self._pipeline.vae_scale_factor
        generator = torch.Generator("cpu").manual_seed(wish.seed)
        noise = torch.randn((1, main.config.in_channels, side, side), generator=generator)
        return noise.to(main.dtype)

    def _decoded(self, latents: Any, wish: Wish) -> Image.Image:
        import torch

        vae = self._pipeline.vae
        with torch.no_grad():
            scaled = latents.to(vae.dtype) / vae.config.scaling_factor + (vae.config.shift_factor or 0)
            pixels = vae.decode(scaled, return_dict=False)[0]
        if not torch.isfinite(pixels).all():
            which = "is not a number in its latent" if not torch.isfinite(latents).all() else "cannot be decoded"
            raise Unpainted(f"the picture of {wish.subject!r} with the seed {wish.seed} {which}", self._base.shown)
        picture: Image.Image = self._pipeline.image_processor.postprocess(pixels.float(), output_type="pil")[0]
        return picture

    def _main(self) -> Any:
        return getattr(self._pipeline, PARTS[self._base.family])


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' own talk and bars, of which ours tells what matters."""
    import logging

    import diffusers
    import transformers

    loggings = (diffusers.utils.logging, transformers.utils.logging)
    before = [(one.get_verbosity(), one.is_progress_bar_enabled()) for one in loggings]
    try:
        for one in loggings:
            one.set_verbosity(logging.CRITICAL)  # they log what they raise
            one.disable_progress_bar()
        yield
    finally:
        for one, (verbosity, has_bar) in zip(loggings, before, strict=True):
            one.set_verbosity(verbosity)
            if has_bar:
                one.enable_progress_bar()
