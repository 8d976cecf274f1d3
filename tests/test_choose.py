from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from kanjiprep.evaluation.choose import MARGIN, Candidate, Flag, Verdict, choose
from kanjiprep.evaluation.compare import Comparison, Contestant, Duel, compare

EXPLODED = (Flag("pictures", "3 of 4 pictures exploded"),)
PLATEAU = tuple(min(40.0 + 6.0 * index, 82.0) for index in range(30))


def run(
    quality: Sequence[float], pictures: int = 4, noise: float = 4.0, seed: int = 0, first: int = 0
) -> list[Candidate]:
    """Checkpoints every 400 steps; each picture adds something of its own, the same at each."""
    random = np.random.default_rng(seed)
    effects = np.array([10.0 * (-1) ** index for index in range(pictures)])
    scores = np.array(quality)[:, None] + effects + noise * random.standard_normal((len(quality), pictures))
    return [
        Candidate(400 * (number + 1), {f"sea {first + index}": float(score) for index, score in enumerate(row)})
        for number, row in enumerate(np.clip(scores, 0, 100))
    ]


def exploded(candidates: list[Candidate], *indices: int) -> list[Candidate]:
    return [replace(one, flags=EXPLODED) if index in indices else one for index, one in enumerate(candidates)]


def contestant(name: str, candidates: list[Candidate]) -> Contestant:
    return Contestant(name, candidates, choose(candidates))


