from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from kanjiprep.dataset import kanjivg
from kanjiprep.dataset.kanjivg import SIDE, GlyphStrokes
from kanjiprep.errors import InputError, UsageError
from kanjiprep.evaluation.proof import damage_strokes
from kanjiprep.evaluation.proof.corruptions import KINDS, SEVERITIES, draw, draw_sound
from kanjiprep.evaluation.proof.curves import Curves, along, curves_of
from tests import sources
from tests.sources import ONE, REST, TWO, Group

STYLE = {"noise", "blotch", "texture", "grid", "pixelation", "black", "white", "inverted", "colour"}
CONTENT = {"scribble", "overlay", "warp", "jitter", "missing"}
FURTHER_STYLE = {"blur", "shade", "patch_shuffle"}
FURTHER_CONTENT = {"thick", "broken", "extra", "scale"}
PLAIN = 11
"""A seed whose sound picture has not gone through JPEG."""


def glyph(literal: str, group: Group) -> GlyphStrokes:
    return kanjivg.parse_svg(sources.svg(ord(literal), group), ord(literal), f"{literal}.svg")


CROSS = Group("十", ("M15,50C40,49,70,48,95,50", "M55,15C56,40,54,70,55,95"))
LADDER = Group("目", tuple(f"M20,{y}C40,{y + 1},70,{y},90,{y}" for y in range(15, 100, 20)))
KANJI = glyph("休", REST)
OTHERS = [glyph("二", TWO), glyph("十", CROSS), glyph("目", LADDER)]


def damaged(kind: str, severity: float, seed: int = PLAIN, size_px: int = 256) -> NDArray[np.uint8]:
    return draw(kind, severity, KANJI, OTHERS, np.random.default_rng(seed), size_px)


def sound(seed: int = PLAIN, size_px: int = 256) -> NDArray[np.uint8]:
    return draw_sound(KANJI, np.random.default_rng(seed), size_px)


