from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kanjiprep.evaluation.variants import JPEG_SHARE, PAPER, vary

SEEDS = range(60)


def square(size_px: int = 256) -> NDArray[np.uint8]:
    """A frame of strokes as wide as KanjiVG's."""
    grey = np.full((size_px, size_px), 255, np.uint8)
    unit = size_px // 64
    grey[8 * unit : 56 * unit, 8 * unit : 56 * unit] = 0
    grey[10 * unit : 54 * unit, 10 * unit : 54 * unit] = 255
    return grey


def varied(seed: int, size_px: int = 256) -> NDArray[np.uint8]:
    return vary(square(size_px), np.random.default_rng(seed))


def dark(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(picture.mean(2) < 128)


def span(marked: NDArray[np.bool_], axis: int) -> tuple[int, int]:
    places = np.flatnonzero(marked.any(axis))
    return int(places[0]), int(places[-1]) + 1


@pytest.mark.parametrize("size_px", [64, 256, 300])
def test_it_is_a_coloured_picture_of_the_same_size_that_may_be_written_to(size_px: int) -> None:
    for seed in range(8):
        picture = varied(seed, size_px)
        assert picture.shape == (size_px, size_px, 3)
        assert picture.dtype == np.uint8
        assert picture.flags.writeable


def test_a_seed_gives_one_picture_and_another_seed_another() -> None:
    assert np.array_equal(varied(1), varied(1))
    assert not np.array_equal(varied(1), varied(2))


def test_the_rendered_picture_is_left_as_it_was() -> None:
    grey = square()
    vary(grey, np.random.default_rng(0))
    assert np.array_equal(grey, square())


def test_it_stays_dark_ink_on_light_paper() -> None:
    for seed in SEEDS:
        picture = varied(seed)
        assert np.median(picture) >= 255 * (PAPER[0] - 0.06)
        assert np.quantile(picture.mean(2)[dark(picture)], 0.2) < 255 * 0.3


def test_its_tint_cannot_be_seen() -> None:
    means = [varied(seed).mean((0, 1)) for seed in SEEDS]
    spread = [float(mean.max() - mean.min()) for mean in means]
    assert max(spread) < 7
    assert max(spread) > 2


def test_it_is_a_little_smaller_or_elsewhere_but_whole() -> None:
    widths, middles = [], []
    for seed in SEEDS:
        left, right = span(dark(varied(seed)), 0)
        top, bottom = span(dark(varied(seed)), 1)
        assert abs((right - left) - (bottom - top)) <= 2
        widths.append(right - left)
        middles.append((left + right) / 2)
    assert 0.88 * 192 - 3 <= min(widths) < 175
    assert 187 < max(widths) <= 192 + 3
    assert 123 <= min(middles) < 126
    assert 130 < max(middles) <= 133


def test_strokes_come_thinner_and_thicker() -> None:
    shares = []
    for seed in SEEDS:
        marked = dark(varied(seed))
        left, right = span(marked, 0)
        width_px = 8 * (right - left) / 192  # as rendered, by the frame's own size
        shares.append(float(marked.sum()) / (4 * (right - left - width_px) * width_px))
    assert 0.8 < min(shares) < 0.92
    assert 1.08 < max(shares) < 1.2


def test_a_large_picture_varies_by_the_same_share() -> None:
    """Scale, place, width and blur; the grain of a larger picture takes more numbers from the generator."""
    for seed in range(12):
        small = varied(seed).mean(2)
        large = np.asarray(Image.fromarray(varied(seed, 1024)).resize((256, 256), Image.Resampling.BOX)).mean(2)
        assert float(np.abs(small - large).mean()) < 6


def test_grain_is_weak_and_paper_seldom_uneven() -> None:
    grains, slopes = [], []
    for seed in SEEDS:
        paper = varied(seed).mean(2)[70:186, 70:186]
        grains.append(float(np.abs(np.diff(paper, axis=1)).mean()) / 255)
        slopes.append(float(abs(paper[:, :20].mean() - paper[:, -20:].mean())) / 255)
    assert max(grains) < 0.02
    assert min(grains) < 0.002
    assert max(slopes) < 0.05
    assert sum(slope > 0.004 for slope in slopes) < len(slopes) / 2


def test_some_went_through_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    save = Image.Image.save

    def listening(image: Image.Image, target: object, name: str, **settings: int) -> None:
        said.append(name)
        assert 80 <= settings["quality"] <= 95
        save(image, target, name, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "save", listening)
    for seed in range(200):
        varied(seed, 64)
    assert abs(len(said) / 200 - JPEG_SHARE) < 0.1
