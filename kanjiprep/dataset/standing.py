"""What already stands where a dataset is to go: the same, another of ours, or somebody else's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kanjiprep.dataset import folder
from kanjiprep.dataset.folder import Certificate
from kanjiprep.errors import DatasetError
from kanjiprep.progress import Progress


def finished(out: Path, recipe: Certificate, may_replace: bool, progress: Progress) -> Certificate | None:
    """The certificate of the very dataset that is asked for, if it stands in ``out``; None if ``out`` is free.

    Args:
        out: Where a dataset is to go.
        recipe: What is asked for.
        may_replace: Whether another build of ours, or a changed one, counts as free.
        progress: Hears files verified.

    Raises:
        DatasetError: If ``out`` holds anything that must not be replaced.
    """
    if not out.exists():
        return None
    if not out.is_dir():
        raise DatasetError("is a file, not a folder", str(out), "give another folder")
    certificate = folder.read_certificate(out)
    if certificate is None:
        _refuse_strangers(sorted(entry.name for entry in out.iterdir()), out)
        _refuse_unmovable(out)
        return None
    listed = folder.listed(out)
    if listed:
        _refuse_strangers(folder.foreign_files(out, listed), out)
    if _essence(certificate) == _essence(recipe):
        changed = folder.differences(out, certificate, progress)
        if not changed:
            return certificate
        files = "1 file is" if len(changed) == 1 else f"{len(changed)} files are"
        reason = f"{files} not what was built: {', '.join(changed[:3])}"
    else:
        reason = f"holds another build ({_first_difference(certificate, recipe)})"
    if not may_replace:
        raise DatasetError(reason, str(out), "give --replace to build it anew, or another folder")
    _refuse_strangers(folder.foreign_files(out, listed), out)
    _refuse_unmovable(out)
    return None


def _essence(certificate: Certificate) -> Certificate:
    """The recipe without names that say nothing of the bytes: where a version was read, what a template is called."""
    recipe = certificate.recipe()
    return replace(
        recipe,
        sources={key: replace(source, version="", date="") for key, source in recipe.sources.items()},
        caption=replace(recipe.caption, name=""),
    )


def _refuse_unmovable(out: Path) -> None:
    """Refuse a folder that the finished one cannot be renamed over, before the work and not after it."""
    if out.is_mount():
        raise DatasetError("is a mount point, which cannot be renamed over", str(out), "give a folder inside it")
    if out == Path.cwd():
        raise DatasetError("is the folder you stand in", str(out), "give a folder inside it")
    if not os.access(out, os.W_OK):
        raise DatasetError("must not be written", str(out), "change its permissions or give another folder")


def _first_difference(standing: Certificate, recipe: Certificate) -> str:
    pairs = {
        "tool": (standing.tool, recipe.tool),
        "renderer": (standing.renderer, recipe.renderer),
        "style": (standing.style, recipe.style),
        "caption": (standing.caption.template, recipe.caption.template),
        "selection": (standing.selection, recipe.selection),
    }
    return next((f"other {key}" for key, (there, asked) in pairs.items() if there != asked), "other sources")


def _refuse_strangers(names: Sequence[str], out: Path) -> None:
    if names:
        shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")  # noqa: PLR2004
        raise DatasetError(
            f"holds files that kanjiprep did not write: {shown}", str(out), "move them away or give another folder"
        )
