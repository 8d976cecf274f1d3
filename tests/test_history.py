from __future__ import annotations

import math

import numpy as np
import pytest

from kanjiprep.evaluation import history
from kanjiprep.evaluation.judged import Cost
from kanjiprep.training.running.events import Step
from kanjiprep.training.running.phases import Phase
from tests.test_attempts import order
from tests.test_events import attempt, step
from tests.test_run_state import state_of

CALM = 0.02


def series(count: int = 1500, bursts: tuple[range, ...] = (), factor: float = 30.0) -> list[Step]:
    """Steps with a calm gradient but for ``bursts``, at a rate that falls from 1e-3 to nothing."""
    random = np.random.default_rng(0)
    norms = CALM * random.lognormal(0, 0.2, count)
    for burst in bursts:
        norms[burst.start - 1 : burst.stop - 1] *= factor
    rates = 1e-3 * (1 - np.arange(count) / count)
    return [step(n + 1, gradient=float(norms[n]), learning_rate=float(rates[n])) for n in range(count)]


def test_a_calm_run_has_no_explosions() -> None:
    assert history.phases(series()) == ()
    assert history.phases([]) == ()


def test_an_explosion_is_told_with_its_steps_and_the_rate_that_it_came_with() -> None:
    (phase,) = history.phases(series(bursts=(range(600, 700),)))
    assert abs(phase.start - 600) < 5
    assert phase.end is not None
    assert abs(phase.end - 699) < 5
    assert phase.text.startswith("the gradient is up to ")
    assert f"from step {phase.start:,} to {phase.end:,}, at a learning rate of 0.000" in phase.text
    assert phase.text.endswith("% of the run's highest")


def test_one_that_lasts_to_the_end_is_open() -> None:
    (phase,) = history.phases(series(bursts=(range(1400, 1501),)))
    assert phase.end is None
    assert "to the end" in phase.text


def test_a_gradient_that_is_not_finite_is_told_so() -> None:
    steps = series()
    steps[700:760] = [step(one.step, gradient=None, learning_rate=None) for one in steps[700:760]]
    (phase,) = history.phases(steps)
    assert phase.text == f"the gradient is not finite from step {phase.start:,} to {phase.end:,}"


def test_where_no_gradient_is_told_the_loss_is_looked_at() -> None:
    steps = [step(one.step, loss=one.gradient, gradient=None) for one in series(bursts=(range(600, 700),))]
    (phase,) = history.phases(steps)
    assert phase.text.startswith("the loss is up to ")


def test_a_rate_of_zero_is_told_without_a_share() -> None:
    steps = [step(one.step, gradient=one.gradient, learning_rate=0.0) for one in series(bursts=(range(600, 700),))]
    (phase,) = history.phases(steps)
    assert phase.text.endswith("at a learning rate of 0")


@pytest.mark.parametrize(
    ("at", "says"),
    [
        (99, None),
        (100, "within an explosion: it exploded"),
        (150, "within an explosion: it exploded"),
        (151, "1 step after an explosion: it exploded"),
        (350, "200 steps after an explosion: it exploded"),
        (351, None),
    ],
)
def test_checkpoints_in_an_explosion_and_soon_after_are_flagged(at: int, says: str | None) -> None:
    found = history.flags(at, [Phase(100, 150, "it exploded")])
    assert [(one.about, one.text) for one in found] == ([("gradient", says)] if says else [])


def test_every_checkpoint_after_the_start_of_an_open_explosion_is_flagged() -> None:
    assert history.flags(10_000, [Phase(100, None, "it exploded")])[0].text == "within an explosion: it exploded"


def test_curves_keep_the_highest_gradient_of_many_steps() -> None:
    steps = series(5000)
    steps[1234] = step(1235, gradient=99.0)
    steps[3000] = step(3001, gradient=None, loss=None)
    found = history.curves(steps)
    assert len(found.steps) == len(found.loss) == len(found.gradient) == len(found.rate) <= 1200
    assert found.gradient[found.steps.index(1235)] == 99.0
    assert found.loss[found.steps.index(3001)] is None
    assert list(found.steps) == sorted(found.steps)


def test_curves_keep_a_gradient_that_is_not_finite_however_low_the_losses() -> None:
    steps = [step(number, loss=0.01, gradient=0.5) for number in range(1, 5001)]
    steps[1234] = step(1235, loss=0.01, gradient=None)
    found = history.curves(steps)
    assert found.gradient[found.steps.index(1235)] is None


def test_curves_keep_the_highest_loss_where_no_gradient_is_told() -> None:
    steps = [step(number, loss=0.01, gradient=None) for number in range(1, 5001)]
    steps[1234] = step(1235, loss=0.9, gradient=None)
    assert history.curves(steps).loss[history.curves(steps).steps.index(1235)] == 0.9


def test_a_checkpoint_is_flagged_by_every_explosion_that_it_is_near() -> None:
    found = history.flags(160, [Phase(100, 150, "first"), Phase(155, None, "second"), Phase(161, 170, "third")])
    assert [one.text for one in found] == [
        "10 steps after an explosion: first",
        "within an explosion: second",
    ]


def test_curves_of_few_steps_are_all_of_them() -> None:
    assert history.curves(series(7)).steps == tuple(range(1, 8))
    assert history.curves(series(1)).steps == (1,)
    assert history.curves([]).steps == ()


def test_cost_is_time_and_money() -> None:
    state = state_of((0, attempt()), *((10 * n, step(n)) for n in range(1, 361)))
    cost = history.cost(state, order(usd_per_hour=2.0, price_source="Lambda's table"))
    assert cost == Cost(1.0, 2.0, "Lambda's table", 2.0)
    assert history.cost(state, order()).usd is None
    assert math.isclose(history.cost(state, order()).hours, 1.0)