def test_of_a_plateau_the_earliest_that_is_good_enough_is_chosen() -> None:
    verdict = choose(run(PLATEAU))
    assert verdict.status == "chosen"
    assert verdict.step is not None
    assert PLATEAU[verdict.step // 400 - 1] >= 82 - MARGIN
    assert verdict.step <= 5200
    assert len(verdict.tied) > 15
    assert min(verdict.tied) > 2000


@pytest.mark.parametrize(
    ("pictures", "noise", "how", "least", "most"),
    [
        (8, 1.5, "the earliest that is good enough", 95, 99),
        (2, 3.0, "the earliest that is most likely good enough", 20, 94),
    ],
)
def test_the_reason_has_the_numbers(pictures: int, noise: float, how: str, least: int, most: int) -> None:
    verdict = choose(run(PLATEAU, pictures, noise, seed=1))
    mine = next(one for one in verdict.ranked if one.step == verdict.step)
    others = [step for step in verdict.tied if step != verdict.step]
    start = (
        f"step {verdict.step:,} scores {mine.smooth:.1f} ({mine.low:.1f} to {mine.high:.1f}); {len(others)} others, "
        f"from step {others[0]:,} to {others[-1]:,}, may be as good; it is {how}: within 2 points of the best with "
    )
    assert verdict.why.startswith(start)
    assert least <= int(verdict.why.removeprefix(start).removesuffix(" %")) <= most


def test_a_peak_far_above_its_neighbours_has_no_other_beside_it() -> None:
    verdict = choose(run([30, 40, 80, 40, 30], pictures=8, noise=1.0))
    assert (verdict.step, verdict.tied) == (1200, (1200,))
    assert verdict.why.endswith("; every other is surely worse")


def test_a_tie_of_two_names_the_other() -> None:
    verdict = choose(run([20, 40, 60, 80, 80], pictures=8, noise=1.0))
    assert verdict.step == 1600
    assert "; 1 other, step 2,000, may be as good; " in verdict.why


@pytest.mark.parametrize("pictures", [1, 2, 4, 8])
def test_of_a_flat_run_nothing_can_be_told(pictures: int) -> None:
    verdict = choose(run([70.0] * 30, pictures))
    assert (verdict.status, verdict.step, len(verdict.tied)) == ("cannot tell", None, 30)
    assert verdict.why.startswith("the 30 sound checkpoints score ")
    assert verdict.why.endswith(" so any of them may be the best; more pictures a checkpoint would tell more")


def test_a_dip_that_no_witness_saw_is_never_chosen_nor_does_it_make_a_flat_run_tell() -> None:
    verdict = choose(run([70.0] * 12 + [20.0] + [70.0] * 12))
    assert (verdict.status, 5200 in verdict.tied, len(verdict.tied)) == ("cannot tell", False, 24)
    assert verdict.why.startswith("the 24 sound checkpoints score ")
    (flag,) = verdict.ranked[12].flags
    assert flag.about == "pictures"
    assert flag.text.endswith(" times the usual spread below those of its neighbours")


def test_a_wide_dip_does_not_make_a_flat_run_tell() -> None:
    verdict = choose(run([70.0] * 14 + [50.0] * 5 + [70.0] * 14, 8, 3.0, seed=2))
    assert (verdict.status, verdict.ranked[16].flags) == ("cannot tell", ())
    assert verdict.why.startswith("28 of the 33 sound checkpoints score ")


@pytest.mark.parametrize("pictures", [1, 2, 4])
def test_a_dip_in_a_plateau_is_not_carried_by_its_neighbours(pictures: int) -> None:
    quality = [*PLATEAU[:12], 15.0, *PLATEAU[13:]]
    assert 5200 not in choose(run(quality, pictures)).tied


def test_a_flagged_checkpoint_is_not_chosen_however_good_it_looks() -> None:
    candidates = exploded(run([*PLATEAU[:20], 99.0, *PLATEAU[21:]], noise=1.0), 20)
    verdict = choose(candidates)
    flagged = verdict.ranked[20]
    assert verdict.step != 8400
    assert (flagged.flags, flagged.is_tied) == (EXPLODED, False)
    assert flagged.score == flagged.smooth == flagged.low == flagged.high
    assert flagged.score == pytest.approx(np.mean(list(candidates[20].scores.values())))


def test_what_lies_behind_an_explosion_does_not_smooth_what_lies_before_it() -> None:
    quality = [80.0] * 10 + [10.0] + [50.0] * 10
    without = choose([one for index, one in enumerate(run(quality, 1, 6.0)) if index != 10]).ranked
    broken = choose(exploded(run(quality, 1, 6.0), 10)).ranked
    assert abs(broken[9].smooth - 90) < abs(without[9].smooth - 90)
    assert abs(broken[11].smooth - 60) < abs(without[10].smooth - 60)


def test_steps_need_not_be_equally_far_apart() -> None:
    close = [replace(one, step=400 + index) for index, one in enumerate(run([60.0, 60.0, 60.0], noise=5.0))]
    far = [replace(one, step=40_000 + one.step) for one in run([90.0] * 6, noise=5.0, seed=1)]
    assert choose(close + far).step in {one.step for one in far}


def test_a_checkpoint_without_its_hard_pictures_is_not_taken_for_better() -> None:
    candidates = run([60.0] * 20, noise=1.0)
    easy = {key: score for key, score in candidates[9].scores.items() if key in {"sea 0", "sea 2"}}
    candidates[9] = replace(candidates[9], scores=easy)
    one = choose(candidates).ranked[9]
    assert one.score > 69
    assert one.smooth == pytest.approx(60, abs=1)


def test_fewer_pictures_make_a_wider_interval() -> None:
    widths = [np.mean([one.high - one.low for one in choose(run(PLATEAU, count)).ranked]) for count in (1, 4, 8)]
    assert widths[0] > widths[1] > widths[2]


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = []
    for seed in range(30):
        for truth, one in zip(PLATEAU, choose(run(PLATEAU, seed=seed)).ranked, strict=True):
            held.append(one.low <= truth <= one.high)
    assert 0.92 <= np.mean(held) <= 0.985


def test_intervals_hold_when_a_picture_stays_alike_from_checkpoint_to_checkpoint() -> None:
    held = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        noise = np.zeros((40, 4))
        for index in range(1, 40):
            noise[index] = 0.7 * noise[index - 1] + 4 * random.standard_normal(4)
        rows = [Candidate(100 + index, {str(k): 60 + row[k] for k in range(4)}) for index, row in enumerate(noise)]
        held += [one.low <= 60 <= one.high for one in choose(rows).ranked]
    assert np.mean(held) >= 0.9


@pytest.mark.parametrize(
    ("candidates", "why"),
    [
        ([], "there is no checkpoint"),
        (exploded(run([50.0, 60.0]), 0, 1), "none of 2 checkpoints is sound and has scores: 2 were dropped"),
        ([Candidate(400, {})], "the only checkpoint has no scores"),
    ],
)
def test_without_a_sound_checkpoint_there_is_none(candidates: list[Candidate], why: str) -> None:
    verdict = choose(candidates)
    assert (verdict.status, verdict.step, verdict.why, verdict.tied) == ("none", None, why, ())
    assert [one.step for one in verdict.ranked] == [one.step for one in candidates]


def test_a_checkpoint_without_scores_has_none_in_the_ranking_and_takes_no_part() -> None:
    verdict = choose([*run(PLATEAU), Candidate(20_000, {})])
    assert math.isnan(verdict.ranked[-1].score)
    assert verdict.ranked[:-1] == choose(run(PLATEAU)).ranked


@pytest.mark.parametrize(
    ("candidates", "says"),
    [
        (run([60.0]), "it is the only checkpoint, so there was nothing to compare it with"),
        (exploded(run([60.0, 70.0, 80.0]), 1, 2), "it is the only sound one of 3 checkpoints, so there was nothing"),
    ],
)
def test_the_only_sound_checkpoint_is_chosen_and_said_to_be_that(candidates: list[Candidate], says: str) -> None:
    verdict = choose(candidates)
    one = verdict.ranked[0]
    assert (verdict.status, verdict.step, verdict.tied) == ("chosen", 400, (400,))
    assert says in verdict.why
    assert 0 < one.low < one.score == one.smooth < one.high < 100


def test_of_a_single_picture_nothing_is_known() -> None:
    one = choose(run([60.0], pictures=1)).ranked[0]
    assert (one.low, one.high) == (0, 100)


@pytest.mark.parametrize(("pictures", "status"), [(1, "cannot tell"), (8, "chosen")])
def test_two_checkpoints_are_told_apart_only_by_enough_pictures(pictures: int, status: str) -> None:
    assert choose(run([50.0, 70.0], pictures)).status == status


@pytest.mark.parametrize("score", [0.0, 55.5, 100.0])
@pytest.mark.parametrize("count", [2, 3, 30])
def test_the_same_score_everywhere_tells_nothing(score: float, count: int) -> None:
    candidates = [Candidate(step, {"sea 0": score, "sea 1": score}) for step in range(count)]
    verdict = choose(candidates)
    assert verdict.status == "cannot tell"
    assert all(one.smooth == pytest.approx(score) for one in verdict.ranked)


def test_the_order_of_checkpoints_and_pictures_does_not_matter_and_the_same_seed_gives_the_same() -> None:
    candidates = exploded(run(PLATEAU), 7, 8)
    turned = [replace(one, scores=dict(reversed(list(one.scores.items())))) for one in reversed(candidates)]
    assert choose(turned, 3) == choose(candidates, 3)
    assert choose(candidates, 4).ranked != choose(candidates, 3).ranked


def test_the_run_with_the_better_checkpoint_is_named_with_the_pictures_shared() -> None:
    low, high = contestant("low", run(PLATEAU)), contestant("high", run([one + 12 for one in PLATEAU], 6, seed=1))
    for runs in ([low, high], [high, low]):
        found = compare(runs)
        assert (found.status, found.run, found.step) == ("chosen", "high", high.verdict.step)
        assert found.why.startswith(f"step {high.verdict.step:,} of high is ")
        assert ", 4 shared pictures) better than that of low" in found.why
        (duel,) = found.duels
        assert duel.low is not None
        assert duel.high is not None
        assert (duel.low > 0) == (duel.first == "high")
        assert (duel.high < 0) == (duel.first == "low")


def test_runs_that_are_alike_cannot_be_told_apart() -> None:
    found = compare([contestant("a", run(PLATEAU)), contestant("b", run(PLATEAU, seed=1))])
    assert (found.status, found.run, found.step) == ("cannot tell", None, None)
    assert found.why.startswith("between a and b the difference is ")
    assert found.why.endswith(", 4 shared pictures), so either may be better")


def test_one_shared_picture_says_little() -> None:
    found = compare([contestant("a", run(PLATEAU)), contestant("b", run([one + 9 for one in PLATEAU], first=3))])
    assert found.status == "cannot tell"
    assert ", 1 shared picture), " in found.why


def test_runs_without_a_shared_picture_cannot_be_compared() -> None:
    found = compare([contestant("a", run(PLATEAU)), contestant("b", run(PLATEAU, first=10))])
    assert found == Comparison(
        "cannot tell",
        None,
        None,
        "a and b share no picture, the same prompt with the same seed, so their scores cannot be compared",
        (Duel("a", "b", 0),),
    )


def test_a_run_that_beats_one_and_not_the_other_is_not_the_best() -> None:
    good, worse = run([one + 12 for one in PLATEAU]), run(PLATEAU)
    found = compare([contestant("a", good), contestant("b", worse), contestant("c", run(PLATEAU, first=10))])
    assert found.status == "cannot tell"
    assert "between a and b" not in found.why
    assert len(found.duels) == 3


def test_a_run_without_a_chosen_checkpoint_takes_no_part() -> None:
    flat, good = contestant("flat", run([70.0] * 30)), contestant("good", run(PLATEAU))
    assert compare([]).status == compare([flat]).status == "none"
    alone = compare([good])
    assert (alone.status, alone.run, alone.step) == ("chosen", "good", good.verdict.step)
    both = compare([flat, good])
    assert (both.status, both.run) == ("cannot tell", None)
    assert both.why == "only good has a chosen checkpoint; the others are not compared, nor said to be worse"


def test_the_only_checkpoint_of_a_run_can_be_compared() -> None:
    found = compare([contestant("one", run([60.0], 8)), contestant("many", run(PLATEAU, 8))])
    assert found.duels[0].shared == 8
    assert found.duels[0].difference == pytest.approx(-22, abs=5)


def test_verdicts_name_the_tied() -> None:
    assert Verdict("none", None, "there is no checkpoint", ()).tied == ()
