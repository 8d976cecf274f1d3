from __future__ import annotations

import os
from pathlib import Path

import pytest

from kanjiprep import metadata
from kanjiprep.dataset import check as checking
from kanjiprep.errors import DatasetError, UsageError
from kanjiprep.progress import silent


def check(dataset: Path) -> checking.Checked:
    return checking.check(dataset, None, 1, silent)


def test_a_built_dataset_is_fit_and_counted(dataset: Path) -> None:
    checked = check(dataset)
    assert checked.is_fit
    assert [problem.kind for problem in checked.problems] == ["stroke_count"]
    assert checked.statistics.samples == 3
    assert checked.statistics.strokes == 9
    assert checked.statistics.caption_characters.most == len(
        "Image of a Japanese kanji character 休 in plain font. The character means: rest, day off."
    )
    assert checked.sheet == dataset.with_name("dataset-sheet.png")
    assert checked.sheet.is_file()


def test_checking_changes_nothing_in_the_folder(dataset: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in dataset.iterdir()}
    check(dataset)
    assert {path.name: path.stat().st_mtime_ns for path in dataset.iterdir()} == before


@pytest.mark.parametrize(("caption", "reads"), [("NA", "nan"), ("null", "nan"), ("2", "2"), ("1.50", "1.5")])
def test_captions_that_the_loader_would_change_are_errors(dataset: Path, caption: str, reads: str) -> None:
    names = [name for name, _ in metadata.read_rows(dataset / "metadata.csv")]
    rows = "".join(f'{name},"{caption}"\n' for name in names)
    (dataset / "metadata.csv").write_text("file_name,text\n" + rows, "utf-8")
    checked = check(dataset)
    found = {problem.kind: problem for problem in checked.problems}
    assert not checked.is_fit
    assert str(found["misread_caption"].items[0]) == f"{names[0]}: read as {reads}"


def test_a_missing_and_a_broken_picture_make_it_unfit(dataset: Path) -> None:
    (dataset / "一_kanji_04e00.png").unlink()
    (dataset / "二_kanji_04e8c.png").write_bytes(b"")
    (dataset / "stranger.PNG").touch()
    checked = check(dataset)
    assert not checked.is_fit
    assert {problem.kind for problem in checked.problems if problem.severity == "error"} == {
        "missing_picture", "missing_row", "unreadable_picture",
    }  # fmt: skip


def test_a_dataset_of_others_needs_no_certificate(dataset: Path) -> None:
    (dataset / "build.json").unlink()
    checked = check(dataset)
    assert checked.is_fit
    assert checked.statistics.strokes is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", r"metadata.csv:1: its columns are missing; make them file_name,text"),
        (b"image,caption\n", r"metadata.csv:1: its columns are image,caption"),
        (b"file_name,text\na.png\n", r"metadata.csv:2: 1 fields instead of 2"),
        (b'file_name,text\na.png,"x\n', r"metadata.csv:2: not CSV: unexpected end of data; mend the quotes"),
        (b"file_name,text\na.png,x\nb.png,y,z\n", r"metadata.csv:3: 3 fields instead of 2; quote the caption"),
        (b"file_name,text\na.png,\xff\n", r"metadata.csv: not UTF-8 text at byte 21"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(dataset: Path, data: bytes, says: str) -> None:
    (dataset / "metadata.csv").write_bytes(data)
    with pytest.raises(DatasetError, match=says):
        check(dataset)


def test_an_empty_table_is_unfit(dataset: Path) -> None:
    (dataset / "metadata.csv").write_text("file_name,text\n")
    assert "no_rows" in {problem.kind for problem in check(dataset).problems}


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"metadata.csv: cannot be read: no such file or directory; run kanjiprep build"
    ):
        check(tmp_path / "gone")


def test_a_table_of_which_pandas_finds_other_rows_is_refused(dataset: Path) -> None:
    with pytest.raises(DatasetError, match="pandas, which loads it, cannot"):
        checking._read_back(dataset / "metadata.csv", ())


def test_blank_lines_and_further_columns_do_no_harm(dataset: Path) -> None:
    rows = metadata.read_rows(dataset / "metadata.csv")
    text = "".join(f'{name},"{caption}",x\n\n' for name, caption in rows)
    (dataset / "metadata.csv").write_text(f"file_name,text,more\n{text}", "utf-8")
    assert metadata.read_rows(dataset / "metadata.csv") == rows
    assert check(dataset).is_fit


def test_a_sheet_inside_the_dataset_is_refused(dataset: Path) -> None:
    before = (dataset / "metadata.csv").read_bytes()
    with pytest.raises(UsageError, match="--sheet is inside the dataset"):
        checking.check(dataset, dataset / "metadata.csv", 1, silent)
    assert (dataset / "metadata.csv").read_bytes() == before


def test_what_is_no_file_is_not_waited_for(dataset: Path) -> None:
    (dataset / "一_kanji_04e00.png").unlink()
    os.mkfifo(dataset / "一_kanji_04e00.png")
    assert "missing_picture" in {problem.kind for problem in check(dataset).problems}


def test_a_link_to_nowhere_is_a_picture_that_cannot_be_read(dataset: Path) -> None:
    (dataset / "一_kanji_04e00.png").unlink()
    (dataset / "一_kanji_04e00.png").symlink_to("nowhere")
    assert "unreadable_picture" in {problem.kind for problem in check(dataset).problems}


def test_a_table_that_is_no_file_has_its_remedy(dataset: Path) -> None:
    (dataset / "metadata.csv").unlink()
    (dataset / "metadata.csv").mkdir()
    with pytest.raises(DatasetError, match="is a directory; check its permissions"):
        check(dataset)


def test_a_sheet_takes_the_place_of_a_picture_alone(dataset: Path) -> None:
    sheet = dataset.with_name("dataset-sheet.png")
    assert check(dataset).sheet == sheet
    assert check(dataset).sheet == sheet
    sheet.write_text("precious")
    for given in (None, dataset.with_name("precious.txt"), Path("/dev/full")):
        with pytest.raises(UsageError, match="is there and is no picture|does not end in .png"):
            checking.check(dataset, given, 1, lambda *_: pytest.fail("it was looked at"))
    assert sheet.read_text() == "precious"
