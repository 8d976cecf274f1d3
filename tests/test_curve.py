import pytest

from kanjiprep.training import curve
from kanjiprep.training.curve import Scheduler
from kanjiprep.training.run_spec import Machine, Optimizer, RunSpec, Schedule


def spec(shape: str, **changes: object) -> RunSpec:
    return RunSpec(optimizer=Optimizer(learning_rate=1e-3), schedule=Schedule(shape, **changes))  # type: ignore[arg-type]


def scheduler(name: str, total: int = 10, warmup: int = 0, end: float = 4e-7) -> Scheduler:
    return Scheduler(name, total, warmup, 1e-3, end)


def test_a_cosine_falls_once_from_peak_to_end() -> None:
    rates = curve.rates(curve.scheduler_of(spec("cosine"), 100))
    assert (rates[0], rates[-1], len(rates)) == (1e-3, 1e-6, 101)
    assert rates == sorted(rates, reverse=True)
    assert curve.returns(curve.scheduler_of(spec("cosine"), 100)) == ()


def test_a_cosine_with_a_warmup_becomes_the_nearest_that_the_trainer_can_do() -> None:
    near = curve.scheduler_of(spec("cosine", warmup_steps=20), 120)
    assert (near.name, near.power) == ("polynomial", 1.0)
    rates = curve.rates(near)
    assert (rates[0], rates[20]) == (0.0, 1e-3)
    assert rates[-1] == pytest.approx(1e-6)
    true = curve.rates(Scheduler("cosine", 100, 100, 1e-3, 1e-6))
    assert max(abs(a - b) for a, b in zip(rates[20:], true, strict=True)) < 0.11 * 1e-3


def test_the_periodic_cosine_comes_back_to_its_peak() -> None:
    users = curve.scheduler_of(spec("periodic-cosine", half_period_steps=3600), 32_070)
    assert (users.name, users.warmup_steps) == ("cosine", 3600)
    rates = curve.rates(users)
    assert curve.returns(users) == (7200, 14_400, 21_600, 28_800)
    assert all(rates[step] == 1e-3 for step in curve.returns(users))
    assert rates[3600] == pytest.approx(1e-6)


def test_a_cosine_without_warmup_has_a_half_period_of_a_thousand() -> None:
    rates = curve.rates(scheduler("cosine", 2500))
    assert (rates[1000], rates[2000]) == (4e-7, 1e-3)
    assert curve.returns(scheduler("cosine", 2500)) == (2000,)


def test_a_sine_starts_at_the_middle() -> None:
    rates = curve.rates(scheduler("sine", 25, 10))
    assert rates[0] == pytest.approx(5.002e-4)
    assert curve.returns(scheduler("sine", 25, 10)) == (5, 25)
    assert rates[5] == rates[25] == 1e-3


def test_the_others_climb_fall_or_stay() -> None:
    assert curve.rates(scheduler("constant", 3)) == [1e-3] * 4
    assert curve.rates(scheduler("constant", 4, 2)) == [0.0, 5e-4, 1e-3, 1e-3, 1e-3]
    assert curve.rates(scheduler("constant_with_warmup", 4, 2)) == [0.0, 5e-4, 1e-3, 1e-3, 1e-3]
    assert curve.rates(scheduler("linear", 4, 2)) == [0.0, 5e-4, 1e-3, 5e-4, 0.0]
    assert curve.rates(scheduler("cosine_with_restarts", 3, 2)) == [1e-3] * 4
    assert curve.rates(scheduler("polynomial", 4, 2, 2e-4)) == pytest.approx([0.0, 5e-4, 1e-3, 6e-4, 2e-4])


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (scheduler("cosien"), "'cosien' is none of linear, sine"),
        (scheduler("sine"), "sine needs lr_warmup_steps above 0"),
        (scheduler("cosine_with_restarts"), "cosine_with_restarts needs lr_warmup_steps above 0"),
        (scheduler("polynomial", end=1e-3), "lr_end 0.001 must be below learning_rate 0.001"),
    ],
)
def test_what_the_trainer_refuses_is_refused(bad: Scheduler, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        curve.rates(bad)


def test_more_gpus_change_nothing_but_a_cosine_without_warmup() -> None:
    for name in ("cosine", "polynomial", "linear", "constant_with_warmup"):
        alone, together = (curve.rates(Scheduler(name, 50, 20, 1e-3, 4e-7, 1.0, gpus)) for gpus in (1, 4))
        assert together == pytest.approx(alone, rel=1e-4)
    assert curve.returns(Scheduler("cosine", 600, 0, 1e-3, 4e-7, 1.0, 4)) == (500,)


def test_shapes_become_the_trainers_names() -> None:
    names = [
        curve.scheduler_of(spec(shape, warmup_steps=warmup), 100).name
        for shape, warmup in (("constant", 0), ("constant", 5), ("linear", 5), ("polynomial", 5))
    ]
    assert names == ["constant", "constant_with_warmup", "linear", "polynomial"]
    two = curve.scheduler_of(RunSpec(schedule=Schedule("polynomial", power=2.0), machine=Machine(gpus=2)), 100)
    assert (two.power, two.gpus) == (2.0, 2)
