from __future__ import annotations

from kanjiprep.training.provenance import Figure, exact, scale, total, within


def test_a_figure_says_value_band_and_origin() -> None:
    figure = within(18.3, 0.1, "GiB", "estimated", "a formula")
    assert str(figure) == "18.3 GiB (16.5 to 20.1), estimated: a formula"
    assert str(exact(0.0, "GiB", "computed", "nothing")) == "0 GiB, computed: nothing"
    assert str(exact(1234567, "bytes", "computed", "x")) == "1,230,000 bytes, computed: x"


def test_a_sum_is_no_surer_than_its_least_sure_part() -> None:
    parts = (exact(2.0, "h", "computed", "a"), Figure(1.0, 0.5, 3.0, "h", "published", "b"))
    assert total(parts, "h", "both") == Figure(3.0, 2.5, 5.0, "h", "published", "both")


def test_a_part_that_is_nothing_does_not_make_a_sum_less_sure() -> None:
    parts = (exact(2.0, "h", "computed", "a"), exact(0.0, "h", "estimated", "b"))
    assert total(parts, "h", "both").how == "computed"
    assert total((), "h", "none") == exact(0.0, "h", "computed", "none")


def test_a_scaled_figure_keeps_its_origin() -> None:
    figure = Figure(2.0, 1.0, 3.0, "s", "measured", "a clock")
    assert scale(figure, 2, "h") == Figure(4.0, 2.0, 6.0, "h", "measured", "a clock")
    assert scale(figure, 2, "h", "twice").source == "twice"
