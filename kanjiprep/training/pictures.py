"""The dataset folder as the trainer will see it: pictures, captions, shapes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from kanjiprep import metadata, tokens
from kanjiprep.errors import DatasetError, os_reason
from kanjiprep.paths import resolved
from kanjiprep.progress import Progress
from kanjiprep.training.run_spec import SIZE_STEP_PX

T5_WINDOW: Final = 154
"""What SimpleTuner lets SD3's T5 see, whatever is asked. Source: models/sd3/model.py, check_user_config."""
_CERTIFICATE: Final = "build.json"


@dataclass(frozen=True, slots=True)
class Picture:
    """One row of the dataset."""

    file_name: str
    caption: str
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a run trains on.

    Attributes:
        folder: Of the pictures.
        pictures: In the order of metadata.csv.
        digest: From the birth certificate; empty without one.
    """

    folder: Path
    pictures: tuple[Picture, ...]
    digest: str = ""


def read(path: Path, progress: Progress) -> Dataset:
    """The dataset in the folder ``path``.

    Raises:
        DatasetError: If there is none, or a row names a picture that cannot be read.
    """
    folder = resolved(path)
    rows = metadata.read_rows(folder / metadata.NAME)
    if not rows:
        raise DatasetError("has no rows", str(folder / metadata.NAME), "run kanjiprep build")
    pictures = []
    for done, (name, caption) in enumerate(rows, 1):
        pictures.append(Picture(name, caption, *_size_px(folder / name)))
        progress("read pictures", done, len(rows))
    return Dataset(folder, tuple(pictures), _digest(folder / _CERTIFICATE))


def nominal(samples: int, size_px: int) -> Dataset:
    """A dataset of so many square pictures, to plan for one that is not built yet."""
    names = (f"{index:05d}.png" for index in range(samples))
    return Dataset(Path("dataset"), tuple(Picture(name, "kanji", size_px, size_px) for name in names))


def buckets(pictures: Iterable[Picture], resolution_px: int) -> dict[str, int]:
    """Pictures by bucket: the aspect ratio after scaling to the area of a square of ``resolution_px``.

    Source: SimpleTuner 4.10.1 multiaspect/image.py calculate_new_size_by_pixel_area.
    """
    counted = Counter(bucket(one.width_px, one.height_px, resolution_px) for one in pictures)
    return dict(sorted(counted.items()))


def bucket(width_px: int, height_px: int, resolution_px: int) -> str:
    """The trainer's name of the bucket of a picture of that size."""
    ratio = round(width_px / height_px, 2)
    if ratio == 1.0 and width_px == height_px:
        return "1.0"
    edge_px = _aligned_px(resolution_px)
    return str(round(_aligned_px(edge_px * math.sqrt(ratio)) / _aligned_px(edge_px / math.sqrt(ratio)), 2))


def captions_jsonl(dataset: Dataset) -> bytes:
    """One line a picture in the form that SimpleTuner's ``parquet`` metadata backend reads."""
    lines = (
        {"file_name": one.file_name, "text": one.caption, "width": one.width_px, "height": one.height_px}
        for one in dataset.pictures
    )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def over_window(dataset: Dataset) -> tuple[int, int]:
    """Captions longer than CLIP's window, and than the T5 window of SimpleTuner; tokens.clip_tokens for both."""
    counts = [tokens.clip_tokens(one.caption) for one in dataset.pictures]
    return sum(count > tokens.CLIP_LIMIT for count in counts), sum(count > T5_WINDOW for count in counts)


def _aligned_px(size_px: float) -> int:
    return max(SIZE_STEP_PX, round(size_px / SIZE_STEP_PX) * SIZE_STEP_PX)


def _size_px(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as picture:
            return picture.size
    except OSError as error:
        reason = os_reason(error) if error.errno else "not a picture"
        raise DatasetError(f"cannot be read: {reason}", str(path), "run kanjiprep check on its folder") from error


def _digest(path: Path) -> str:
    try:
        certificate = json.loads(path.read_bytes())
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise DatasetError("cannot be read", str(path), "run kanjiprep check on its folder") from error
    digest = certificate.get("digest", "") if isinstance(certificate, dict) else ""
    return str(digest)
