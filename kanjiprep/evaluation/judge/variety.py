"""The same characters as other hands and other printers would give them: bent, moved, blurred, thick or thin."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kanjiprep.evaluation.judge.net import Batch, load_torch

_TURN: Final = 0.08
"""Largest share by which a side is slanted or stretched."""
_SCALE: Final = 0.1
_MOVE: Final = 0.06
"""Of half the side."""
_WARP: Final = 0.06
_WARP_POINTS: Final = 5
_BLUR_PX: Final = (0.3, 1.2)
_REACH_PX: Final = 2
_GRAIN: Final = 0.05


def of(inks: Any, picked: Any, random: Any) -> Batch:
    """A batch of characters, each changed a little in its own way.

    Args:
        inks: (widths, characters, side, side) uint8 tensor; which width is taken is drawn.
        picked: (N,) which characters.
        random: A torch generator.
    """
    torch = load_torch()
    widths = torch.randint(0, len(inks), (len(picked),), generator=random)
    batch = inks[widths, picked].float()[:, None] / 255
    bent = _blurred(torch, _bent(torch, batch, random), random)
    return bent + _GRAIN * torch.randn(bent.shape, generator=random)


def changed(inks: NDArray[np.uint8], picked: NDArray[np.intp], seed: int) -> NDArray[np.uint8]:
    """Characters, each changed as ``of`` does it: (N, side, side) uint8.

    Args:
        inks: (widths, characters, side, side) uint8.
        picked: (N,) which characters.
        seed: Decides the changes.

    Raises:
        UsageError: If torch is not installed.
    """
    torch = load_torch()
    random = torch.Generator().manual_seed(seed)
    batch = of(torch.from_numpy(inks), torch.from_numpy(picked), random)
    return (batch[:, 0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()  # type: ignore[no-any-return]


def _bent(torch: Any, batch: Batch, random: Any) -> Batch:
    """Slanted, stretched, moved and warped as on rubber."""
    functional, count, side = torch.nn.functional, len(batch), batch.shape[-1]
    linear = torch.eye(2) + _within(torch, _TURN, (count, 2, 2), random)
    linear = linear * (1 + _within(torch, _SCALE, (count, 1, 1), random))
    affine = torch.cat([linear, _within(torch, _MOVE, (count, 2, 1), random)], 2)
    grid = functional.affine_grid(affine, batch.shape, align_corners=False)
    coarse = _within(torch, _WARP, (count, 2, _WARP_POINTS, _WARP_POINTS), random)
    warp = functional.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=True)
    return functional.grid_sample(batch, grid + warp.permute(0, 2, 3, 1), align_corners=False)


def _blurred(torch: Any, batch: Batch, random: Any) -> Batch:
    low, high = _BLUR_PX
    sigma = low + (high - low) * torch.rand(len(batch), 1, generator=random)
    bell = torch.exp(-(torch.arange(-_REACH_PX, _REACH_PX + 1).float() ** 2) / (2 * sigma**2))
    bell = bell / bell.sum(1, keepdim=True)
    kernels = bell[:, None, :, None] * bell[:, None, None, :]
    padded = torch.nn.functional.pad(batch.transpose(0, 1), (_REACH_PX,) * 4)
    return torch.nn.functional.conv2d(padded, kernels, groups=len(batch)).transpose(0, 1)


def _within(torch: Any, most: float, shape: tuple[int, ...], random: Any) -> Any:
    """Numbers from ``-most`` to ``most``."""
    return most * (torch.rand(*shape, generator=random) * 2 - 1)
