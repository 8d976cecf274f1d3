from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kanjiprep.evaluation import bands, features, score
from kanjiprep.evaluation.bands import MOST_HALF_BANDS, Bands
from kanjiprep.evaluation.features import Values
from kanjiprep.evaluation.proof import corruptions
from tests.test_corruptions import KANJI, OTHERS

COUNT = len(features.NAMES)
GLYPHS = [KANJI, *OTHERS]


def sound(rows: int = 400, seed: int = 0) -> Values:
    return np.random.default_rng(seed).normal(5, 1, (rows, COUNT))


BANDS = bands.of(sound(), "digest")


def index(name: str) -> int:
    return features.NAMES.index(name)


def moved(name: str, by: float) -> Values:
    values = BANDS.middle.copy()
    values[index(name)] += by
    return values


def test_every_style_statistic_has_its_least_half_band() -> None:
    assert set(bands._LEAST) == {one.name for one in features.STATISTICS if one.kind == "style"}


def test_sound_pictures_are_within_all_but_one_in_fifty() -> None:
    outside = bands.outside(sound(seed=1), BANDS)
    assert (outside != 0).mean() < 0.03
    assert bands.style(BANDS.middle, BANDS) == 0


def test_their_own_median_distance_is_one() -> None:
    assert np.median(bands.distance(sound(), BANDS)) == pytest.approx(1)
    assert bands.distance(BANDS.middle, BANDS) == pytest.approx(0)


def test_a_value_outside_counts_in_half_bands_and_three_at_most() -> None:
    half = BANDS.high[index("colour")] - BANDS.middle[index("colour")]
    assert bands.outside(moved("colour", 2 * half), BANDS)[index("colour")] == pytest.approx(1)
    assert bands.outside(moved("colour", 99 * half), BANDS)[index("colour")] == MOST_HALF_BANDS
    assert bands.style(moved("colour", 99 * half), BANDS) == pytest.approx(MOST_HALF_BANDS / features.STYLE.sum())


def test_what_is_no_fault_on_one_side_does_not_count_there() -> None:
    assert bands.outside(moved("colour", -99), BANDS)[index("colour")] == 0
    assert bands.outside(moved("paper", 99), BANDS)[index("paper")] == 0
    assert bands.outside(moved("ink", -99), BANDS)[index("ink")] == -MOST_HALF_BANDS


def test_style_does_not_touch_the_distance_nor_shape_the_style() -> None:
    assert bands.distance(moved("colour", 50), BANDS) == pytest.approx(0)
    assert bands.style(moved("ink", 50), BANDS) == 0
    assert bands.distance(moved("ink", 5), BANDS) > 1


def test_no_statistic_alone_is_further_than_its_cap() -> None:
    far, further = (bands.distance(moved("ink", by), BANDS) for by in (50, 5000))
    assert far == pytest.approx(further)


def test_statistics_that_go_together_are_taken_together() -> None:
    values = sound()
    ink, length = index("ink"), index("length")
    values[:, length] = values[:, ink] + np.random.default_rng(2).normal(0, 0.1, len(values))
    tied = bands.of(values, "")
    along, across = tied.middle.copy(), tied.middle.copy()
    along[[ink, length]] += 1.5
    across[ink] += 1.5
    across[length] -= 1.5
    assert bands.distance(across, tied) > 1.5 * bands.distance(along, tied)


@pytest.mark.parametrize("rows", [1, 2, 50])
def test_pictures_that_are_all_alike_still_give_bands(rows: int) -> None:
    flat = bands.of(np.tile(BANDS.middle, (rows, 1)), "")
    assert (flat.low < flat.middle).all()
    assert (flat.middle < flat.high).all()
    assert np.isfinite(flat.bond).all()
    assert np.isfinite(bands.distance(BANDS.middle + 1, flat))
    assert bands.distance(BANDS.middle, flat) < bands.distance(BANDS.middle + 1, flat)


def test_pictures_that_are_all_but_alike_do_not_make_all_others_infinitely_far() -> None:
    close = bands.of(BANDS.middle + 1e-9 * sound(50), "")
    assert close.usual == 1
    assert bands.distance(BANDS.middle + 1, close) < 100


def test_two_pictures_give_bands_that_both_are_in() -> None:
    pair = sound(2)
    found = bands.of(pair, "")
    assert (bands.style(pair, found) < 0.03).all()
    assert bands.distance(pair, found).tolist() == pytest.approx([1, 1])


def test_many_pictures_at_once_are_what_each_is_alone() -> None:
    values = sound(5, seed=3)
    assert bands.distance(values, BANDS).tolist() == pytest.approx([float(bands.distance(v, BANDS)) for v in values])
    assert bands.style(values, BANDS).tolist() == pytest.approx([float(bands.style(v, BANDS)) for v in values])


def test_words_name_the_worst_first() -> None:
    far = [0.0] * COUNT
    far[index("colour")], far[index("ink")], far[index("specks")] = 1.0, -2.0, 0.5
    assert bands.words(far, 2) == ("little ink", "colourful")
    assert bands.words([0.0] * COUNT) == ()


def test_bands_are_values() -> None:
    assert isinstance(BANDS, Bands)
    assert BANDS.pictures == 400
    assert BANDS.digest == "digest"


# Pictures


def measured(kind: str, severity: float, seeds: range) -> Values:
    return np.array([features.measure(_picture(kind, severity, seed)) for seed in seeds])


def _picture(kind: str, severity: float, seed: int) -> NDArray[np.uint8]:
    glyph = GLYPHS[seed % len(GLYPHS)]
    others = [one for one in GLYPHS if one is not glyph]
    random = np.random.default_rng(seed)
    if kind == "sound":
        return corruptions.draw_sound(glyph, random, features.SIDE_PX)
    return corruptions.draw(kind, severity, glyph, others, random, features.SIDE_PX)


@pytest.fixture(scope="module")
def painted() -> Bands:
    """Of sound pictures."""
    return bands.of(measured("sound", 0, range(48)), "")


def test_other_sound_pictures_of_the_same_characters_are_within(painted: Bands) -> None:
    others = measured("sound", 0, range(100, 124))
    assert (bands.style(others, painted) < score.EXPLODED).all()
    assert np.median(bands.distance(others, painted)) == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("kind", [name for name, kind in corruptions.KINDS.items() if kind.style and kind.named])
def test_exploded_pictures_are_far_outside(painted: Bands, kind: str) -> None:
    assert (bands.style(measured(kind, 0.5, range(4)), painted) > score.EXPLODED).all()


@pytest.mark.parametrize("kind", [name for name, kind in corruptions.KINDS.items() if not kind.style and kind.named])
def test_characters_that_fall_apart_are_further_away_and_still_ink_on_paper(painted: Bands, kind: str) -> None:
    harmed = measured(kind, 1.0, range(8))
    assert np.median(bands.distance(harmed, painted)) > 1.3
    assert np.median(bands.style(harmed, painted)) < score.EXPLODED
