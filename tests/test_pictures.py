import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kanjiprep import metadata, receipt
from kanjiprep.dataset import build as building
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.errors import DatasetError
from kanjiprep.progress import silent
from kanjiprep.training import pictures
from tests.test_receipt import GIVEN


@pytest.fixture
def dataset(request_of: Callable[..., BuildRequest], place: Place) -> Path:
    request: Any = request_of()
    building.build(request, place, silent)
    return Path(request.out)


def test_a_built_folder_is_read_with_its_digest(dataset: Path) -> None:
    found = pictures.read(dataset, silent)
    first = found.pictures[0]
    assert found.is_built
    assert (first.file_name, first.width_px, first.height_px) == ("休_kanji_04f11.png", 64, 64)
    assert found.digest == json.loads((dataset / "build.json").read_text("utf-8"))["digest"]
    assert pictures.buckets(found.pictures, 1024) == {"1.0": 3}


def test_a_dataset_that_was_pushed_and_not_changed_since_is_known_by_its_revision(dataset: Path) -> None:
    assert pictures.read(dataset, silent).hub == ""
    receipt.write(dataset, replace(GIVEN, content=receipt.content_of(dataset)))
    assert pictures.read(dataset, silent).hub == GIVEN.pinned
    receipt.write(dataset, GIVEN)
    assert pictures.read(dataset, silent).hub == ""


def test_captions_come_a_line_a_picture_with_quotes_and_kanji(tmp_path: Path) -> None:
    one = pictures.Picture("亜.png", 'a "b", c', 64, 32)
    lines = pictures.captions_jsonl(pictures.Dataset(tmp_path, (one,))).decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"file_name": "亜.png", "text": 'a "b", c', "width": 64, "height": 32}
    ]
    assert "亜" in lines[0]


def test_other_shapes_fall_into_other_buckets() -> None:
    shapes = [(1024, 1024), (500, 500), (1024, 512), (600, 800)]
    assert [pictures.bucket(*shape, 1024) for shape in shapes] == ["1.0", "1.0", "2.09", "0.78"]


def test_a_dataset_can_be_planned_for_before_it_is_built() -> None:
    planned = pictures.nominal(6413, 1024)
    assert pictures.buckets(planned.pictures, 1024) == {"1.0": 6413}
    assert planned.digest == ""


def test_long_captions_are_counted_for_both_encoders(tmp_path: Path) -> None:
    texts = ("short", "word " * 80, "word " * 98, "word " * 180)
    found = pictures.Dataset(tmp_path, tuple(pictures.Picture("x.png", text, 1, 1) for text in texts))
    assert pictures.over_window(found) == (2, 1), "80 words may be within the window after all"


def row(folder: Path, name: str = "a.png") -> None:
    folder.mkdir(exist_ok=True)
    (folder / metadata.NAME).write_bytes(metadata.to_csv([(name, "a")]))


def test_folders_that_are_no_dataset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="metadata.csv: cannot be read: no such file or directory; run kanjiprep"):
        pictures.read(tmp_path / "gone", silent)
    row(tmp_path / "a")
    with pytest.raises(DatasetError, match="a.png: cannot be read: no such file or directory; run kanjiprep check"):
        pictures.read(tmp_path / "a", silent)
    (tmp_path / "a" / "a.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="a.png: cannot be read: not a picture"):
        pictures.read(tmp_path / "a", silent)
    (tmp_path / "a" / metadata.NAME).write_bytes(metadata.to_csv([]))
    with pytest.raises(DatasetError, match="has no rows; run kanjiprep build"):
        pictures.read(tmp_path / "a", silent)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["../a.png"], "'../a.png' is no name of a file beside it; run kanjiprep check on its folder"),
        (["a\0.png"], "is no name of a file beside it"),
        (["sub/a.png"], "'sub/a.png' is no name of a file beside it"),
        (["a.png", "a.png"], "'a.png' has more than one row"),
    ],
)
def test_rows_that_cannot_be_linked_are_refused(tmp_path: Path, names: list[str], says: str) -> None:
    (tmp_path / metadata.NAME).write_bytes(metadata.to_csv([(name, "a") for name in names]))
    with pytest.raises(DatasetError, match=says):
        pictures.read(tmp_path, silent)


@pytest.mark.parametrize(
    ("size_px", "says"),
    [
        ((12_000, 12_000), "a.png: is larger than a picture should be; scale it down"),
        ((60_000, 60_000), "a.png: is larger than a picture should be"),
        ((1, 60_000), "a.png: is 1 x 60000 px, too narrow to train on; crop it"),
    ],
)
def test_pictures_of_odd_sizes_are_refused(tmp_path: Path, size_px: tuple[int, int], says: str) -> None:
    row(tmp_path)
    head = struct.pack(">IIBBBBB", *size_px, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    data = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + data)
    with pytest.raises(DatasetError, match=says):
        pictures.read(tmp_path, silent)


def test_a_folder_without_certificate_has_no_digest_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    row(tmp_path)
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    assert pictures.read(tmp_path, silent).digest == ""
    (tmp_path / "build.json").write_text("{", "utf-8")
    with pytest.raises(DatasetError, match="build.json: cannot be read; run kanjiprep check on its folder"):
        pictures.read(tmp_path, silent)


def test_the_pictures_of_a_captions_file_are_those_that_it_was_written_of(dataset: Path, tmp_path: Path) -> None:
    whole = pictures.read(dataset, silent)
    path = tmp_path / "captions.jsonl"
    path.write_bytes(pictures.captions_jsonl(whole))
    assert pictures.read_captions(path) == whole.pictures


@pytest.mark.parametrize(
    ("data", "says"),
    [(None, "cannot be read: no such file")]
    + [(data, "is not as it was written") for data in (b"torn {", b"{}\n", b"[" * 100_000)],
)
def test_a_captions_file_that_is_broken_is_told(tmp_path: Path, data: bytes | None, says: str) -> None:
    path = tmp_path / "captions.jsonl"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DatasetError, match=says):
        pictures.read_captions(path)
