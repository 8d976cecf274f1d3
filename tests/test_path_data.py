import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kanjiprep.dataset import path_data
from kanjiprep.dataset.path_data import PathError


def points(path: str) -> list[tuple[str, float, float]]:
    return [(kind, x3, y3) for kind, *_, x3, y3 in path_data.segments(path) or []]


def test_compact_and_spaced_forms_are_the_same() -> None:
    compact = path_data.segments("M10,20c1,2-3,4,5.5.5S1,2,3,4")
    assert compact == path_data.segments(" M 10 20 c 1 2 -3 4 5.5 .5 S 1 2 3 4 ")
    assert compact is not None
    assert compact[1] == ("c", 1, 2, -3, 4, 5.5, 0.5)


def test_a_first_lower_case_move_is_absolute() -> None:
    assert points("m10,20c0,0,0,0,1,1") == [("M", 10, 20), ("c", 1, 1)]


def test_a_later_lower_case_move_is_relative() -> None:
    assert points("M10,20c0,0,0,0,1,1m2,3")[-1] == ("M", 13, 24)


def test_a_smooth_curve_mirrors_the_control_point_before_it() -> None:
    (_, _, relative) = path_data.segments("M10,10c0,0,2,3,4,4s1,1,2,2") or []
    assert relative[1:3] == (2, 1)
    (_, _, absolute) = path_data.segments("M10,10C10,10,12,13,14,14S1,1,2,2") or []
    assert absolute[1:3] == (16, 15)


def test_a_smooth_curve_after_a_move_begins_at_the_pen() -> None:
    assert (path_data.segments("M10,10s1,1,2,2") or [])[1][1:3] == (0, 0)
    assert (path_data.segments("M10,10S1,1,2,2") or [])[1][1:3] == (10, 10)


def test_a_command_may_repeat_without_its_letter() -> None:
    assert points("M0,0c1,1,1,1,1,1,2,2,2,2,2,2") == [("M", 0, 0), ("c", 1, 1), ("c", 2, 2)]


@pytest.mark.parametrize(
    "path",
    [
        "M1,1L2,2",
        "M1,1 2,2",
        "M0,0A5,5,0,01,10,10",
        "M0,0a5 5 0 1 1 10 10 5 5 0 0 0 1 1",
        "M0,0h5v5H1V1q1,1,2,2t3,3z",
        "M1e1,0",
    ],
)
def test_other_right_commands_are_left_to_cairosvg(path: str) -> None:
    assert path_data.segments(path) is None


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("", "must begin with M or m: ''"),
        ("c1,1,1,1,1,1", "must begin with M or m"),
        ("?M1,1", "must begin with M or m"),
        ("M1", "M takes 2 numbers or a multiple, not 1"),
        ("M", "M takes 2 numbers or a multiple, not 0"),
        ("M1,1c1,2,3", "c takes 6 numbers or a multiple, not 3"),
        ("M1,1cx", "not a number after c: 'x'"),
        ("M1,,1", "not a number after M: ',,1'"),
        ("M,1,1", "not a number after M: ',1,1'"),
        ("M1,1,", "not a number after M: ','"),
        ("M1,1c1,2,3,4,5,NaN", "not a number after c: ',N'"),
        ("M1,1z5", "z takes no numbers, not 1"),
        ("M1,1A5,5,0,2,1,10,10", "not a number after A: ',2,1,10,10'"),
        ("M1e9,0", "a number after M is out of range"),
        ("M123456,0", "a number after M is out of range"),
        ("M1,1c1,2,3,4,5,6e", "not a number after c: 'e'"),
    ],
)
def test_broken_paths_say_how(path: str, says: str) -> None:
    with pytest.raises(PathError) as caught:
        path_data.segments(path)
    assert says in str(caught.value)


PIECES = [
    "M1,2",
    "m.5.5",
    "c",
    "c1,2,3,4,5,6",
    "s1 2 3 4",
    "S",
    "12",
    "3.5",
    ".5",
    "-1",
    "1.",
    " ",
    ",",
    "L1,1",
    "x",
    "e5",
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text("MmCcSsLzA0123456789.,-+ e\n", max_size=60)
)
@example("M1,1c2")
@example("M12")
@example("M1.55")
def test_any_text_is_drawn_left_or_refused_and_both_readings_agree(path: str) -> None:
    try:
        drawn = path_data.segments(path)
    except PathError:
        return
    path_data.check(path)
    assert drawn is None or all(abs(value) < 1e7 for _, *values in drawn for value in values)
