from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.dataset.characters import Character
from kanjiprep.errors import DatasetError
from kanjiprep.publishing import parquet_rows, shards
from kanjiprep.publishing.parquet_rows import Row
from tests.test_shards import UNSAFE

PICTURE = {"bytes": b"png", "path": "a.png"}


def write(path: Path, columns: Mapping[str, Any], kinds: Mapping[str, Any] | None = None) -> Path:
    """A parquet file of columns of somebody else's; pictures are structs as ``datasets`` writes them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"image": shards.schema().field("image").type, "text": pa.string(), **(kinds or {})}
    fields = [pa.field(name, types[name]) if name in types else name for name in columns]
    arrays = [pa.array(columns[name], types.get(name)) for name in columns]
    pq.write_table(pa.table(arrays, [field if isinstance(field, str) else field.name for field in fields]), path)
    return path


def ours(path: Path, **changes: Any) -> Path:
    """A file as ``shards`` writes it, of one row, with changes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = {
        "image": PICTURE, "text": "Asia", "character": "亜", "codepoint": "04e9c", "meanings": ["Asia"],
        "stroke_count": 7, "file_name": "a.png",
    }  # fmt: skip
    pq.write_table(pa.Table.from_pylist([{**row, **changes}], shards.schema()), path)
    return path


def names(path: Path, first: int = 0) -> list[str]:
    return [row.file_name for row in parquet_rows.read(path, first)]


def test_a_row_of_ours_is_read_whole(tmp_path: Path) -> None:
    path = ours(tmp_path / "x.parquet")
    character = Character("a.png", "亜", "04e9c", ("Asia",), 7)
    assert list(parquet_rows.read(path)) == [Row("a.png", "Asia", b"png", character)]
    assert parquet_rows.count(path) == 1


def test_nulls_of_ours_are_nothing_known(tmp_path: Path) -> None:
    path = ours(tmp_path / "x.parquet", text=None, character=None, codepoint=None, meanings=None, stroke_count=None)
    assert list(parquet_rows.read(path)) == [Row("a.png", "", b"png", Character("a.png", "", "", (), None))]


def test_a_file_of_others_needs_pictures_and_captions_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"image": [PICTURE], "caption": ["one"], "label": [3]})
    assert list(parquet_rows.read(path)) == [Row("a.png", "one", b"png", None)]


def test_text_goes_before_caption_and_image_before_others(tmp_path: Path) -> None:
    kind = shards.schema().field("image").type
    other = {"bytes": b"other", "path": "other.png"}
    path = write(
        tmp_path / "x.parquet",
        {"caption": ["no"], "mask": [other], "image": [PICTURE], "text": ["yes"]},
        {"mask": kind},
    )
    assert list(parquet_rows.read(path)) == [Row("a.png", "yes", b"png", None)]
    path = write(tmp_path / "y.parquet", {"mask": [other], "text": ["yes"]}, {"mask": kind})
    assert list(parquet_rows.read(path)) == [Row("other.png", "yes", b"other", None)]


def test_large_columns_are_read_too(tmp_path: Path) -> None:
    import pyarrow as pa

    large = {"image": pa.struct({"bytes": pa.large_binary(), "path": pa.large_string()}), "text": pa.large_string()}
    path = write(tmp_path / "x.parquet", {"image": [PICTURE], "text": ["one"]}, large)
    assert list(parquet_rows.read(path)) == [Row("a.png", "one", b"png", None)]


def test_columns_of_the_same_names_and_other_kinds_are_not_ours(tmp_path: Path) -> None:
    columns = {
        "image": [PICTURE], "text": ["one"], "character": ["亜"], "codepoint": [1], "meanings": ["Asia"],
        "stroke_count": [7], "file_name": [5],
    }  # fmt: skip
    assert list(parquet_rows.read(write(tmp_path / "x.parquet", columns))) == [Row("a.png", "one", b"png", None)]


