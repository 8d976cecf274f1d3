import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kanjiprep.errors import InputError
from kanjiprep.evaluation.judge import store
from kanjiprep.evaluation.judge.store import Figures, Judge
from kanjiprep.evaluation.weights import safetensors_file
from tests import judges

KEY = "ab" * 32
JUDGE = Judge(
    dataset=KEY,
    kanjivg="cd" * 32,
    seed=3,
    torch="2.6",
    components=("木", "口", "⺈"),
    characters="林口",
    phrases={"tree": "木"},
    slope=-40.5,
    middle=0.9,
    figures=Figures(1, 2, 0.5, 0.25, 0.125, 1.5, 0.75, 1.0),
    weights={"places.bias": np.array([0.1, 0.2, 0.3], np.float32)},
    bank=np.array([[0.5, 0.5], [1, 0]], np.float32),
)
REMEDY = "train it again with kanjiprep score --train-judge"


def test_a_judge_is_kept_under_the_digest_of_its_dataset(tmp_path: Path) -> None:
    path = store.write(JUDGE, tmp_path / "new" / "judges")
    assert path == tmp_path / "new" / "judges" / f"{KEY}.safetensors"
    read = store.load(path.parent, KEY)
    assert read is not None
    assert (read.components, read.characters, read.phrases) == (JUDGE.components, JUDGE.characters, JUDGE.phrases)
    assert (read.figures, read.slope, read.middle, read.seed) == (JUDGE.figures, -40.5, 0.9, 3)
    assert (read.weights["places.bias"] == JUDGE.weights["places.bias"]).all()
    assert (read.bank == JUDGE.bank).all()


def test_what_was_never_trained_is_none(tmp_path: Path) -> None:
    assert store.load(tmp_path, KEY) is None
    assert store.load(tmp_path / "nowhere", KEY) is None


def test_judges_have_a_folder_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert store.default_folder() == tmp_path / "kanjiprep" / "judges"


def test_a_name_that_is_no_digest_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    path = store.path_of(tmp_path, "../../etc/passwd")
    assert path.parent == tmp_path
    assert path.name != store.path_of(tmp_path, "").name


@pytest.mark.parametrize("place", [0, 20, -1, -9])
def test_a_damaged_file_is_refused_with_the_remedy(tmp_path: Path, place: int) -> None:
    path = store.write(JUDGE, tmp_path)
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        store.load(tmp_path, KEY)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith(f"; {REMEDY}")


def test_a_file_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    path = store.write(JUDGE, tmp_path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match=REMEDY):
        store.load(tmp_path, KEY)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    store.path_of(tmp_path, KEY).mkdir()
    with pytest.raises(InputError, match=REMEDY):
        store.load(tmp_path, KEY)


def test_tensors_of_something_else_are_refused(tmp_path: Path) -> None:
    safetensors_file.write(store.path_of(tmp_path, KEY), {"bank": ("F32", (1,), b"\0" * 4)}, {"format": "pt"})
    with pytest.raises(InputError, match=f"is no trained judge; {REMEDY}"):
        store.load(tmp_path, KEY)


def test_a_judge_of_another_dataset_is_refused(tmp_path: Path) -> None:
    other = store.write(replace(JUDGE, dataset="ef" * 32), tmp_path)
    other.rename(store.path_of(tmp_path, KEY))
    with pytest.raises(InputError, match=f"is a judge of another dataset or version; {REMEDY}"):
        store.load(tmp_path, KEY)


def test_a_judge_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write(JUDGE, tmp_path)
    monkeypatch.setattr(store, "VERSION", "2")
    with pytest.raises(InputError, match="of another dataset or version"):
        store.load(tmp_path, KEY)


def test_words_that_were_changed_are_refused(tmp_path: Path) -> None:
    path = store.write(JUDGE, tmp_path)
    header = safetensors_file.read(path)
    tensors = {
        name: (one.dtype, one.shape, bytes(safetensors_file.raw(path, header, name)))
        for name, one in header.tensors.items()
    }
    words = json.loads(header.metadata["judge"]) | {"middle": 0.1}
    safetensors_file.write(path, tensors, {**header.metadata, "judge": json.dumps(words)})
    with pytest.raises(InputError, match=f"was changed since it was written; {REMEDY}"):
        store.load(tmp_path, KEY)


def test_a_dataset_without_a_certificate_is_named_by_its_characters(tmp_path: Path) -> None:
    one, same = (store.key_of(judges.write_dataset(tmp_path / name, "木口")) for name in "ab")
    other = store.key_of(judges.write_dataset(tmp_path / "c", "木川"))
    assert one == same != other
    assert len(one) == 64
