import numpy as np
import pytest

from kanjiprep.evaluation import measures

TRUTH = np.array([[True, False, False], [True, True, False], [False, True, False]])


def test_a_perfect_judge_has_perfect_figures() -> None:
    sure = TRUTH * 0.8 + 0.1
    assert measures.average_precision(sure, TRUTH) == measures.recall(sure, TRUTH) == 1
    assert measures.precision(sure, TRUTH) == 1


def test_average_precision_is_the_mean_precision_at_each_hit() -> None:
    chances = np.array([[0.9], [0.8], [0.7], [0.6]])
    truth = np.array([[True], [False], [True], [False]])
    assert measures.average_precision(chances, truth) == pytest.approx((1 + 2 / 3) / 2)


def test_recall_and_precision_count_what_is_above_half() -> None:
    chances = np.array([[0.6, 0.6, 0.1], [0.5, 0.9, 0.1], [0.1, 0.2, 0.1]])
    assert measures.recall(chances, TRUTH) == pytest.approx(2 / 4)
    assert measures.precision(chances, TRUTH) == pytest.approx(2 / 3)


def test_without_components_the_figures_are_nothing() -> None:
    none = np.zeros((2, 2), bool)
    chances = np.zeros((2, 2))
    assert measures.average_precision(chances, none) == measures.recall(chances, none) == 0
    assert measures.precision(chances, none) == 0


def test_auc_is_the_chance_of_the_right_order() -> None:
    assert measures.auc(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1
    assert measures.auc(np.array([1.0, 3.0]), np.array([2.0, 3.0])) == pytest.approx(2.5 / 4)
    assert measures.auc(np.array([]), np.array([1.0])) == 0.5


@pytest.mark.parametrize(
    ("one", "other", "rank"),
    [
        ([1, 2, 3], [10, 20, 90], 1.0),
        ([1, 2, 3], [9, 5, 1], -1.0),
        ([1, 1, 2, 2], [1, 2, 3, 4], 0.8944),
        ([1, 2, 3, 4], [2, 1, 4, 3], 0.6),
        ([1, 1, 1], [1, 2, 3], 0.0),
        ([], [], 0.0),
    ],
)
def test_rank_correlation_is_spearmans(one: list[float], other: list[float], rank: float) -> None:
    assert measures.rank_correlation(np.array(one), np.array(other)) == pytest.approx(rank, abs=1e-4)


def test_a_logistic_curve_finds_slope_and_middle_of_the_one_that_was_drawn_from() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(0.5, 1, 20_000)
    labels = rng.random(20_000) < 1 / (1 + np.exp(20 * (values - 0.8)))
    slope, middle = measures.logistic(values, labels)
    assert slope == pytest.approx(-20, rel=0.05)
    assert middle == pytest.approx(0.8, abs=0.01)


def test_a_logistic_curve_is_finite_where_the_labels_are_parted_wholly() -> None:
    slope, middle = measures.logistic(np.array([0.8, 0.9, 0.3, 0.4]), np.array([False, False, True, True]))
    assert -1000 < slope < -10
    assert 0.4 < middle < 0.8


@pytest.mark.parametrize("labels", [[True, True], [False, False], []])
def test_a_logistic_curve_of_one_label_is_flat(labels: list[bool]) -> None:
    assert measures.logistic(np.ones(len(labels)), np.array(labels, bool)) == (0.0, 0.0)


def test_a_logistic_curve_of_equal_values_says_half() -> None:
    slope, middle = measures.logistic(np.array([0.5, 0.5]), np.array([True, False]))
    assert 1 / (1 + np.exp(-slope * (0.5 - middle))) == pytest.approx(0.5)
