"""Everything that a full fine-tune with diffusers' own script needs, in one folder."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from kanjiprep import __version__, receipt
from kanjiprep.errors import UsageError, os_reason
from kanjiprep.paths import resolved
from kanjiprep.progress import Progress
from kanjiprep.publishing.first_attempt import command, imagefolder, leftovers, modal_script, script, standing
from kanjiprep.publishing.first_attempt.standing import Certificate, Status
from kanjiprep.resources import environment, shipped
from kanjiprep.training.pictures import Dataset
from kanjiprep.training.plan import Plan
from kanjiprep.training.presets import Preset

FILES: Final = ("train.sh", "modal_app.py", "READ_ME.md", "requirements.txt")
"""What is rendered, each from the template of its name with ``.j2``."""
_KEY_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that stands.

    Attributes:
        folder: Where.
        status: Whether it was written now, in place of another, or stood there already.
        pictures: In train/.
        steps: That will be trained.
        modal_gpu: As Modal calls it.
        modal_most_hours: After which Modal ends it.
        modal_most_usd: What the GPU costs for so long.
    """

    folder: Path
    status: Status
    pictures: int
    steps: int
    modal_gpu: str
    modal_most_hours: float
    modal_most_usd: float


def export(preset: Preset, dataset: Dataset, made: Plan, folder: Path, progress: Progress) -> Exported:
    """The export of ``preset`` on ``dataset`` in ``folder``, which stands whole or not at all.

    Args:
        preset: A full fine-tune of Stable Diffusion 1.5.
        dataset: Square pictures.
        made: The plan of this preset on this dataset.
        folder: Free, or an earlier export that nobody has touched.
        progress: Hears about pictures.

    Raises:
        UsageError: If the preset is another kind of training, the folder is taken, or it cannot be written.
        DatasetError: If the script would read the dataset as something else than it is.
    """
    command.refuse_unfit(preset)
    gpu, hours = modal_script.gpu_of(made), modal_script.most_hours(preset, made)
    target = resolved(folder)
    if target == dataset.folder or dataset.folder in target.parents:
        raise UsageError("is the dataset or inside it", str(target), "give a folder beside it")
    standing.refuse_foreign(target)
    with _aside(target) as part:
        imagefolder.write(dataset, part / imagefolder.FOLDER, progress)
        _write_texts(part, preset, made)
        status = standing.settle(part, target)
    usd = round(hours * gpu.usd_per_hour, 2)
    return Exported(target, status, len(dataset.pictures), made.steps.total, gpu.name, hours, usd)


def _write_texts(part: Path, preset: Preset, made: Plan) -> None:
    content = receipt.content_of(part / imagefolder.FOLDER)
    for name, text in texts(preset, made, content).items():
        (part / name).write_text(text, "utf-8")
    (part / "train.sh").chmod(0o755)
    sums = standing.digests(part / name for name in FILES)
    certificate = Certificate(__version__, preset.name, made.digest, content, sums)
    (part / standing.NAME).write_text(json.dumps(asdict(certificate), ensure_ascii=False, indent=2) + "\n", "utf-8")


def texts(preset: Preset, made: Plan, content: str) -> dict[str, str]:
    """The rendered files by name.

    Args:
        preset: A full fine-tune of Stable Diffusion 1.5.
        made: Its plan.
        content: Digest of pictures and captions.
    """
    lines = command.command(preset, made.steps)
    key = hashlib.sha256("\n".join([content, *lines]).encode()).hexdigest()[:_KEY_DIGITS]
    values = {**_values(preset, made, lines), **modal_script.values(preset, made, key)}
    return {name: _render(name, values) for name in FILES}


def _values(preset: Preset, made: Plan, lines: tuple[str, ...]) -> dict[str, object]:
    spec, steps = preset.spec, made.steps
    passes_steps = command.passes_steps(spec, steps)
    return {
        "tool": __version__,
        "preset": preset.name,
        "dataset_digest": made.digest,
        "pictures": steps.pictures,
        "training": {"batch": spec.training.batch, "accumulation": spec.training.accumulation},
        "resolution_px": spec.training.resolution_px,
        "steps": steps.total,
        "steps_are_asked_for": spec.training.steps is not None,
        "epochs": spec.training.epochs,
        "repeats": spec.training.repeats,
        "passes": command.passes(spec, steps),
        "passes_steps": passes_steps,
        "checkpoint_gb": round(made.trained_parameters * 12 / 1e9, 1),
        "memory_gib": round(made.trained_parameters * 16 / 2**30, 1),
        "notes": command.notes(spec),
        "quoted_model": shlex.quote(command.model(spec)),
        "command": lines,
        "script": {
            "name": script.NAME, "version": script.VERSION, "commit": script.COMMIT, "committed": script.COMMITTED,
            "url": script.URL, "sha256": script.SHA256,
        },
    }  # fmt: skip


def _render(name: str, values: Mapping[str, object]) -> str:
    source = (shipped("templates") / "diffusers" / f"{name}.j2").read_text("utf-8")
    return environment().from_string(source).render(values).rstrip("\n") + "\n"


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A folder beside ``target`` to write into, gone afterwards unless it was renamed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with leftovers.cleared(target):
            part = Path(tempfile.mkdtemp(prefix=leftovers.prefix(target), suffix=leftovers.SUFFIX, dir=target.parent))
            part.chmod(0o755)
            try:
                yield part
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        place = str(error.filename or target)
        raise UsageError(f"cannot be exported: {os_reason(error)}", place, "give another folder") from error
