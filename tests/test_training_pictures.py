from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from kanjiprep.errors import DatasetError
from kanjiprep.evaluation import training_pictures
from kanjiprep.training.running import run_source
from tests.run_folders import prepared, write_environment


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "metadata.csv").write_text('file_name,text\n0.png,"a"\n1.png,"b"\n')
    for name in ("0.png", "1.png"):
        (folder / name).write_bytes(b"a picture")
    return folder


def test_those_of_a_run_are_what_it_links_to(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(b"a picture")
    notes: list[str] = []
    found = training_pictures.of_run(run, run_source.environment(run), None, notes)
    assert (found.folder, found.names[:2], len(found.names)) == (run / "pictures", ("0.png", "1.png"), 12)
    assert found.digest == "ab" * 32
    assert notes == []


def test_links_that_lead_nowhere_are_told_with_what_to_do(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    with pytest.raises(
        DatasetError, match=r"pictures: 0\.png that the run was trained on .* give --dataset; it was /h"
    ):
        training_pictures.of_run(run, run_source.environment(run), None, [])


@pytest.mark.parametrize("name", ["x" * 300, "a\0b.png"])
def test_names_that_no_file_has_are_not_found(tmp_path: Path, name: str) -> None:
    run = prepared(tmp_path)
    row = {"file_name": name, "text": "a", "width": 1, "height": 1}
    (run / "config" / "captions.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DatasetError, match="that the run was trained on cannot be found; give --dataset"):
        training_pictures.of_run(run, run_source.environment(run), None, [])


def test_the_runs_own_dataset_is_not_noted(tmp_path: Path, dataset: Path) -> None:
    (dataset / "build.json").write_text(json.dumps({"digest": "cd" * 32}))
    sums = hashlib.sha256((dataset / "metadata.csv").read_bytes()).hexdigest()
    (dataset / "SHA256SUMS").write_text(f"{sums}  metadata.csv\n")
    run, notes = prepared(tmp_path), list[str]()
    found = training_pictures.of_dataset(dataset).digest
    assert found
    write_environment(run, digest=found)
    training_pictures.of_run(run, run_source.environment(run), dataset, notes)
    assert notes == []


def test_a_run_without_captions_names_no_pictures(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    (run / "config" / "captions.jsonl").write_bytes(b"")
    with pytest.raises(DatasetError, match="the pictures that the run was trained on cannot be found"):
        training_pictures.of_run(run, run_source.environment(run), None, [])


def test_another_dataset_than_the_runs_is_noted(tmp_path: Path, dataset: Path) -> None:
    run, notes = prepared(tmp_path), list[str]()
    found = training_pictures.of_run(run, run_source.environment(run), dataset, notes)
    assert (found.folder, found.names, found.digest) == (dataset, ("0.png", "1.png"), "")
    assert notes == ["dataset is not the dataset, as it was then, that the run was trained on"]
    write_environment(run, digest="")
    more: list[str] = []
    training_pictures.of_run(run, run_source.environment(run), dataset, more)
    assert more == []


def test_a_dataset_that_is_not_whole_is_refused(dataset: Path) -> None:
    (dataset / "1.png").unlink()
    with pytest.raises(DatasetError, match=r"dataset: 1\.png is missing; run kanjiprep check"):
        training_pictures.of_dataset(dataset)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("", "has no rows"),
        (f"{'x' * 300}.png,a\n", "xxx.png is missing"),
        ('"a\0b.png",a\n', "b.png is missing"),
    ],
)
def test_tables_that_name_no_files_are_refused(dataset: Path, rows: str, says: str) -> None:
    (dataset / "metadata.csv").write_text(f"file_name,text\n{rows}")
    with pytest.raises(DatasetError, match=says):
        training_pictures.of_dataset(dataset)


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"metadata\.csv: cannot be read"):
        training_pictures.of_dataset(tmp_path)


def test_captions_are_read_as_they_were_written(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    (run / "config" / "captions.jsonl").write_text(json.dumps({"file_name": "0.png"}) + "\n")
    with pytest.raises(DatasetError, match="is not as it was written"):
        training_pictures.of_run(run, run_source.environment(run), None, [])
