"""The dataset folder as the trainer will see it: pictures, captions, shapes."""

from __future__ import annotations

import json
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from kanjiprep import metadata, receipt, tokens
from kanjiprep.errors import DatasetError, os_reason
from kanjiprep.paths import resolved
from kanjiprep.progress import Progress
from kanjiprep.training.run_spec import SIZE_STEP_PX

_MOST_RATIO: Final = 20


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
        digest: From the birth certificate; empty without one, or if the captions were changed since.
        hub: ``NAMESPACE/NAME@COMMIT`` of the Hub where it stands, as its receipt says; empty without one.
        is_built: Whether it has a birth certificate, so that strokes and meanings are KanjiVG's and KANJIDIC2's.
    """

    folder: Path
    pictures: tuple[Picture, ...]
    digest: str = ""
    hub: str = ""
    is_built: bool = False


def read(path: Path, progress: Progress) -> Dataset:
    """The dataset in the folder ``path``.

    Raises:
        DatasetError: If there is none, or a row names a picture that cannot be read.
    """
    folder = resolved(path)
    rows = metadata.read_rows(folder / metadata.NAME)
    _refuse_unfit(rows, str(folder / metadata.NAME))
    pictures = []
    for done, (name, caption) in enumerate(rows, 1):
        pictures.append(Picture(name, caption, *_size_px(folder / name)))
        progress("read pictures", done, len(rows))
    pushed = receipt.of(folder)
    return Dataset(
        folder=folder,
        pictures=tuple(pictures),
        digest=receipt.certified_digest(folder),
        hub=pushed.pinned if pushed else "",
        is_built=receipt.is_certified(folder),
    )


def _refuse_unfit(rows: Sequence[tuple[str, str]], where: str) -> None:
    """Refuse a table whose rows cannot each be linked by their name into one folder."""
    names = [name for name, _ in rows]
    strange = next((name for name in names if Path(name).name != name or "\0" in name), None)
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if not names:
        raise DatasetError("has no rows", where, "run kanjiprep build")
    if strange is not None:
        raise DatasetError(f"{strange!r} is no name of a file beside it", where, "run kanjiprep check on its folder")
    if twice is not None:
        raise DatasetError(f"{twice!r} has more than one row", where, "run kanjiprep check on its folder")


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


def read_captions(path: Path) -> tuple[Picture, ...]:
    """The pictures that a file of ``captions_jsonl`` tells of.

    Raises:
        DatasetError: If it cannot be read, or is no such file.
    """
    try:
        tables = [json.loads(line) for line in path.read_bytes().splitlines()]
        return tuple(Picture(one["file_name"], one["text"], one["width"], one["height"]) for one in tables)
    except OSError as error:
        raise DatasetError(f"cannot be read: {os_reason(error)}", str(path), "launch the run anew") from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise DatasetError("is not as it was written", str(path), "launch the run anew") from error


def over_window(dataset: Dataset) -> tuple[int, int]:
    """Captions surely longer than CLIP's window, and than the T5 window of SimpleTuner.

    Tokens of both are counted by the estimate for CLIP, less the most by which that was seen too high.
    """
    counts = [tokens.clip_tokens(one.caption) - tokens.CLIP_SLACK for one in dataset.pictures]
    return sum(count > tokens.CLIP_LIMIT for count in counts), sum(count > tokens.T5_CUT for count in counts)


def _aligned_px(size_px: float) -> int:
    return max(SIZE_STEP_PX, round(size_px / SIZE_STEP_PX) * SIZE_STEP_PX)


def _size_px(path: Path) -> tuple[int, int]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                return _refuse_narrow(picture.size, path)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DatasetError("is larger than a picture should be", str(path), "scale it down") from error
    except OSError as error:
        reason = os_reason(error) if error.errno else "not a picture"
        raise DatasetError(f"cannot be read: {reason}", str(path), "run kanjiprep check on its folder") from error


def _refuse_narrow(size_px: tuple[int, int], path: Path) -> tuple[int, int]:
    if max(size_px) > _MOST_RATIO * min(size_px):
        raise DatasetError(f"is {size_px[0]} x {size_px[1]} px, too narrow to train on", str(path), "crop it")
    return size_px
