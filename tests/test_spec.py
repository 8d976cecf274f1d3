import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from kanjiprep.spec import Bounds, SpecError, did_you_mean, from_table, read


@dataclass(frozen=True)
class Inner:
    rank: int
    ratio: float = 1.0


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    mode: Literal["warm", "cold"] = "warm"
    flags: tuple[bool, ...] = ()
    extra: Mapping[str, Inner] | None = None


def test_a_problem_is_one_line_whatever_its_key_holds() -> None:
    with pytest.raises(SpecError) as caught:
        from_table(Inner, {"rank": 1, "a\nb\x1b[31m": 2}, "f")
    assert caught.value.problems == (r"a b\x1b[31m is not a key here",)


def test_a_table_becomes_a_tree_of_dataclasses() -> None:
    table = {"name": "a", "inner": {"rank": 4, "ratio": 2}, "flags": [True], "extra": {"x": {"rank": 1}}}
    assert from_table(Outer, table, "f") == Outer("a", Inner(4, 2.0), "warm", (True,), {"x": Inner(1)})


def test_none_is_accepted_where_it_is_allowed() -> None:
    assert from_table(Outer, {"name": "a", "inner": {"rank": 1}, "extra": None}, "f").extra is None


def test_all_problems_are_named_at_once_with_their_paths() -> None:
    table = {"nmae": "a", "inner": {"rank": True, "ratio": "x"}, "mode": "hot", "flags": 3, "extra": 5}
    with pytest.raises(SpecError) as caught:
        from_table(Outer, table, "run.toml")
    assert caught.value.problems == (
        "nmae is not a key here, did you mean 'name'?",
        "inner.rank must be a whole number, not True",
        "inner.ratio must be a number, not 'x'",
        "mode must be one of 'warm', 'cold', not 'hot'",
        "flags must be a list, not 3",
        "extra must be a table, not 5",
        "name is missing",
    )
    assert str(caught.value).startswith("run.toml: nmae")


def test_a_document_that_is_no_table_is_refused() -> None:
    with pytest.raises(SpecError, match="the document must be a table"):
        from_table(Inner, [1], "f")


@dataclass(frozen=True)
class Bounded:
    share: Annotated[float, Bounds(least=0, most=1)] = 0.5
    batch: Annotated[int, Bounds(above=0)] = 1
    inner: Inner | None = None


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"share": 1.5}, "share must be at least 0 and at most 1, not 1.5"),
        ({"share": float("nan")}, "share must be at least 0 and at most 1, not nan"),
        ({"batch": 0}, "batch must be above 0, not 0"),
        ({"batch": "6"}, "batch must be a whole number, not '6'"),
        ({"batch": -(10**400)}, f"batch must be above 0, not -1{'0' * 58}"),
        ({"share": 10**400}, f"share must be a smaller number, not 1{'0' * 59}"),
    ],
)
def test_numbers_stay_within_their_bounds(table: dict[str, object], says: str) -> None:
    assert read(Bounded, table) == (Bounded(), (says,))


def test_a_mistyped_choice_is_guessed() -> None:
    _, problems = read(Outer, {"name": "a", "inner": {"rank": 1}, "mode": "wram"})
    assert problems == ("mode must be one of 'warm', 'cold', not 'wram', did you mean 'warm'?",)


def test_what_is_right_is_read_beside_what_is_wrong() -> None:
    value, problems = read(Bounded, {"batch": -3, "share": 0.25, "inner": {"rank": 2, "ratoi": 1}})
    assert value == Bounded(0.25, 1, Inner(2))
    assert problems == (
        "batch must be above 0, not -3",
        "inner.ratoi is not a key here, did you mean 'ratio'?",
    )
    assert read(Bounded, {"inner": {}}) == (Bounded(), ("inner.rank is missing",))


def test_a_spec_error_survives_pickling() -> None:
    error = SpecError("f", ("a", "b"))
    assert pickle.loads(pickle.dumps(error)).problems == ("a", "b")  # noqa: S301


def test_only_near_words_are_suggested() -> None:
    assert did_you_mean("biuld", ("build", "check")) == ", did you mean 'build'?"
    assert did_you_mean("xyz", ("build", "check")) == ""