@pytest.mark.parametrize(
    ("columns", "listed"),
    [
        ({"image": [b"png"], "text": ["one"]}, "image, text"),
        ({"image": [PICTURE], "label": ["one"]}, "image, label"),
        ({"image": [PICTURE], "text": [1]}, "image, text"),
        ({"picture": [{"path": "a.png"}], "text": ["one"]}, "picture, text"),
        ({"picture": [{"bytes": "text"}], "text": ["one"]}, "picture, text"),
    ],
)
def test_a_file_without_pictures_or_captions_is_refused_with_its_columns(
    tmp_path: Path, columns: dict[str, list[Any]], listed: str
) -> None:
    import pyarrow as pa

    kinds = {name: pa.array(values).type for name, values in columns.items() if values != [PICTURE]}
    path = write(tmp_path / "x.parquet", columns, kinds)
    with pytest.raises(DatasetError, match=f"lacks a column of pictures .* its columns are '{listed}'"):
        list(parquet_rows.read(path))


@pytest.mark.parametrize(
    "picture", [None, {"bytes": None, "path": "/home/me/a.png"}, {"bytes": b"", "path": "a.png"}]
)
def test_a_row_without_a_picture_is_refused(tmp_path: Path, picture: object) -> None:
    path = write(tmp_path / "x.parquet", {"image": [PICTURE, picture], "text": ["one", "two"]})
    with pytest.raises(DatasetError, match=r"x\.parquet: row 2: holds no picture; give another revision"):
        list(parquet_rows.read(path, 7))


@pytest.mark.parametrize("name", [*UNSAFE, None])
def test_an_unsafe_name_is_refused(tmp_path: Path, name: str | None) -> None:
    with pytest.raises(DatasetError, match="row 1: .* is no safe name of a picture; give another"):
        names(ours(tmp_path / "x.parquet", file_name=name))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.png", "a.png"),
        ("/home/me/pictures/b.jpg", "b.jpg"),
        ("../../b.png", "b.png"),
        ("C:\\pictures\\c.PNG", "c.PNG"),
        ("d", "00007.png"),
        ("pictures/..", "00007.png"),
        ("pictures/.d.png", "00007.png"),
        ("README.md", "00007.png"),
        ("", "00007.png"),
        (None, "00007.png"),
    ],
)
def test_without_names_a_picture_is_called_as_its_path_ends_or_by_its_place(
    tmp_path: Path, path: str | None, expected: str
) -> None:
    file = write(tmp_path / "x.parquet", {"image": [{"bytes": b"png", "path": path}], "text": ["one"]})
    assert names(file, 7) == [expected]


def test_a_picture_may_come_without_any_path(tmp_path: Path) -> None:
    import pyarrow as pa

    kind = pa.struct({"bytes": pa.binary()})
    file = write(tmp_path / "x.parquet", {"image": [{"bytes": b"png"}] * 2, "text": ["one", "two"]}, {"image": kind})
    assert names(file) == ["00000.png", "00001.png"]


def test_an_impossible_character_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="row 1: stroke_count must be at least 0"):
        names(ours(tmp_path / "x.parquet", stroke_count=-1))
    with pytest.raises(DatasetError, match=r"row 1: meanings\[0\] must be a text"):
        names(ours(tmp_path / "x.parquet", meanings=[None]))


def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(DatasetError, match=r"x\.parquet: cannot be read as parquet: .*; download it again"):
        parquet_rows.count(tmp_path / "x.parquet")
    with pytest.raises(DatasetError, match="cannot be read as parquet: no such file"):
        names(tmp_path / "missing.parquet")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = ours(tmp_path / "x.parquet", text="\N{CJK UNIFIED IDEOGRAPH-4E9C}" * 100)
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\xff" * (len(data) // 3) + data[4 + len(data) // 3 :])
    with pytest.raises(DatasetError, match="cannot be read as parquet"):
        names(path)
