from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanjiprep import metadata
from kanjiprep.dataset import build as building
from kanjiprep.dataset import characters, folder
from kanjiprep.dataset.build import BuildRequest, Built, Place
from kanjiprep.errors import DatasetError, UsageError
from kanjiprep.progress import silent
from kanjiprep.publishing import shards
from kanjiprep.publishing.restore import restore
from tests.test_build import as_before_characters, tree
from tests.test_parquet_rows import PICTURE, write
from tests.test_shards import handmade, numbered

SIDE = ("build.json", "SHA256SUMS", "skipped.csv", "README.md")


@pytest.fixture
def built(place: Place, request_of: Callable[..., BuildRequest]) -> Built:
    return building.build(request_of(), place, silent)


def pushed(dataset: Path, snapshot: Path) -> Path:
    """What a snapshot of the repository of ``dataset`` holds."""
    shards.write(dataset, snapshot, silent)
    for name in SIDE:
        if (dataset / name).exists():
            (snapshot / name).write_bytes((dataset / name).read_bytes())
    return snapshot


def foreign(snapshot: Path, files: Mapping[str, Mapping[str, Any]]) -> Path:
    for name, columns in files.items():
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        write(snapshot / name, columns)
    return snapshot


def left(place: Path) -> list[str]:
    return [entry.name for entry in place.iterdir() if "out" in entry.name]


def test_what_was_pushed_comes_back_byte_for_byte(built: Built, tmp_path: Path) -> None:
    snapshot = pushed(built.folder, tmp_path / "snapshot")
    restore(snapshot, tmp_path / "out", silent)
    assert tree(tmp_path / "out") == tree(built.folder)
    assert folder.read_certificate(tmp_path / "out") == built.certificate
    assert folder.differences(tmp_path / "out", built.certificate, silent) == ()
    assert left(tmp_path) == ["out"]


def test_a_build_over_what_came_back_only_verifies(
    built: Built, place: Place, request_of: Callable[..., BuildRequest], tmp_path: Path
) -> None:
    restore(pushed(built.folder, tmp_path / "snapshot"), tmp_path / "out", silent)
    assert building.build(request_of("out"), place, silent).was_there


def test_a_folder_from_before_characters_jsonl_comes_back_without_it(built: Built, tmp_path: Path) -> None:
    as_before_characters(built)
    restore(pushed(built.folder, tmp_path / "snapshot"), tmp_path / "out", silent)
    assert tree(tmp_path / "out") == tree(built.folder)


def test_links_into_a_cache_are_read_through_and_not_kept(built: Built, tmp_path: Path) -> None:
    snapshot = pushed(built.folder, tmp_path / "blobs")
    links = tmp_path / "snapshot"
    for path in (path for path in snapshot.rglob("*") if path.is_file()):
        (links / path.relative_to(snapshot)).parent.mkdir(parents=True, exist_ok=True)
        (links / path.relative_to(snapshot)).symlink_to(path)
    restore(links, tmp_path / "out", silent)
    assert tree(tmp_path / "out") == tree(built.folder)
    assert not any(path.is_symlink() for path in (tmp_path / "out").iterdir())


def test_several_files_come_back_in_order_and_are_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_PICTURE_BYTES", 25)
    dataset = handmade(tmp_path / "d", numbered(5))
    heard: list[tuple[str, int, int | None]] = []
    restore(pushed(dataset, tmp_path / "snapshot"), tmp_path / "out", lambda *state: heard.append(state))
    assert len(list((tmp_path / "snapshot" / "data").iterdir())) == 3
    assert heard == [("restore pictures", done, 5) for done in range(1, 6)]
    came = tree(tmp_path / "out")
    assert {name: data for name, data in came.items() if name != characters.NAME} == tree(dataset)
    assert characters.read(tmp_path / "out", list(numbered(5))) == characters.read(dataset, list(numbered(5)))


