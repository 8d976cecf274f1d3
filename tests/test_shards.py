from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanjiprep import metadata
from kanjiprep.dataset import build as building
from kanjiprep.dataset import characters
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.errors import DatasetError
from kanjiprep.progress import silent
from kanjiprep.publishing import shards

SAFE = ("亜_kanji_04e9c.png", "a b.JPG", "00000.webp", "-x.png", "%2e.png")
UNSAFE = (
    "", ".png", ".a.png", "a/b.png", "../a.png", "a..png", "/a.png", "a\\b.png", "a\0.png", "a\n.png", "a\x1b.png",
    "a,b.png", 'a".png', "a\u2028.png", "metadata.csv", "README.md", "a", "a.png.", "a.png/",
)  # fmt: skip


def handmade(folder: Path, captions: Mapping[str, str], size: int = 10) -> Path:
    """A dataset folder of which only the bytes matter."""
    folder.mkdir(exist_ok=True)
    (folder / metadata.NAME).write_bytes(metadata.to_csv(captions.items()))
    for index, name in enumerate(captions):
        (folder / name).write_bytes(f"{index:0{size}d}".encode())
    return folder


def numbered(count: int) -> dict[str, str]:
    return {f"{index:05d}.png": f"caption {index}" for index in range(count)}


def read(*paths: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return [row for path in paths for row in pq.read_table(path).to_pylist()]


@pytest.fixture
def built(place: Place, request_of: Callable[..., BuildRequest]) -> Path:
    return building.build(request_of(), place, silent).folder


def test_a_built_folder_becomes_one_file_with_everything_inside(built: Path, tmp_path: Path) -> None:
    made = shards.write(built, tmp_path / "out", silent)
    assert made.paths == (tmp_path / "out" / "data" / "train-00000-of-00001.parquet",)
    assert made.picture_bytes == sum(path.stat().st_size for path in built.glob("*.png"))
    assert (made.rows, made.file_bytes) == (3, made.paths[0].stat().st_size)
    rows = read(*made.paths)
    assert list(rows[0]) == ["image", "text", "character", "codepoint", "meanings", "stroke_count", "file_name"]
    name = "休_kanji_04f11.png"
    assert rows[0] == {
        "image": {"bytes": (built / name).read_bytes(), "path": name},
        "text": "Image of a Japanese kanji character 休 in plain font. The character means: rest, day off.",
        "character": "休",
        "codepoint": "04f11",
        "meanings": ["rest", "day off"],
        "stroke_count": 6,
        "file_name": name,
    }
    assert [row["text"] for row in rows] == [text for _, text in metadata.read_rows(built / "metadata.csv")]


def test_the_schema_says_what_the_card_says(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = pq.read_schema(shards.write(handmade(tmp_path / "d", numbered(1)), tmp_path, silent).paths[0])
    assert found.equals(shards.schema())
    assert found.field("stroke_count").type == pa.int32()
    told = json.loads(found.metadata[b"huggingface"])["info"]["features"]
    assert [one["name"] for one in shards.features()] == list(told) == found.names
    assert told["image"] == {"_type": "Image"}
    assert told["meanings"] == {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"}
    assert {"name": "image", "dtype": "image"} in shards.features()
    assert {"name": "meanings", "sequence": "string"} in shards.features()
    assert {"name": "stroke_count", "dtype": "int32"} in shards.features()


def test_rows_are_written_a_hundred_at_a_time(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    heard: list[tuple[str, int, int | None]] = []
    folder = handmade(tmp_path / "d", numbered(250))
    made = shards.write(folder, tmp_path, lambda *state: heard.append(state))
    about = pq.read_metadata(made.paths[0])
    assert [about.row_group(index).num_rows for index in range(about.num_row_groups)] == [100, 100, 50]
    assert heard == [("pack pictures", done, 250) for done in (100, 200, 250)]
    assert made.table_bytes == sum(pq.ParquetFile(made.paths[0]).read_row_group(i).nbytes for i in range(3))


def test_pictures_are_stored_as_they_are_and_the_rest_is_packed(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    made = shards.write(handmade(tmp_path / "d", numbered(2)), tmp_path, silent)
    group = pq.read_metadata(made.paths[0]).row_group(0)
    columns = {column.path_in_schema: column for column in map(group.column, range(group.num_columns))}
    assert {name: column.compression for name, column in columns.items()} == {
        "image.bytes": "UNCOMPRESSED",
        **dict.fromkeys(("image.path", "text", "character", "codepoint", "stroke_count", "file_name"), "ZSTD"),
        "meanings.list.element": "ZSTD",
    }
    assert columns["image.bytes"].statistics is None
    assert columns["text"].statistics.max == "caption 1"


def test_files_are_cut_where_the_next_picture_would_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_PICTURE_BYTES", 35)
    folder = handmade(tmp_path / "d", numbered(7))
    made = shards.write(folder, tmp_path, silent)
    assert [path.name for path in made.paths] == [f"train-{index:05d}-of-00003.parquet" for index in range(3)]
    assert [len(read(path)) for path in made.paths] == [3, 3, 1]
    assert [row["file_name"] for row in read(*made.paths)] == list(numbered(7))
    assert (made.rows, made.picture_bytes) == (7, 70)
    assert made.file_bytes == sum(path.stat().st_size for path in made.paths)


@pytest.mark.parametrize("count", [8, 9, 40, 41, 99])
def test_there_are_never_more_files_than_arrive_in_one_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(shards, "SHARD_PICTURE_BYTES", 10)
    made = shards.write(handmade(tmp_path / "d", numbered(count)), tmp_path, silent)
    assert len(made.paths) <= shards.MOST_SHARDS
    assert len(read(*made.paths)) == count


def test_the_same_dataset_gives_the_same_bytes_from_anywhere(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    first = shards.write(built, tmp_path / "one", silent)
    shutil.copytree(built, tmp_path / "elsewhere" / "copy")
    monkeypatch.chdir(tmp_path / "elsewhere")
    second = shards.write(Path("copy"), Path("two"), silent)
    assert second.paths[0].read_bytes() == first.paths[0].read_bytes()


def test_no_path_of_this_machine_is_in_the_file(built: Path, tmp_path: Path) -> None:
    data = shards.write(built, tmp_path / "out", silent).paths[0].read_bytes()
    for secret in (built, tmp_path, Path.home(), Path.cwd()):
        assert str(secret).encode() not in data


def test_captions_that_look_like_something_else_stay_text(tmp_path: Path) -> None:
    captions = ["NA", "1", "", "null", "None", "1e5", "true", " "]
    folder = handmade(tmp_path / "d", {f"{index}.png": text for index, text in enumerate(captions)})
    assert [row["text"] for row in read(*shards.write(folder, tmp_path, silent).paths)] == captions


@settings(max_examples=25)
@given(captions=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_any_caption_arrives_as_it_is(tmp_path_factory: pytest.TempPathFactory, captions: list[str]) -> None:
    folder = handmade(tmp_path_factory.mktemp("any"), {f"{index}.png": text for index, text in enumerate(captions)})
    assert [row["text"] for row in read(*shards.write(folder, folder / "out", silent).paths)] == captions


def test_without_characters_jsonl_the_names_tell(tmp_path: Path) -> None:
    folder = handmade(tmp_path / "d", {"亜_kanji_04e9c.png": "a", "x.png": "b"})
    first, second = read(*shards.write(folder, tmp_path, silent).paths)
    assert (first["character"], first["codepoint"], first["meanings"], first["stroke_count"]) == (
        "亜", "04e9c", [], None,
    )  # fmt: skip
    assert (second["character"], second["codepoint"]) == ("", "")


def test_each_picture_is_read_once_and_only_when_its_turn_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, opened = Path.read_bytes, []

    def counting(path: Path) -> bytes:
        opened.append(path.name)
        return honest(path)

    seen: list[int] = []
    folder = handmade(tmp_path / "d", numbered(150))
    monkeypatch.setattr(Path, "read_bytes", counting)
    shards.write(folder, tmp_path, lambda *_: seen.append(sum(name.endswith(".png") for name in opened)))
    assert seen == [100, 150]
    assert sorted(name for name in opened if name.endswith(".png")) == list(numbered(150))


def test_a_picture_that_is_missing_empty_or_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = handmade(tmp_path / "d", numbered(3))
    monkeypatch.setattr(shards, "SHARD_PICTURE_BYTES", 10)
    (folder / "00001.png").write_bytes(b"x" * 11)
    with pytest.raises(DatasetError, match=r"00001\.png: has 11 bytes, and a picture has 1 to 10; replace it"):
        shards.write(folder, tmp_path / "out", silent)
    (folder / "00001.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"00001\.png: has 0 bytes"):
        shards.write(folder, tmp_path / "out", silent)
    (folder / "00001.png").unlink()
    with pytest.raises(DatasetError, match=r"00001\.png: cannot be read: no such file"):
        shards.write(folder, tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()


def test_a_failure_halfway_leaves_nothing(tmp_path: Path) -> None:
    folder = handmade(tmp_path / "d", numbered(150))

    def change(stage: str, done: int, total: int | None) -> None:
        (folder / "00149.png").write_bytes(b"longer than it was before")

    with pytest.raises(DatasetError, match=r"00149\.png: was changed while it was packed; run the same"):
        shards.write(folder, tmp_path / "out", change)
    (folder / "00149.png").unlink()
    (folder / "00149.png").mkdir()
    with pytest.raises(DatasetError, match=r"00149\.png: cannot be read: is a directory"):
        shards.write(folder, tmp_path / "out", silent)

    def interrupt(stage: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards.write(folder, tmp_path / "out", interrupt)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", [name for name in UNSAFE if name and "\0" not in name])
def test_a_row_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    quoted = name.replace('"', '""')
    (tmp_path / "metadata.csv").write_text(f'file_name,text\n"{quoted}","secret"\n', "utf-8")
    with pytest.raises(DatasetError, match="is no safe name of a picture beside it; rename the picture"):
        shards.write(tmp_path, tmp_path / "out", silent)


def test_names_are_safe_only_if_any_folder_can_hold_them() -> None:
    assert [name for name in SAFE if not shards.is_safe(name)] == []
    assert [name for name in UNSAFE if shards.is_safe(name)] == []


def test_a_table_without_rows_or_with_the_same_picture_twice_is_refused(tmp_path: Path) -> None:
    folder = handmade(tmp_path / "d", {})
    with pytest.raises(DatasetError, match="has no rows; run kanjiprep build"):
        shards.write(folder, tmp_path, silent)
    (folder / "metadata.csv").write_bytes(metadata.to_csv([("a.png", "a"), ("a.png", "b")]))
    with pytest.raises(DatasetError, match="'a.png' has more than one row; keep one"):
        shards.write(folder, tmp_path, silent)


def test_a_broken_table_of_characters_is_refused(tmp_path: Path) -> None:
    folder = handmade(tmp_path / "d", numbered(1))
    (folder / characters.NAME).write_text("{")
    with pytest.raises(DatasetError, match=r"characters\.jsonl:1: not JSON"):
        shards.write(folder, tmp_path, silent)


def test_what_is_in_the_way_is_refused_and_what_a_kill_left_is_not(tmp_path: Path) -> None:
    folder = handmade(tmp_path / "d", numbered(1))
    (tmp_path / "out" / ".data.packing").mkdir(parents=True)
    (tmp_path / "out" / ".data.packing" / "train-00000-of-00009.parquet").write_text("torn")
    made = shards.write(folder, tmp_path / "out", silent)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["data"]
    assert [path.name for path in (tmp_path / "out" / "data").iterdir()] == [made.paths[0].name]
    with pytest.raises(DatasetError, match="out/data: is there already; move it away"):
        shards.write(folder, tmp_path / "out", silent)
    with pytest.raises(DatasetError, match="cannot be written: not a directory; free the space or fix"):
        shards.write(folder, made.paths[0], silent)