def softly(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Thin strokes that are moved further are no further apart pixel by pixel: a blur makes the way count."""
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(5)), np.float64)


def distance(kind: str, severity: float, seeds: range) -> float:
    pairs = [(damaged(kind, severity, seed, 128), sound(seed, 128)) for seed in seeds]
    return float(np.mean([np.abs(softly(one) - softly(other)).mean() for one, other in pairs]))


def strokes_of(kind: str, severity: float, drawn: GlyphStrokes = KANJI, seed: int = 0) -> list[Curves]:
    harm = KINDS[kind].strokes
    assert harm is not None
    return harm(curves_of(drawn), severity, [curves_of(other) for other in OTHERS], np.random.default_rng(seed))


def test_the_kinds_are_those_that_the_judge_must_know_and_some_more() -> None:
    assert {kind.name for kind in KINDS.values() if kind.style and kind.named} == STYLE
    assert {kind.name for kind in KINDS.values() if not kind.style and kind.named} == CONTENT
    assert {kind.name for kind in KINDS.values() if kind.style and not kind.named} == FURTHER_STYLE
    assert {kind.name for kind in KINDS.values() if not kind.style and not kind.named} == FURTHER_CONTENT
    assert all(name == kind.name for name, kind in KINDS.items())


def test_a_kind_harms_the_picture_or_what_it_shows() -> None:
    for kind in KINDS.values():
        assert (kind.pixels is not None) == kind.style
        assert kind.style or kind.strokes is not None or kind.wider


@pytest.mark.parametrize("size_px", [64, 100, 256])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_a_picture_of_the_size_asked_for(kind: str, size_px: int) -> None:
    picture = damaged(kind, 0.5, size_px=size_px)
    assert picture.shape == (size_px, size_px, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.writeable


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_damage(kind: str) -> None:
    assert np.array_equal(damaged(kind, 0.5), damaged(kind, 0.5))
    assert not np.array_equal(damaged(kind, 0.5, 1), damaged(kind, 0.5, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_more_severity_is_more_damage(kind: str) -> None:
    distances = [distance(kind, severity, range(12)) for severity in SEVERITIES]
    assert distances[0] > 0.2
    assert distances == sorted(distances)
    assert distances[2] > 1.2 * distances[0]


@pytest.mark.parametrize("kind", sorted(CONTENT | FURTHER_CONTENT))
def test_harm_to_strokes_leaves_the_paper_as_it_is(kind: str) -> None:
    for seed in range(6):
        ours, theirs = damaged(kind, 1.0, seed)[:10, :10], sound(seed)[:10, :10]
        assert float(np.abs(ours.mean((0, 1)) - theirs.mean((0, 1))).max()) < 1.5


@pytest.mark.parametrize("kind", sorted((STYLE | FURTHER_STYLE) - {"pixelation", "blur", "patch_shuffle"}))
def test_next_to_no_harm_to_pixels_gives_the_sound_picture(kind: str) -> None:
    assert int(np.abs(damaged(kind, 1e-6).astype(int) - sound()).max()) <= (255 if kind == "inverted" else 1)
    assert float(np.abs(damaged(kind, 1e-6).astype(int) - sound()).mean()) < 0.1


def test_sound_pictures_of_a_generator_that_was_used_before_differ() -> None:
    rng = np.random.default_rng(0)
    assert not np.array_equal(draw_sound(KANJI, rng), draw_sound(KANJI, rng))


def test_black_ends_in_black_and_white_in_an_empty_sheet() -> None:
    assert not damaged("black", 1.0).any()
    assert int(np.ptp(damaged("white", 1.0), axis=(0, 1)).max()) == 0
    assert damaged("white", 1.0).min() > 200


def test_black_keeps_its_share_of_the_light() -> None:
    assert float(damaged("black", 0.25).mean()) == pytest.approx(0.75 * float(sound().mean()), abs=1)


def test_inverted_turns_its_share_of_the_area() -> None:
    assert int(np.abs(damaged("inverted", 1.0).astype(int) - (255 - sound().astype(int))).max()) <= 1
    for severity in (0.25, 0.5):
        turned = np.abs(damaged("inverted", severity).astype(int) - (255 - sound().astype(int))).max(2) <= 1
        assert float(turned.mean()) == pytest.approx(severity, abs=0.05)


@pytest.mark.parametrize(("severity", "side"), [(0.25, 8), (0.5, 16), (1.0, 32)])
def test_pixelation_has_blocks_of_its_size(severity: float, side: int) -> None:
    blocks = damaged("pixelation", severity).reshape(256 // side, side, 256 // side, side, 3)
    assert int(np.ptp(blocks, axis=(1, 3)).max()) == 0
    assert len(np.unique(blocks[:, 0, :, 0], axis=0)) > 1


@pytest.mark.parametrize("kind", ["noise", "blotch", "texture", "grid"])
def test_the_picture_is_lost_at_full_severity(kind: str) -> None:
    seeds = range(8)
    paper = np.mean([np.median(damaged(kind, 1.0, seed)) for seed in seeds])
    assert 100 < float(paper) < 155
    ink = np.mean([sound(seed).mean(2) < 128 for seed in seeds], 0) > 0.9
    assert ink.any()
    assert 90 < float(np.mean([damaged(kind, 1.0, seed)[ink] for seed in seeds])) < 165


def test_a_grid_repeats_itself_and_noise_does_not() -> None:
    for seed in range(8):
        again = {}
        for kind in ("grid", "noise"):
            field = damaged(kind, 1.0, seed).astype(np.float64) - 127.5
            again[kind] = float((field[:, :-16] * field[:, 16:]).mean() / np.square(field).mean())
        assert again["grid"] > 0.6
        assert abs(again["noise"]) < 0.1


def test_colour_is_of_the_paper_or_the_ink_or_both() -> None:
    painted = set()
    for seed in range(30):
        picture = damaged("colour", 1.0, seed)
        ink = sound(seed).mean(2) < 60
        painted.add((np.ptp(np.median(picture, (0, 1))) > 40, np.ptp(np.median(picture[ink], 0)) > 40))
    assert painted == {(True, False), (False, True), (True, True)}


def test_shuffled_patches_are_all_still_there() -> None:
    for seed in range(4):
        ours, theirs = (np.sort(picture, axis=None) for picture in (damaged("patch_shuffle", 1.0, seed), sound(seed)))
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("severity", "count"), [(0.01, 1), (0.25, 2), (0.5, 3), (1.0, 6)])
def test_scribble_replaces_its_share_of_strokes(severity: float, count: int) -> None:
    pairs = list(zip(strokes_of("scribble", severity), curves_of(KANJI), strict=True))
    assert sum(not np.array_equal(*pair) for pair in pairs) == count


@pytest.mark.parametrize(("severity", "count"), [(0.25, 1), (0.5, 2), (1.0, 3)])
def test_overlay_adds_whole_characters(severity: float, count: int) -> None:
    found = strokes_of("overlay", severity)
    sizes = [len(curves_of(other)) for other in OTHERS]
    order = np.random.default_rng(0).permutation(3)[:count]
    assert len(found) == 6 + sum(sizes[index] for index in order)


def test_overlay_never_lays_a_character_over_itself() -> None:
    with pytest.raises(UsageError, match="overlay needs 3 other characters, not 2"):
        draw("overlay", 1.0, KANJI, [KANJI, *OTHERS[1:]], np.random.default_rng(0))


def test_other_kinds_need_no_others() -> None:
    for kind in KINDS.keys() - {"overlay"}:
        draw(kind, 0.5, KANJI, [], np.random.default_rng(0), 64)


def test_warp_bends_smoothly_by_its_amount() -> None:
    before = np.concatenate(curves_of(KANJI))
    moved = [np.concatenate(strokes_of("warp", 1.0, seed=seed)) - before for seed in range(200)]
    assert float(np.sqrt(np.mean(np.square(moved)))) == pytest.approx(damage_strokes.WARP, rel=0.1)
    half = np.concatenate(strokes_of("warp", 0.5, seed=0)) - before
    assert half == pytest.approx(moved[0] / 2)


def test_jitter_moves_strokes_whole_and_keeps_them_on_the_sheet() -> None:
    for seed in range(20):
        for ours, theirs in zip(strokes_of("jitter", 1.0, seed=seed), curves_of(KANJI), strict=True):
            assert along(ours)[1][-1] == pytest.approx(along(theirs)[1][-1])
            assert not np.array_equal(ours, theirs)
            assert ours.min() >= damage_strokes.BORDER - 1e-9
            assert ours.max() <= SIDE - damage_strokes.BORDER + 1e-9


@pytest.mark.parametrize(("group", "left"), [(REST, (5, 4, 1)), (TWO, (1, 1, 1)), (LADDER, (4, 3, 1))])
def test_missing_takes_its_share_of_strokes_but_never_all(group: Group, left: tuple[int, int, int]) -> None:
    for seed in range(5):
        drawn = glyph("休", group)
        found = [strokes_of("missing", severity, drawn, seed) for severity in SEVERITIES]
        assert tuple(map(len, found)) == left
        whole = [stroke.tolist() for stroke in curves_of(drawn)]
        assert all(stroke.tolist() in whole for stroke in found[0])


def test_missing_takes_part_of_an_only_stroke() -> None:
    drawn = glyph("一", ONE)
    length = along(curves_of(drawn)[0])[1][-1]
    for severity in SEVERITIES:
        (left,) = strokes_of("missing", severity, drawn)
        assert along(left)[1][-1] == pytest.approx(length * (1 - 0.8 * severity))


def test_broken_strokes_have_gaps_of_their_share() -> None:
    whole = sum(along(stroke)[1][-1] for stroke in curves_of(KANJI))
    for severity in SEVERITIES:
        shares = [
            sum(along(piece)[1][-1] for piece in strokes_of("broken", severity, seed=seed)) / whole
            for seed in range(20)
        ]
        expected = 1 - (3 + damage_strokes.GAP * severity) / damage_strokes.GAP_EVERY
        assert float(np.mean(shares)) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("group", "counts"), [(REST, (2, 3, 6)), (ONE, (1, 2, 4))])
def test_extra_adds_its_share_of_strokes_on_the_sheet(group: Group, counts: tuple[int, int, int]) -> None:
    drawn = glyph("休", group)
    before = len(drawn.strokes)
    for severity, count in zip(SEVERITIES, counts, strict=True):
        added = strokes_of("extra", severity, drawn)[before:]
        assert len(added) == count
        assert all(stroke.min() >= damage_strokes.BORDER - 1e-9 for stroke in added)
        assert all(stroke.max() <= SIDE - damage_strokes.BORDER + 1e-9 for stroke in added)


def test_scale_shrinks_the_whole_and_leaves_it_on_the_sheet() -> None:
    before = np.concatenate(curves_of(KANJI))
    for seed in range(10):
        for severity in SEVERITIES:
            after = np.concatenate(strokes_of("scale", severity, seed=seed))
            size = np.ptp(after, axis=(0, 1)) / np.ptp(before, axis=(0, 1))
            assert size == pytest.approx(1 - 0.75 * severity)
            assert after.min() >= 0
            assert after.max() <= SIDE


def test_thick_strokes_cover_more() -> None:
    inks = [float((damaged("thick", severity).mean(2) < 128).mean()) for severity in SEVERITIES]
    plain = float((sound().mean(2) < 128).mean())
    assert [round(ink / plain, 1) for ink in inks] == pytest.approx([1.5, 2, 3], rel=0.15)


def test_a_stroke_that_is_no_curve_is_refused() -> None:
    bad = glyph("丁", Group("丁", ("M20,20L80,20",)))
    with pytest.raises(InputError, match="is not made of cubic curves"):
        draw_sound(bad, np.random.default_rng(0))
    with pytest.raises(InputError, match="is not made of cubic curves"):
        draw("noise", 0.5, bad, [], np.random.default_rng(0))
