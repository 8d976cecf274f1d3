import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kanjiprep.dataset import raw
from kanjiprep.errors import DatasetError, InputError, TrainerError, UsageError
from kanjiprep.evaluation.judge import net, store, train
from kanjiprep.evaluation.judge.learn import Lesson, Recipe, teach
from kanjiprep.progress import silent
from tests import judges

pytest.importorskip("torch")

SOURCE = judges.kanjivg_source()


def trained(tmp_path: Path, name: str = "judges", seed: int = 0) -> train.Trained:
    dataset = tmp_path / "dataset"
    if not dataset.exists():
        judges.write_dataset(dataset)
    return train.train(dataset, SOURCE, tmp_path / name, seed, silent, judges.QUICK)


def test_a_trained_judge_is_written_and_read_back(tmp_path: Path) -> None:
    made = trained(tmp_path)
    judge = made.judge
    assert made.path == store.path_of(tmp_path / "judges", store.key_of(tmp_path / "dataset"))
    assert made.seconds > 0 < made.cpu_s
    assert set("木口川八") <= set(judge.components)
    assert judge.phrases["stream"] == "川"
    assert len(judge.characters) == len(judge.bank) == 42
    assert judge.figures.learnt + judge.figures.measured < 42
    read = store.load(tmp_path / "judges", judge.dataset)
    assert read is not None
    assert replace(read, weights={}, bank=judge.bank) == replace(judge, weights={})
    assert all((read.weights[name] == value).all() for name, value in judge.weights.items())
    assert (read.bank == judge.bank).all()
    assert list((tmp_path / "judges").iterdir()) == [made.path]


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(tmp_path: Path) -> None:
    first, second, third = (
        hashlib.sha256(trained(tmp_path, name, seed).path.read_bytes()).hexdigest()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == second != third


def test_progress_is_told_of_both_stages(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int | None]] = []
    judges.write_dataset(tmp_path / "dataset")
    train.train(
        tmp_path / "dataset", SOURCE, tmp_path, 0, lambda *state: heard.append(state), replace(judges.QUICK, epochs=1)
    )
    assert {stage for stage, _, _ in heard} == {"draw the characters", "train the judge"}
    assert heard[-2:] == [("train the judge", 0, 1), ("train the judge", 1, 1)]


def test_what_is_taught_is_learnt() -> None:
    rng = np.random.default_rng(0)
    inks = np.zeros((1, 40, 64, 64), np.uint8)
    truth = rng.random((40, 2)) < 0.5
    inks[0, truth[:, 0], 28:34, 8:56] = 255
    inks[0, truth[:, 1], 8:56, 28:34] = 255
    everything, nothing = np.arange(40), np.arange(0)
    lesson = Lesson(inks, truth, truth.sum(1).astype(np.float32), everything, nothing, nothing)
    with net.repeatable(0):
        network = net.build(2)
        teach(network, lesson, Recipe(epochs=12, batch=10), 0, silent)
        seen = net.see(network, inks[0])
    assert ((seen.components > 0.5) == truth).mean() > 0.95


def test_characters_fall_into_parts_that_do_not_depend_on_the_dataset() -> None:
    parts = [train.part_of(chr(code)) for code in range(0x4E00, 0x5E00)]
    assert set(parts) == set(range(16))
    assert max(map(parts.count, set(parts))) < 1.3 * 4096 / 16


def test_a_dataset_of_too_few_known_characters_is_refused(tmp_path: Path) -> None:
    dataset = judges.write_dataset(tmp_path / "dataset", "木口龠龢")
    with pytest.raises(DatasetError) as caught:
        train.train(dataset, SOURCE, tmp_path, 0, silent)
    assert str(caught.value) == (
        f"{dataset}: has 2 characters that KanjiVG draws, and a judge needs 500; "
        "judge without it, or build a larger dataset"
    )


def test_a_dataset_of_characters_unknown_to_kanjivg_is_refused(tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    (dataset / "metadata.csv").write_text("file_name,text\ncat.png,A cat.\n")
    with pytest.raises(DatasetError, match="has 0 characters"):
        train.train(dataset, SOURCE, tmp_path, 0, silent)


def test_a_dataset_without_frequent_components_is_refused(tmp_path: Path) -> None:
    dataset = judges.write_dataset(tmp_path / "dataset")
    with pytest.raises(DatasetError, match="no component is in 40 of its characters; judge without it"):
        train.train(dataset, SOURCE, tmp_path, 0, silent, replace(judges.QUICK, least=40))


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"metadata\.csv"):
        train.train(tmp_path, SOURCE, tmp_path, 0, silent)


def test_broken_strokes_are_refused(tmp_path: Path) -> None:
    dataset = judges.write_dataset(tmp_path / "dataset")
    assert isinstance(SOURCE.content, raw.GlyphFiles)
    name = f"{judges.FIRST:05x}.svg"
    files = {**SOURCE.content.files, name: SOURCE.content.files[name].replace(b'd="M', b'd="?')}
    broken = replace(SOURCE, content=replace(SOURCE.content, files=files))
    with pytest.raises(InputError, match="is broken"):
        train.train(dataset, broken, tmp_path, 0, silent, judges.QUICK)


def test_nothing_is_drawn_or_trained_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise UsageError("needs torch", remedy="pip install 'kanjiprep[score]'")

    monkeypatch.setattr(net, "load_torch", refuse)
    with pytest.raises(UsageError, match="needs torch"):
        train.train(tmp_path / "no dataset", SOURCE, tmp_path, 0, silent)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "judges").write_text("in the way")
    with pytest.raises(TrainerError, match=r"judges: cannot be written: .*; check its permissions"):
        trained(tmp_path)
