"""What models are made of: every layer that multiplies, and every attention."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Stream = Literal["image", "text", "sample"]

IMAGE_ATTENTION: Final = ("to_q", "to_k", "to_v", "to_out.0")
"""What SimpleTuner 4.10.1 adapts unless told otherwise: its DEFAULT_LORA_TARGET for sd3 and for sd1x."""
JOINT_ATTENTION: Final = (*IMAGE_ATTENTION, "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
"""What diffusers' DreamBooth script for SD3 adapts: the text stream too."""

Levels = tuple[int, int, int, int]
UNET_LEVELS: Final[Levels] = (320, 640, 1280, 1280)
"""Channels of SD 1.5's UNet, level by level; each has half the side of the one above."""
_DEEPEST: Final = 3
"""The level without attention, and without a way further down."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A linear map or convolution, or ``count`` of them.

    Attributes:
        name: The suffix that PEFT finds it by.
        inputs: Channels in.
        outputs: Channels out.
        stream: What it is applied to: every image token, every text token, or once a sample.
        shrink: How many latent pixels a side make one image token.
        kernel: Weights a channel pair: 1 for a linear map, 9 for a 3 x 3 convolution.
        has_bias: Whether it adds one.
        count: How many such layers.
    """

    name: str
    inputs: int
    outputs: int
    stream: Stream = "image"
    shrink: int = 2
    kernel: int = 1
    has_bias: bool = True
    count: int = 1

    @property
    def parameters(self) -> int:
        """Weights and biases of all ``count``."""
        return self.count * (self.inputs * self.outputs * self.kernel + self.has_bias * self.outputs)


@dataclass(frozen=True, slots=True)
class Attention:
    """``count`` scaled dot products of ``width`` channels over image tokens, text tokens or both."""

    width: int
    shrink: int
    keys: Literal["image", "text", "both"]
    count: int = 1


class UnetBlock(NamedTuple):
    """A residual block, with a transformer if ``has_attention``; a token is ``shrink`` latent pixels a side."""

    inputs: int
    outputs: int
    shrink: int
    has_attention: bool


def sd3_layers(width: int, blocks: int, dual: int, text: int, pooled: int) -> Iterator[Layer]:
    """The layers of an SD3 transformer.

    Args:
        width: Channels of a token.
        blocks: Of them.
        dual: How many attend to the image a second time.
        text: Channels of a text token that comes in.
        pooled: Channels of the pooled text.
    """
    yield Layer("pos_embed.proj", 16, width, kernel=4)
    yield Layer("timestep_embedder.linear_1", 256, width, "sample")
    yield Layer("text_embedder.linear_1", pooled, width, "sample")
    yield Layer("linear_2", width, width, "sample", count=2)
    yield Layer("context_embedder", text, width, "text")
    yield Layer("norm_out.linear", width, 2 * width, "sample")
    yield Layer("proj_out", width, 2 * 2 * 16)
    yield from _sd3_blocks(width, blocks, dual)


def _sd3_blocks(width: int, blocks: int, dual: int) -> Iterator[Layer]:
    for name in IMAGE_ATTENTION:
        yield Layer(name, width, width, count=blocks + dual)
    for name in ("add_q_proj", "add_k_proj", "add_v_proj"):
        yield Layer(name, width, width, "text", count=blocks)
    # the last block drops the text stream after its attention
    yield Layer("to_add_out", width, width, "text", count=blocks - 1)
    yield Layer("ff.net.0.proj", width, 4 * width, count=blocks)
    yield Layer("ff.net.2", 4 * width, width, count=blocks)
    yield Layer("ff_context.net.0.proj", width, 4 * width, "text", count=blocks - 1)
    yield Layer("ff_context.net.2", 4 * width, width, "text", count=blocks - 1)
    yield Layer("norm1.linear", width, 6 * width, "sample", count=blocks - dual)
    yield Layer("norm1.linear", width, 9 * width, "sample", count=dual)
    yield Layer("norm1_context.linear", width, 6 * width, "sample", count=blocks - 1)
    yield Layer("norm1_context.linear", width, 2 * width, "sample")


def unet_layers(blocks: Iterable[UnetBlock], levels: Levels, text: int) -> Iterator[Layer]:
    """The layers of a UNet of SD 1.5's layout.

    Args:
        blocks: Of ``unet_blocks``.
        levels: Channels of each level.
        text: Channels of a text token.
    """
    time = 4 * levels[0]
    yield Layer("conv_in", 4, levels[0], shrink=1, kernel=9)
    yield Layer("conv_out", levels[0], 4, shrink=1, kernel=9)
    yield Layer("time_embedding.linear_1", levels[0], time, "sample")
    yield Layer("time_embedding.linear_2", time, time, "sample")
    for level in range(_DEEPEST):
        yield Layer("downsample", levels[level], levels[level], shrink=2 ** (level + 1), kernel=9)
        yield Layer("upsample", levels[level + 1], levels[level + 1], shrink=2**level, kernel=9)
    for block in blocks:
        yield from _unet_block(*block, time=time, text=text)


def unet_blocks(levels: Levels = UNET_LEVELS) -> Iterator[UnetBlock]:
    """Every residual block of a UNet of SD 1.5's layout: down, middle, up with what was kept on the way down."""
    skips = [levels[0]]
    last = levels[0]
    for level, out in enumerate(levels):
        for _ in range(2):
            yield UnetBlock(last, out, 2**level, level < _DEEPEST)
            last = out
            skips.append(out)
        if level < _DEEPEST:
            skips.append(out)
    yield UnetBlock(last, last, 8, True)
    yield UnetBlock(last, last, 8, False)
    for level in reversed(range(4)):
        for _ in range(3):
            yield UnetBlock(last + skips.pop(), levels[level], 2**level, level < _DEEPEST)
            last = levels[level]


def _unet_block(into: int, out: int, shrink: int, has_attention: bool, *, time: int, text: int) -> Iterator[Layer]:
    yield Layer("conv1", into, out, shrink=shrink, kernel=9)
    yield Layer("conv2", out, out, shrink=shrink, kernel=9)
    yield Layer("time_emb_proj", time, out, "sample")
    if into != out:
        yield Layer("conv_shortcut", into, out, shrink=shrink)
    if not has_attention:
        return
    yield Layer("proj_in", out, out, shrink=shrink)
    yield Layer("proj_out", out, out, shrink=shrink)
    yield Layer("to_q", out, out, shrink=shrink, has_bias=False, count=2)
    for name in ("to_k", "to_v"):
        yield Layer(name, out, out, shrink=shrink, has_bias=False)
        yield Layer(name, text, out, "text", has_bias=False)
    yield Layer("to_out.0", out, out, shrink=shrink, count=2)
    yield Layer("ff.net.0.proj", out, 8 * out, shrink=shrink)
    yield Layer("ff.net.2", 4 * out, out, shrink=shrink)
