from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from kanjiprep.dataset import drawing, kanjivg
from kanjiprep.dataset.raster import Canvas, Style
from kanjiprep.evaluation.judge import train
from kanjiprep.evaluation.judge.learn import Recipe
from kanjiprep.evaluation.judge.see import component_recall, novelty, see
from kanjiprep.evaluation.judge.store import Judge
from kanjiprep.evaluation.judged import Parts
from kanjiprep.progress import silent
from tests import judges

pytest.importorskip("torch")

SOURCE = judges.kanjivg_source()
DRAWINGS = kanjivg.parse(SOURCE)
RECIPE = Recipe(epochs=24, batch=8, least=5, characters=20)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    folder = tmp_path_factory.mktemp("judge")
    return train.train(judges.write_dataset(folder / "dataset"), SOURCE, folder, 0, silent, RECIPE).judge


def picture(literal: str, width: float = 3.0, side: int = 300) -> NDArray[np.uint8]:
    style = Style(side, width)
    grey = drawing.pixels_of(drawing.drawing_of(DRAWINGS[ord(literal)]), Canvas(style), style)
    return np.repeat(grey[..., None], 3, 2)


def pair(left: str, right: str) -> str:
    shapes = list(judges.SHAPES)
    return chr(judges.FIRST + shapes.index(left) * len(shapes) + shapes.index(right))


def test_wanted_components_are_found_where_they_are(judge: Judge) -> None:
    (there,) = see([(picture(pair("川", "木")), "trees at the river")], judge)
    assert there.wanted == ("木", "川")
    assert there.found == ("木", "川")
    (elsewhere,) = see([(picture(pair("口", "口")), "trees at the river")], judge)
    assert (elsewhere.wanted, elsewhere.found) == (("木", "川"), ())


def test_a_copy_is_nearest_to_its_original_and_not_novel(judge: Judge) -> None:
    copied = pair("口", "三")
    (seen,) = see([(picture(copied, 4.5, 512), "a tree")], judge)
    assert seen.nearest[0][0] == copied
    assert len(seen.nearest) == 3
    similarities = [one for _, one in seen.nearest]
    assert similarities == sorted(similarities, reverse=True)
    assert 0.9 < similarities[0] <= 1
    assert seen.novelty < 0.5


def test_scribble_is_more_novel_than_a_copy(judge: Judge) -> None:
    rng = np.random.default_rng(0)
    scribble = np.kron(rng.integers(0, 2, (7, 7)), np.ones((30, 30))).astype(np.uint8)[..., None].repeat(3, 2) * 255
    copy, other = see([(picture(pair("口", "三")), ""), (scribble, "")], judge)
    assert other.novelty > copy.novelty
    assert (other.wanted, other.found) == ((), ())


@pytest.mark.parametrize("level", [0, 255])
def test_a_picture_without_ink_is_like_nothing(judge: Judge, level: int) -> None:
    (seen,) = see([(np.full((64, 80, 3), level, np.uint8), "tree")], judge)
    assert seen == Parts(("木",), (), (), 1.0)


def test_noise_of_any_shape_is_seen_without_a_fault(judge: Judge) -> None:
    rng = np.random.default_rng(0)
    shapes = [(200, 200, 3), (1, 1, 3), (3, 500, 3), (70, 20, 3)]
    seen = see([(rng.integers(0, 256, shape, np.uint8), "tree") for shape in shapes], judge)
    assert len(seen) == 4
    assert all(0 <= one.novelty <= 1 for one in seen)


def test_pictures_come_one_by_one_and_keep_their_order(judge: Judge) -> None:
    literals = [chr(judges.FIRST + index % 36) for index in range(70)]
    heard: list[tuple[str, int, int | None]] = []

    def pictures() -> Iterator[tuple[NDArray[np.uint8], str]]:
        for literal in literals:
            yield picture(literal), "mouth"

    seen = see(pictures(), judge, lambda *state: heard.append(state))
    assert sum(one.nearest[0][0] == literal for one, literal in zip(seen, literals, strict=True)) > 60
    assert heard == [("look for components", 64, None), ("look for components", 70, None)]
    assert see([], judge) == ()


def test_novelty_is_the_chance_of_an_unknown_character(judge: Judge) -> None:
    fixed = replace(judge, slope=-50.0, middle=0.9)
    assert novelty(0.9, fixed) == 0.5
    assert novelty(1.0, fixed) == pytest.approx(1 / (1 + np.exp(5)))
    assert novelty(-1.0, fixed) == pytest.approx(1)
    assert novelty(1.0, replace(judge, slope=-1e9)) == pytest.approx(0)


def test_recall_is_over_all_wanted_components() -> None:
    seen = [Parts(("木", "川"), ("木",), (), 0.0), Parts((), (), (), 0.0), Parts(("口",), ("口",), (), 0.0)]
    assert component_recall(seen) == pytest.approx(2 / 3)
    assert component_recall(seen[1:2]) is None
