from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kanjiprep.errors import DatasetError
from kanjiprep.evaluation import bands, features, reference
from kanjiprep.evaluation.bands import Bands
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.judged import PictureScore
from kanjiprep.evaluation.proof import corruptions
from kanjiprep.progress import Progress, silent
from kanjiprep.publishing.page import judged
from kanjiprep.publishing.page.judged import Judge, Judgement
from tests import painted_run, run_folders

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painted_run.small(tmp_path_factory.mktemp("judged"), painted_run.Painting(checkpoints=1, prompts=("a",)))


def few(progress: Progress) -> Bands:
    """Bands of three characters in eight hands each."""
    random = np.random.default_rng(1)
    drawn = [corruptions.draw_sound(one, random, 256) for one in painted_run.GLYPHS for _ in range(8)]
    return bands.of(np.array([features.measure(one) for one in drawn]), "digest")


@pytest.fixture
def judge() -> Iterator[Judge]:
    made = Judge(few)
    yield made
    assert made.close(PATIENCE_S)


def test_a_sound_picture_and_an_exploded_one_are_told_apart(judge: Judge, tmp_path: Path) -> None:
    drawn = corruptions.draw_sound(painted_run.GLYPHS[0], np.random.default_rng(5), 256)
    Image.fromarray(drawn).save(tmp_path / "sound.png")
    Image.effect_noise((256, 256), 100).convert("RGB").save(tmp_path / "noise.png")
    sound = judge.look(tmp_path / "sound.png", 4, False).result(PATIENCE_S)
    noise = judge.look(tmp_path / "noise.png", 0, True).result(PATIENCE_S)
    assert sound.word == "sound"
    assert (sound.score or 0) > judged.DOUBTFUL
    assert noise.word == "exploded"
    assert noise.why
    assert "cannot be read" in judge.look(tmp_path / "gone.png", 0, True).result(PATIENCE_S).why


def scored(score: float, style: float, fault: str = "") -> PictureScore:
    return PictureScore(Cell(4, "a", 0, Path("a.png")), {}, style, 1.5, score, fault, ("grey all over",))


@pytest.mark.parametrize(
    ("found", "word", "why"),
    [
        (scored(84, 0.0), "sound", ""),
        (scored(59.9, 0.0), "doubtful", "grey all over"),
        (scored(70, 0.15), "doubtful", "grey all over"),
        (scored(20, 0.6, "no ink on paper"), "exploded", "no ink on paper"),
    ],
)
def test_scores_are_told_in_words(found: PictureScore, word: str, why: str) -> None:
    assert judged.told(found) == Judgement(word, found.score, why, found.style, 1.5)  # type: ignore[arg-type]


def test_without_training_pictures_it_says_why(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="--dataset"):
        judged.training_of(None, None)
    with pytest.raises(DatasetError, match="give --dataset"):
        judged.training_of(run_folders.trained(tmp_path), None)
    judge = Judge(judged.loading(None, None, tmp_path))
    found = judge.look(tmp_path / "a.png", 4, False).result(PATIENCE_S)
    assert (found.word, found.score) == (None, None)
    assert found.why == "nobody knows what it was trained on; give the training pictures with --dataset"
    assert judge.close(PATIENCE_S)


def test_the_training_pictures_are_those_of_the_run_or_of_the_dataset(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(reference, "load", lambda *given: asked.append(given))
    for trained, dataset in ((None, run.parent.parent), (run, None)):
        judged.loading(trained, dataset, tmp_path)(silent)
    assert asked == [
        (judged.training_of(None, run.parent.parent), tmp_path, silent),
        (judged.training_of(run, None), tmp_path, silent),
    ]
    assert len(judged.training_of(None, run.parent.parent).names) == painted_run.TRAINING


def test_closing_ends_the_search_for_bands(tmp_path: Path) -> None:
    begun = threading.Event()

    def endless(progress: Progress) -> Bands:
        while True:
            progress("measure", 0, None)
            begun.set()

    judge = Judge(endless)
    later = judge.look(tmp_path / "a.png", 4, False)
    assert begun.wait(PATIENCE_S)
    assert judge.close(PATIENCE_S)
    assert later.result(PATIENCE_S).why == "the page is closed"
