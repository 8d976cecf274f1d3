import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from kanjiprep.dataset import kanjivg
from kanjiprep.evaluation.judge import glyphs
from kanjiprep.progress import silent
from tests import judges

Picture = NDArray[np.uint8]


def drawn(side: int = 256) -> Picture:
    """A cross with a dot: three strokes, black on white."""
    grey = np.full((side, side), 255, np.uint8)
    unit = side // 32
    grey[8 * unit : 9 * unit, 6 * unit : 26 * unit] = 0
    grey[4 * unit : 28 * unit, 15 * unit : 16 * unit] = 0
    grey[20 * unit : 22 * unit, 22 * unit : 24 * unit] = 0
    return np.repeat(grey[..., None], 3, 2)


def distance(first: Picture, second: Picture) -> float:
    return float(np.abs(glyphs.of_picture(first).astype(float) - glyphs.of_picture(second)).mean())


def test_ink_is_framed_in_the_middle_with_its_box_at_a_fixed_size() -> None:
    ink = glyphs.of_picture(drawn())
    assert ink.shape == (64, 64)
    assert ink.dtype == np.uint8
    rows, columns = np.flatnonzero(ink.max(1) > 128), np.flatnonzero(ink.max(0) > 128)
    assert 50 <= rows[-1] - rows[0] <= 56
    assert abs(rows[0] + rows[-1] - 63) <= 2
    assert abs(columns[0] + columns[-1] - 63) <= 2


@pytest.mark.parametrize(
    "changed",
    [
        255 - drawn(),
        drawn() // 2 + 60,
        (drawn() // 255 * np.array([200, 100, 20], np.uint8)).astype(np.uint8) + 20,
        drawn(1024),
        np.pad(drawn(), ((100, 20), (10, 110), (0, 0)), constant_values=255),
        np.asarray(Image.fromarray(drawn()).filter(ImageFilter.GaussianBlur(1.2))),
        np.clip(drawn() + np.random.default_rng(0).normal(0, 20, (256, 256, 1)), 0, 255).astype(np.uint8),
    ],
    ids=["inverted", "pale", "coloured", "large", "moved", "blurred", "grainy"],
)
def test_style_size_and_place_do_not_matter(changed: Picture) -> None:
    assert distance(changed, drawn()) < 8
    assert distance(np.swapaxes(drawn(), 0, 1), drawn()) > 20


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_has_no_ink(level: int) -> None:
    assert not glyphs.of_picture(np.full((40, 50, 3), level, np.uint8)).any()


@pytest.mark.parametrize("shape", [(300, 300, 3), (1, 1, 3), (1, 900, 3), (900, 2, 3), (60, 70)])
def test_noise_of_any_shape_gives_ink_of_the_one_shape(shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    assert glyphs.of_picture(noise).shape == (64, 64)


def test_characters_are_drawn_in_every_width_and_in_order() -> None:
    drawings = list(kanjivg.parse(judges.kanjivg_source()).values())
    heard: list[tuple[str, int, int | None]] = []
    inks = glyphs.of_glyphs(drawings, (2.0, 6.0), lambda *state: heard.append(state))
    assert inks.shape == (2, len(drawings), 64, 64)
    assert inks[1].mean() > inks[0].mean() * 1.5
    assert heard[-1] == ("draw the characters", 2 * len(drawings), 2 * len(drawings))
    alone = glyphs.of_glyphs(drawings[-1:], (6.0,), silent)
    assert (alone[0, 0] == inks[1, -1]).all()
