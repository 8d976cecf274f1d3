"""Which pictures a sample has."""

from __future__ import annotations

import pytest

from kanjiprep.training import pictures, sample
from kanjiprep.training.pictures import Picture

WHOLE = tuple(Picture(f"{index:04d}_kanji.png", f"kanji {index:04d}", 64, 64) for index in range(200))


def with_captions(captions: dict[int, str]) -> tuple[Picture, ...]:
    return tuple(
        Picture(one.file_name, captions.get(index, one.caption), one.width_px, one.height_px)
        for index, one in enumerate(WHOLE)
    )


def indices(chosen: tuple[Picture, ...]) -> list[int]:
    return [int(one.file_name[:4]) for one in chosen]


def test_where_nothing_is_telling_it_is_the_first_and_the_last_of_the_shortest() -> None:
    chosen = indices(sample.sample(WHOLE, 256, 6, 24))
    assert chosen == [*range(23), 199]
    assert len(chosen) == 24


def test_it_is_the_same_again_and_in_the_order_of_the_dataset() -> None:
    whole = with_captions({150: "x" * 500, 40: "a, b", 190: "y" * 400})
    chosen = sample.sample(whole, 256, 6, 24)
    assert chosen == sample.sample(whole, 256, 6, 24)
    assert indices(chosen) == sorted(indices(chosen))
    assert set(chosen) <= set(whole)


def test_the_longest_captions_and_the_shortest_are_in_it() -> None:
    whole = with_captions({50 + index: "x" * (100 + index) for index in range(10)} | {120: "x"})
    assert {56, 57, 58, 59, 120} <= set(indices(sample.sample(whole, 256, 6, 24)))


@pytest.mark.parametrize(
    "odd", ['a "b"', "a's", "a, b", "a\\b", "{a}", "a\nb", "a\tb", "a\x00b", "𠮟 scold", "e\u0301"]
)
def test_the_first_caption_with_an_odd_character_is_in_it(odd: str) -> None:
    caption = odd.ljust(len(WHOLE[0].caption), "x")
    chosen = indices(sample.sample(with_captions({150: caption, 151: caption}), 256, 6, 24))
    assert 150 in chosen
    assert 151 not in chosen


def test_a_file_name_with_an_odd_character_is_in_it() -> None:
    odd = Picture("0100 'a'.png", "kanji 0100", 64, 64)
    assert odd in sample.sample((*WHOLE[:100], odd, *WHOLE[101:]), 256, 6, 24)


def test_every_shape_fills_a_step_and_those_that_cannot_are_left_out() -> None:
    wide = tuple(Picture(f"{1000 + index}_wide.png", "wide", 128, 64) for index in range(20))
    few = tuple(Picture(f"{2000 + index}_tall.png", "t, " * 100, 64, 128) for index in range(11))
    chosen = sample.sample((*WHOLE, *few, *wide), 256, 12, 24)
    counted = pictures.buckets(chosen, 256)
    assert counted["1.0"] >= 12
    assert counted[pictures.bucket(128, 64, 256)] == 12
    assert not set(chosen) & set(few)
    assert indices(chosen) == sorted(indices(chosen))


def test_a_small_dataset_is_taken_whole_and_a_smaller_one_not_at_all() -> None:
    assert sample.sample(WHOLE[:20], 256, 12, 24) == WHOLE[:20]
    assert sample.sample(WHOLE[:11], 256, 12, 24) == ()
