import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pytest

from kanjiprep.spec import SpecError, did_you_mean, from_table


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


def test_a_spec_error_survives_pickling() -> None:
    error = SpecError("f", ("a", "b"))
    assert pickle.loads(pickle.dumps(error)).problems == ("a", "b")  # noqa: S301


def test_only_near_words_are_suggested() -> None:
    assert did_you_mean("biuld", ("build", "check")) == ", did you mean 'build'?"
    assert did_you_mean("xyz", ("build", "check")) == ""
