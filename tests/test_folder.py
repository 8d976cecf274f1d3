import json
from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep import metadata
from kanjiprep.dataset import folder
from kanjiprep.dataset.folder import CaptionRecord, Certificate, Counts, Disagreement, SourceRecord
from kanjiprep.dataset.join import Reason, Skipped
from kanjiprep.dataset.raster import Style
from kanjiprep.dataset.selection import Selection
from kanjiprep.errors import DatasetError
from kanjiprep.progress import silent
from tests.test_join import joined

RECIPE = Certificate(
    "kanjiprep 0",
    "cairo 1",
    {"kanjidic": SourceRecord("K", "1", "2026", "ab")},
    Style(64),
    CaptionRecord("n", "t"),
    Selection(),
)


def test_names_carry_the_literal_and_five_digits() -> None:
    assert folder.picture_name("亜") == "亜_kanji_04e9c.png"
    assert folder.picture_name("𠂤") == "𠂤_kanji_200a4.png"


def test_metadata_quotes_captions_always_and_names_never() -> None:
    rows = [("a.png", "plain"), ("b.png", 'a "b", c')]
    assert metadata.to_csv(rows) == b'file_name,text\na.png,"plain"\nb.png,"a ""b"", c"\n'


def test_skipped_names_literal_code_point_and_reason() -> None:
    skipped = [Skipped("丁", Reason.NO_MEANING), Skipped('"', Reason.NOT_IN_KANJIDIC)]
    expected = 'literal,codepoint,reason\n丁,04e01,no_meaning\n"""",00022,not_in_kanjidic\n'
    assert folder.skipped_csv(skipped).decode() == expected


def test_sums_are_read_back_without_a_torn_last_line() -> None:
    text = folder.sums({"a.png": "1" * 64, "b c.png": "2" * 64}).decode()
    assert folder.parse_sums(text) == {"a.png": "1" * 64, "b c.png": "2" * 64}
    assert folder.parse_sums(text[:-3]) == {"a.png": "1" * 64}


def test_stroke_counts_that_the_dictionary_does_not_know_are_told() -> None:
    assert folder.disagreements(joined().samples) == (Disagreement("二", 2, (3,)),)


def test_a_certificate_is_read_back_whole(tmp_path: Path) -> None:
    whole = Certificate(
        **{
            field: getattr(RECIPE, field)
            for field in ("tool", "renderer", "sources", "style", "caption", "selection")
        },
        counts=Counts(1, 2, 3, 4, 5),
        skipped={"no_meaning": 4},
        disagreements=(Disagreement("二", 2, (3,)),),
        digest="d",
    )
    (tmp_path / "build.json").write_bytes(folder.certificate_json(whole))
    assert folder.read_certificate(tmp_path) == whole
    assert whole.recipe() == RECIPE
    assert folder.read_certificate(tmp_path / "elsewhere") is None


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"{", "not JSON"), (b"{}", "tool is missing"), (b"\xff", "not JSON"), (b"[" * 100_000, "not JSON")],
)
def test_a_broken_certificate_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "build.json").write_bytes(data)
    with pytest.raises(DatasetError, match=says):
        folder.read_certificate(tmp_path)


def test_a_certificate_with_an_impossible_literal_is_refused(tmp_path: Path) -> None:
    odd = replace(RECIPE, disagreements=(Disagreement("ab", 2, (3,)),))
    (tmp_path / "build.json").write_bytes(folder.certificate_json(odd))
    with pytest.raises(DatasetError, match="a literal of disagreements is not one character"):
        folder.read_certificate(tmp_path)


def test_a_certificate_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "build.json").mkdir()
    with pytest.raises(DatasetError, match="cannot be read: is a directory"):
        folder.read_certificate(tmp_path)


def finished(path: Path) -> Certificate:
    import hashlib

    digests = {}
    for name in ("a.png", "b.png", "c.png"):
        (path / name).write_bytes(name.encode())
        digests[name] = folder.sha256_of(path / name)
    sums = folder.sums(digests)
    (path / "SHA256SUMS").write_bytes(sums)
    (path / "README.md").write_text("mine to change")
    return Certificate(
        "t", "cairo 1", {}, Style(), CaptionRecord("n", "t"), Selection(), digest=hashlib.sha256(sums).hexdigest()
    )


def test_every_kind_of_difference_is_told(tmp_path: Path) -> None:
    certificate = finished(tmp_path)
    assert folder.differences(tmp_path, certificate, silent) == ()
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.png").write_bytes(b"other")
    (tmp_path / "c.png").unlink()
    (tmp_path / "c.png").mkdir()
    (tmp_path / "notes.txt").touch()
    assert folder.differences(tmp_path, certificate, silent) == (
        "a.png is missing",
        "b.png was changed",
        "c.png cannot be read: is a directory",
        "notes.txt was not built",
    )


def test_sums_that_are_not_the_certificates_are_told(tmp_path: Path) -> None:
    certificate = finished(tmp_path)
    (tmp_path / "SHA256SUMS").write_text("")
    assert folder.differences(tmp_path, certificate, silent) == ("SHA256SUMS is not the one that build.json names",)
    (tmp_path / "SHA256SUMS").unlink()
    assert "SHA256SUMS cannot be read" in folder.differences(tmp_path, certificate, silent)[0]
    assert folder.listed(tmp_path) == {}


def test_json_keeps_kanji_readable() -> None:
    data = folder.certificate_json(RECIPE)
    assert json.loads(data)["style"]["size_px"] == 64
    assert data.endswith(b"}\n")