@settings(max_examples=25)
@given(captions=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_any_caption_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, captions: list[str]) -> None:
    place = tmp_path_factory.mktemp("any")
    dataset = handmade(place / "d", {f"{index}.png": text for index, text in enumerate(captions)})
    restore(pushed(dataset, place / "snapshot"), place / "out", silent)
    assert [text for _, text in metadata.read_rows(place / "out" / "metadata.csv")] == captions
    assert (place / "out" / "metadata.csv").read_bytes() == (dataset / "metadata.csv").read_bytes()


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("skipped.csv", b"changed", "does not hold what was pushed: skipped.csv was changed; download it again"),
        ("SHA256SUMS", b"changed", "SHA256SUMS is not the one that build.json names"),
        ("README.md", None, "README.md is missing"),
        ("skipped.csv", None, "skipped.csv is missing"),
        ("build.json", b"{", "not JSON"),
    ],
)
def test_what_differs_from_its_certificate_is_refused(
    built: Built, tmp_path: Path, name: str, data: bytes | None, says: str
) -> None:
    snapshot = pushed(built.folder, tmp_path / "snapshot")
    (snapshot / name).unlink()
    if data is not None:
        (snapshot / name).write_bytes(data)
    with pytest.raises(DatasetError, match=says):
        restore(snapshot, tmp_path / "out", silent)
    assert left(tmp_path) == []


