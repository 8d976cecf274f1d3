import gzip
import zipfile
from pathlib import Path

import pytest

from kanjiprep.dataset import raw
from kanjiprep.errors import InputError
from tests import sources


def test_plain_and_gzip_give_the_same_document(tmp_path: Path) -> None:
    for name in ("k.xml", "k.xml.gz"):
        assert raw.read_document(sources.write_kanjidic(tmp_path / name)) == sources.kanjidic(*sources.ENTRIES)


def test_a_folder_a_repository_and_a_zip_give_the_same_digest(tmp_path: Path) -> None:
    sources.write_kanjivg(tmp_path / "flat")
    sources.write_kanjivg(tmp_path / "repository" / "kanji")
    sources.write_zip(tmp_path / "k.whl")
    read = [raw.read_glyph_files(tmp_path / name) for name in ("flat", "repository", "k.whl")]
    assert len({one.sha256() for one in read}) == 1
    assert [one.variants for one in read] == [1, 1, 1]
    assert (
        list(read[0].files)
        == sorted(read[2].files)
        == ["03042.svg", "04e00.svg", "04e01.svg", "04e8c.svg", "04f11.svg"]
    )


def test_a_changed_drawing_changes_the_digest(tmp_path: Path) -> None:
    before = raw.read_glyph_files(sources.write_kanjivg(tmp_path)).sha256()
    (tmp_path / "04e00.svg").write_bytes(sources.svg(0x4E00, sources.TWO))
    assert raw.read_glyph_files(tmp_path).sha256() != before


def test_the_key_is_the_file_name() -> None:
    assert raw.codepoint_of("06a45.svg") == 0x6A45


@pytest.mark.parametrize(("is_zip", "expected"), [(True, True), (False, False)])
def test_collections_are_told_from_documents(tmp_path: Path, is_zip: bool, expected: bool) -> None:
    path = sources.write_zip(tmp_path / "a") if is_zip else sources.write_kanjidic(tmp_path / "a")
    assert raw.is_glyph_collection(path) is expected
    assert raw.is_glyph_collection(tmp_path)


def test_documents_that_cannot_be_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gzip.compress(b"x" * 1000)
    damaged = whole[:12] + b"\xff\xff" + whole[14:]
    for name, data in (("short.gz", whole[:-9]), ("damaged.gz", damaged), ("header.gz", b"\x1f\x8b\x09")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match="gzip is truncated or damaged"):
            raw.read_document(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read: no such file or directory"):
        raw.read_document(tmp_path / "missing")
    with pytest.raises(InputError, match="cannot be read: no such file or directory"):
        raw.is_glyph_collection(tmp_path / "missing")
    monkeypatch.setattr(raw, "MAX_DOCUMENT_BYTES", 10)
    (tmp_path / "bomb.gz").write_bytes(whole)
    with pytest.raises(InputError, match="larger than"):
        raw.read_document(tmp_path / "bomb.gz")


def test_collections_that_cannot_be_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no KanjiVG drawing"):
        raw.read_glyph_files(empty)
    (empty / "04e00.svg").mkdir()
    with pytest.raises(InputError, match="cannot be read: is a directory"):
        raw.read_glyph_files(empty)
    broken = sources.write_zip(tmp_path / "broken.zip")
    broken.write_bytes(broken.read_bytes()[:-40])
    with pytest.raises(InputError, match="the archive is damaged"):
        raw.read_glyph_files(broken)
    with pytest.raises(InputError, match="cannot be read: no such file"):
        raw.read_glyph_files(tmp_path / "missing.zip")
    twice = tmp_path / "twice.zip"
    with zipfile.ZipFile(twice, "w") as archive:
        for folder in "ab":
            archive.writestr(f"{folder}/04e00.svg", "x")
    with pytest.raises(InputError, match=r"holds 04e00\.svg twice"):
        raw.read_glyph_files(twice)
    monkeypatch.setattr(raw, "MAX_GLYPHS", 2)
    with pytest.raises(InputError, match="holds more than 2 drawings"):
        raw.read_glyph_files(sources.write_kanjivg(tmp_path / "many"))


@pytest.mark.parametrize("write", [sources.write_kanjivg, sources.write_zip])
def test_a_drawing_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write) -> None:  # type: ignore[no-untyped-def]
    path = write(tmp_path / "k")
    monkeypatch.setattr(raw, "MAX_GLYPH_BYTES", 10)
    with pytest.raises(InputError, match="too large for one drawing"):
        raw.read_glyph_files(path)
