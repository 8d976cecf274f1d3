from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.evaluation.weights import norm_cache
from kanjiprep.evaluation.weights.norm_cache import Stamp
from kanjiprep.evaluation.weights.norms import Norms

STAMP = Stamp("checkpoint-400/a.safetensors", 12, 34)
ENTRIES = {STAMP: {"to_q": Norms(2.5, 1.25), "to_k": Norms(0.0, 0.0)}}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "report" / "norms.json"
    norm_cache.write(path, ENTRIES)
    assert norm_cache.read(path) == ENTRIES
    assert [entry.name for entry in path.parent.iterdir()] == ["norms.json"]


def test_what_is_no_number_is_kept_as_such_and_the_file_is_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "norms.json"
    norm_cache.write(path, {STAMP: {"to_q": Norms(math.nan, math.nan)}})
    assert not norm_cache.read(path)[STAMP]["to_q"].is_finite
    json.loads(path.read_text(), parse_constant=pytest.fail)


GOOD = '{"name": "a", "bytes": 1, "mtime_ns": 2, "norms": {"to_q": [2, 1]}}'


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"{",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"version": 0, "files": []}',
        b'{"version": 1}',
        b'{"version": 1, "files": 3}',
        b'{"version": 1, "files": [3]}',
        *(
            f'{{"version": 1, "files": [{GOOD.replace(old, new)}]}}'.encode()
            for old, new in [
                ('"a"', "3"),
                ("1,", "true,"),
                ("2,", '"2",'),
                ("[2, 1]", "[2]"),
                ("[2, 1]", "[1, 2]"),
                ("[2, 1]", "[2, -1]"),
                ("[2, 1]", "[NaN, NaN]"),
                ("[2, 1]", '["1", "2"]'),
                ("[2, 1]", f"[{10**400}, 1]"),
                ("[2, 1]", "7"),
                ('{"to_q": [2, 1]}', "[]"),
            ]
        ),
    ],
)
def test_a_damaged_cache_knows_nothing(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "norms.json"
    path.write_bytes(text)
    assert norm_cache.read(path) == {}


def test_a_cache_that_is_not_there_knows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "norms.json"
    assert norm_cache.read(path) == {}
    assert norm_cache.read(tmp_path) == {}
    path.write_text(f'{{"version": 1, "files": [{GOOD}]}}')
    assert norm_cache.read(path) == {Stamp("a", 1, 2): {"to_q": Norms(2, 1)}}


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainerError, match="norms.json: cannot be written: (not a directory|file exists); give"):
        norm_cache.write(tmp_path / "file" / "norms.json", ENTRIES)
    (tmp_path / "norms.json").mkdir()
    with pytest.raises(TrainerError, match="norms.json: cannot be written: is a directory; free some space"):
        norm_cache.write(tmp_path / "norms.json", ENTRIES)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "norms.json"]


def test_a_stamp_tells_states_of_a_file_apart(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint-400" / "a.safetensors"
    path.parent.mkdir()
    path.write_text("12")
    os.utime(path, ns=(1, 2_000_000_000))
    assert norm_cache.stamp_of(path) == Stamp("checkpoint-400/a.safetensors", 2, 2_000_000_000)


def test_a_file_that_is_not_there_has_no_stamp(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="a.safetensors: cannot be read: no such file or directory; take another"):
        norm_cache.stamp_of(tmp_path / "a.safetensors")