def test_a_changed_picture_or_caption_is_refused(built: Built, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    changed.mkdir()
    for name, data in tree(built.folder).items():
        (changed / name).write_bytes(data + (b"x" if name.endswith(".png") else b""))
    (changed / "metadata.csv").write_bytes((changed / "metadata.csv").read_bytes().replace(b"day off", b"day on"))
    with pytest.raises(DatasetError, match=r"metadata\.csv was changed, .*\.png was changed, .* \.\.\.; download"):
        restore(pushed(changed, tmp_path / "snapshot"), tmp_path / "out", silent)
    assert left(tmp_path) == []


@pytest.mark.parametrize("alone", ["build.json", "SHA256SUMS"])
def test_a_certificate_or_sums_alone_vouch_for_nothing(built: Built, tmp_path: Path, alone: str) -> None:
    snapshot = pushed(built.folder, tmp_path / "snapshot")
    for name in {"build.json", "SHA256SUMS"} - {alone}:
        (snapshot / name).unlink()
    restore(snapshot, tmp_path / "out", silent)
    expected = {name for name in tree(built.folder) if name not in ("build.json", "SHA256SUMS")}
    assert set(tree(tmp_path / "out")) == expected


def test_a_dataset_of_others_becomes_pictures_with_captions(tmp_path: Path) -> None:
    rows = {"image": [{"bytes": b"one", "path": None}, PICTURE], "caption": ["first", "second"]}
    snapshot = foreign(tmp_path / "snapshot", {"default/x.parquet": rows, "default/y.parquet": rows})
    with pytest.raises(DatasetError, match=r"y\.parquet: 'a\.png' has more than one row; give another"):
        restore(snapshot, tmp_path / "out", silent)
    (snapshot / "default" / "y.parquet").unlink()
    (snapshot / ".gitattributes").touch()
    restore(snapshot, tmp_path / "out", silent)
    assert tree(tmp_path / "out") == {
        "00000.png": b"one",
        "a.png": b"png",
        "metadata.csv": b'file_name,text\n00000.png,"first"\na.png,"second"\n',
    }


def test_places_count_over_all_files(tmp_path: Path) -> None:
    rows = {"image": [{"bytes": b"one", "path": None}], "text": ["x"]}
    snapshot = foreign(tmp_path / "snapshot", {"a.parquet": rows, "b.parquet": rows})
    restore(snapshot, tmp_path / "out", silent)
    assert sorted(tree(tmp_path / "out")) == ["00000.png", "00001.png", "metadata.csv"]


def test_only_the_split_to_train_on_is_taken(tmp_path: Path) -> None:
    def row(name: str) -> dict[str, list[Any]]:
        return {"image": [{"bytes": b"x", "path": name}], "text": [name]}

    files = {"data/test-0.parquet": row("test.png"), "data/train-0.parquet": row("train.png")}
    restore(foreign(tmp_path / "snapshot", {**files, "old.parquet": row("old.png")}), tmp_path / "out", silent)
    assert sorted(tree(tmp_path / "out")) == ["metadata.csv", "train.png"]
    (tmp_path / "snapshot" / "data" / "train-0.parquet").unlink()
    restore(tmp_path / "snapshot", tmp_path / "out2", silent)
    assert sorted(tree(tmp_path / "out2")) == ["metadata.csv", "test.png"]


def test_pictures_pushed_as_they_are_are_copied(built: Built, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for name, data in tree(built.folder).items():
        (snapshot / name).write_bytes(data)
    (snapshot / ".gitattributes").touch()
    heard: list[tuple[str, int, int | None]] = []
    restore(snapshot, tmp_path / "out", lambda *state: heard.append(state))
    assert tree(tmp_path / "out") == tree(built.folder)
    assert heard[2] == ("restore pictures", 3, 3)
    assert heard[-1][0] == "verify"


def test_pictures_of_others_are_copied_if_all_are_there(tmp_path: Path) -> None:
    snapshot = handmade(tmp_path / "snapshot", numbered(2))
    restore(snapshot, tmp_path / "out", silent)
    assert tree(tmp_path / "out") == tree(snapshot)
    (snapshot / "00001.png").unlink()
    with pytest.raises(DatasetError, match=r"00001\.png: cannot be read: no such file.*; download it again"):
        restore(snapshot, tmp_path / "out2", silent)
    (snapshot / "metadata.csv").write_text('file_name,text\n../secret.png,"x"\n')
    with pytest.raises(DatasetError, match=r"'\.\./secret\.png' is no safe name"):
        restore(snapshot, tmp_path / "out2", silent)
    assert left(tmp_path) == ["out"]


def test_a_snapshot_without_a_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nothing: holds neither parquet files nor metadata\.csv; give another"):
        restore(tmp_path / "nothing", tmp_path / "out", silent)
    snapshot = foreign(tmp_path / "snapshot", {"x.parquet": {"image": [], "text": []}})
    with pytest.raises(DatasetError, match=r"x\.parquet: has no rows; give another"):
        restore(snapshot, tmp_path / "out", silent)
    assert left(tmp_path) == []


def test_a_name_that_leads_out_of_the_folder_writes_nothing(tmp_path: Path) -> None:
    rows = {"image": [PICTURE, PICTURE], "text": ["x", "y"], "file_name": ["a.png", "../evil.png"]}
    with pytest.raises(DatasetError, match=r"row 2: '\.\./evil\.png' is no safe name"):
        restore(foreign(tmp_path / "snapshot", {"x.parquet": rows}), tmp_path / "deep" / "out", silent)
    assert [path.name for path in tmp_path.rglob("*") if path.suffix != ".parquet"] == ["snapshot", "deep"]


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    snapshot = pushed(handmade(tmp_path / "d", numbered(3)), tmp_path / "snapshot")
    with pytest.raises(KeyboardInterrupt):
        restore(snapshot, tmp_path / "out", interrupt)
    assert left(tmp_path) == []


def test_what_a_kill_left_is_swept_out(tmp_path: Path) -> None:
    snapshot = handmade(tmp_path / "snapshot", numbered(1))
    (tmp_path / ".out.restoring").mkdir()
    (tmp_path / ".out.restoring" / "00000.png").write_text("torn")
    (tmp_path / "out").mkdir()
    restore(snapshot, tmp_path / "out", silent)
    assert tree(tmp_path / "out") == tree(snapshot)
    assert left(tmp_path) == ["out"]


def test_what_is_in_the_way_is_refused_and_stays(tmp_path: Path) -> None:
    snapshot = handmade(tmp_path / "snapshot", numbered(1))
    mine = handmade(tmp_path / "out", {"mine.png": "mine"})
    before = tree(mine)
    with pytest.raises(DatasetError, match="out: is there already; move it away or give another folder"):
        restore(snapshot, mine, silent)
    assert tree(mine) == before
    (tmp_path / "out.txt").touch()
    with pytest.raises(DatasetError, match=r"out\.txt: is there already"):
        restore(snapshot, tmp_path / "out.txt", silent)
    with pytest.raises(DatasetError, match="cannot be written: not a directory; free the space"):
        restore(snapshot, tmp_path / "out.txt" / "out", silent)
    with pytest.raises(UsageError, match="root of the file system"):
        restore(snapshot, Path("/"), silent)
    assert sorted(left(tmp_path)) == ["out", "out.txt"]


def test_a_link_in_place_of_the_unfinished_folder_is_not_followed(tmp_path: Path) -> None:
    snapshot = handmade(tmp_path / "snapshot", numbered(1))
    victim = handmade(tmp_path / "victim", {"mine.png": "mine"})
    before = tree(victim)
    (tmp_path / ".out.restoring").symlink_to(victim)
    with pytest.raises(DatasetError, match="cannot be written"):
        restore(snapshot, tmp_path / "out", silent)
    assert tree(victim) == before


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    snapshot = handmade(tmp_path / "snapshot", numbered(1))
    aside = tmp_path / ".out.restoring"
    aside.mkdir()
    lock = os.open(aside, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    (aside / "theirs.png").touch()
    try:
        with pytest.raises(DatasetError, match="another restoring is at work here; wait for it or stop it"):
            restore(snapshot, tmp_path / "out", silent)
    finally:
        os.close(lock)
    assert [entry.name for entry in aside.iterdir()] == ["theirs.png"]
