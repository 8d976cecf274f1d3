"""A LoRA file mended for publishing, so that diffusers and ComfyUI apply it equally; see ``doctor.plan`` for how."""

from __future__ import annotations

from pathlib import Path

from kanjiprep.publishing.doctor import fixed


def repair(path: Path, out: Path, alpha: float | None = None) -> tuple[str, ...]:
    """Write a copy that diffusers and ComfyUI both load and apply equally, and say what was changed.

    Args:
        path: The LoRA.
        out: The copy; byte for byte if there is nothing to mend.
        alpha: What it was trained with, for a file that does not say.

    Returns:
        One line a change; none if there was nothing to mend.

    Raises:
        TrainerError: If the file is unfit, there are no names for its modules that both read, or
            the copy cannot be written.
    """
    return fixed.fix(path, out, alpha)
