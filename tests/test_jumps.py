from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.evaluation.weights.jumps import Sign, Thresholds, signs

STEPS = tuple(range(400, 8001, 400))
MODULES = 8
PLACE = 12


def grown(power: float = 1.0, steps: Any = STEPS, seed: int = 0) -> Any:
    """Norms that follow a power of the step, each module with a little of its own."""
    random = np.random.default_rng(seed)
    own = random.uniform(0.9, 1.1, MODULES)
    return (np.array(steps, float)[:, None] / 400) ** (power * own) * random.uniform(0.5, 2, MODULES)


def kinds(norms: Any, steps: Any = STEPS) -> list[str]:
    return [sign.kind for sign in signs(steps, norms)]


def flagged(norms: Any, steps: Any = STEPS) -> list[int]:
    return [index for index, kind in enumerate(kinds(norms, steps)) if kind != "sound"]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_growth_from_nothing_is_sound(power: float) -> None:
    assert flagged(grown(power)) == []


def test_the_steepest_warm_up_is_sound() -> None:
    assert flagged(grown(2.7)) == []


def test_a_norm_that_begins_at_zero_has_not_jumped() -> None:
    norms = grown()
    norms[:3] = 0
    found = signs(STEPS, norms)
    assert {sign.kind for sign in found} == {"sound"}
    assert found[3].growth == 1


def test_a_run_that_counts_from_step_0_is_sound() -> None:
    steps = (0, *STEPS)
    assert flagged(np.vstack([np.zeros(MODULES), grown()]), steps) == []


def test_weights_that_saturate_and_shrink_are_sound() -> None:
    norms = grown()
    norms[10:] = norms[10] * np.linspace(1, 0.5, len(STEPS) - 10)[:, None]
    assert flagged(norms) == []


@pytest.mark.parametrize("hit", [1, 3, MODULES])
@pytest.mark.parametrize("factor", [1.6, 4, 30])
def test_a_jump_that_stays_flags_its_own_checkpoint(factor: float, hit: int) -> None:
    norms = grown()
    norms[PLACE:, :hit] *= factor
    found = signs(STEPS, norms)
    assert [index for index, sign in enumerate(found) if sign.kind != "sound"] == [PLACE]
    sign = found[PLACE]
    assert (sign.kind, sign.modules, sign.since) == ("jump", hit, PLACE - 1)
    assert sign.module is not None
    assert sign.module < hit
    assert sign.growth == pytest.approx(factor * (13 / 12), rel=0.02)


def test_a_jump_that_goes_flags_all_before_its_return() -> None:
    norms = grown()
    norms[PLACE : PLACE + 4, :3] *= 5
    assert kinds(norms)[PLACE : PLACE + 5] == ["jump", "not back", "not back", "not back", "sound"]
    assert signs(STEPS, norms)[PLACE + 2].since == PLACE
    assert flagged(norms) == [*range(PLACE, PLACE + 4)]


def test_a_jump_that_fades_flags_until_it_is_half_back() -> None:
    norms = grown(0)
    norms[PLACE:, :3] *= (16 * 0.5 ** np.arange(len(STEPS) - PLACE))[:, None].clip(1)
    assert flagged(norms) == [PLACE, PLACE + 1, PLACE + 2]


def test_a_second_jump_within_the_first_is_named_as_one() -> None:
    norms = grown(0)
    norms[PLACE : PLACE + 4, :3] *= 3
    norms[PLACE + 2 : PLACE + 4, :3] *= 3
    assert kinds(norms)[PLACE : PLACE + 5] == ["jump", "not back", "jump", "not back", "sound"]


def test_a_whole_return_of_most_modules_is_no_jump_of_the_others() -> None:
    norms = grown(0)
    norms[: PLACE + 1, 1:] *= 10
    assert flagged(norms) == []


def test_what_the_first_steps_hide_shows_among_modules() -> None:
    norms = grown()
    norms[1:, 0] *= 8
    assert flagged(norms) == [1]


def test_modules_that_are_unlike_each_other_are_measured_by_their_own_spread() -> None:
    random = np.random.default_rng(0)
    wild = grown() * np.exp(random.normal(0, 0.12, (len(STEPS), MODULES)))
    assert flagged(wild) == []
    assert any(sign.kind == "jump" for sign in signs(STEPS, wild, Thresholds(spread=0)))


def test_a_norm_that_is_no_number_is_named_and_stepped_over() -> None:
    norms = grown()
    norms[5, 2:4] = np.nan
    found = signs(STEPS, norms)
    assert (found[5].kind, found[5].module, found[5].modules) == ("not finite", 2, 2)
    assert np.isnan(found[5].growth)
    assert (found[6].kind, found[6].since) == ("sound", 4)
    assert flagged(norms) == [5]


def test_a_run_of_nothing_but_nan_is_told_too() -> None:
    assert kinds(np.full((3, 2), np.nan), STEPS[:3]) == ["not finite"] * 3


def test_one_checkpoint_is_compared_with_none() -> None:
    assert signs(STEPS[:1], grown()[:1]) == (Sign("sound"),)
    assert signs((), np.empty((0, 2))) == ()


def test_a_single_module_can_jump() -> None:
    norms = grown()[:, :1]
    norms[PLACE:] *= 2
    assert flagged(norms) == [PLACE]


@given(st.lists(st.lists(st.one_of(st.floats(0, 1e300), st.just(float("nan"))), min_size=3, max_size=3), max_size=6))
def test_any_norms_are_judged(rows: list[list[float]]) -> None:
    found = signs(STEPS[: len(rows)], np.array(rows, float).reshape(-1, 3))
    assert len(found) == len(rows)
    broken = [any(np.isnan(row)) for row in rows]
    assert [sign.kind == "not finite" for sign in found] == broken
