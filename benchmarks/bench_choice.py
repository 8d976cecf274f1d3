"""Choose a checkpoint of simulated runs, beside the last, the lowest loss, a random one and the best mean.

The truth is known. A choice is right if its true quality is no more than some points behind the best sound checkpoint
of its run: 2 of 100 for the figure that counts, since a single picture varies by 5 here and nobody sees 2; the others
are in the table too. No rule may choose a flagged checkpoint, so that the rivals profit from the flags as well. Runs
whose sound checkpoints are all within those 2 points are flat: there, "cannot tell" is the right answer, and what
rules choose there is not counted, unless it exploded. The constants of ``smoothing`` and ``choose`` were chosen on
the tuning seeds, which are not among those reported.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from choice_runs import SimulatedRun, World, simulated

from kanjiprep.evaluation.choose import MARGIN, Candidate, Verdict, choose

PICTURES: Final = (1, 2, 4, 8)
TUNING, HELD_OUT = 0, 200_000
TOLERANCES: Final = (1.0, MARGIN, 3.0, 5.0)
OURS, PLAIN, LAST, LOSS, RANDOM = "kanjiprep", "best mean", "last", "lowest loss", "random"
Rule = Callable[[SimulatedRun, Sequence[Candidate]], int]


@dataclass
class Tally:
    """What a rule did on runs that are not flat, unless said otherwise."""

    runs: int = 0
    behind: list[float] = field(default_factory=list)
    exploded: int = 0
    flat: int = 0
    flat_open: int = 0
    covered: list[float] = field(default_factory=list)
    best_tied: int = 0
    tie_shares: list[float] = field(default_factory=list)
    slowest_s: float = 0.0

    def right(self, tolerance: float) -> float:
        """Share of the choices within ``tolerance`` of the best."""
        return float(np.mean(np.array(self.behind) <= tolerance)) if self.behind else math.nan

    @property
    def open(self) -> float:
        """Share of the runs without a choice."""
        return 1 - len(self.behind) / max(1, self.runs)

    def document(self) -> dict[str, float | None]:
        """The numbers that are reported; None where there is none."""
        return {
            "runs": self.runs,
            **{f"right_within_{tolerance:g}": _rounded(self.right(tolerance), 3) for tolerance in TOLERANCES},
            "mean_points_behind": _rounded(float(np.mean(self.behind)), 2) if self.behind else None,
            "exploded_chosen": self.exploded,
            "cannot_tell": round(self.open, 3),
        }

    def sureness(self) -> dict[str, float | None]:
        """The numbers that only a rule with intervals has."""
        return {
            "coverage": round(float(np.mean(self.covered)), 3) if self.covered else None,
            "best_in_tie": round(self.best_tied / max(1, self.runs), 3),
            "tie_share_of_sound": round(float(np.mean(self.tie_shares)), 3),
            "flat_runs": self.flat,
            "cannot_tell_on_flat": round(self.flat_open / max(1, self.flat), 3),
            "slowest_s": round(self.slowest_s, 2),
        }


def _rounded(value: float, digits: int) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def tried(runs: Iterable[SimulatedRun], pictures: int) -> dict[str, Tally]:
    """Every rule on ``runs`` with so many pictures a checkpoint."""
    tallies = {name: Tally() for name in (OURS, *RIVALS)}
    for number, run in enumerate(runs):
        candidates = run.candidates_for(pictures)
        sound = [one for one in candidates if one.scores and not one.flags]
        start = time.perf_counter()
        verdict = choose(candidates, number)
        tallies[OURS].slowest_s = max(tallies[OURS].slowest_s, time.perf_counter() - start)
        _count_interval(tallies[OURS], run, verdict, pictures)
        _count(tallies[OURS], run, verdict.step)
        for name, rule in RIVALS.items():
            _count(tallies[name], run, rule(run, sound) if sound else None)
    return tallies


def best_quality(run: SimulatedRun) -> float:
    """Of the checkpoints that are truly sound."""
    return max(run.true_quality[step] for step in run.steps if step not in run.exploded)


def is_flat(run: SimulatedRun) -> bool:
    """Whether no sound checkpoint is really behind."""
    return all(best_quality(run) - run.true_quality[step] <= MARGIN for step in run.steps if step not in run.exploded)


def _count(tally: Tally, run: SimulatedRun, step: int | None) -> None:
    tally.exploded += step in run.exploded
    if is_flat(run):
        tally.flat += 1
        tally.flat_open += step is None
        return
    tally.runs += 1
    if step is not None:
        tally.behind.append(best_quality(run) - run.true_quality[step])


def _count_interval(tally: Tally, run: SimulatedRun, verdict: Verdict, pictures: int) -> None:
    sound = [one for one in verdict.ranked if not one.flags and not math.isnan(one.score)]
    level = run.effect(pictures)
    if not math.isnan(level):
        truths = [(one, run.true_quality[one.step] + level) for one in sound if one.step not in run.exploded]
        tally.covered += [one.low <= min(100, truth) <= one.high for one, truth in truths]
    if not is_flat(run):
        given = {one.step for one in run.candidates_for(pictures) if one.scores and not one.flags} - run.exploded
        tally.best_tied += max(given, key=lambda step: run.true_quality[step]) in verdict.tied
        tally.tie_shares.append(len(verdict.tied) / len(sound))


def plain(_run: SimulatedRun, sound: Sequence[Candidate]) -> int:
    """The best mean of its pictures, without neighbours."""
    return max(sound, key=lambda one: float(np.mean(list(one.scores.values())))).step


def lowest_loss(run: SimulatedRun, sound: Sequence[Candidate]) -> int:
    """By what the trainer logs."""
    return min(sound, key=lambda one: run.loss[one.step]).step


def at_random(run: SimulatedRun, sound: Sequence[Candidate]) -> int:
    """Any, the same for the same run."""
    return sound[int(np.random.default_rng(run.steps[-1]).integers(len(sound)))].step


RIVALS: Final[dict[str, Rule]] = {
    PLAIN: plain,
    LAST: lambda _run, sound: sound[-1].step,
    LOSS: lowest_loss,
    RANDOM: at_random,
}
STRESS: Final = {
    "noise 10 instead of 5": World(noise=10.0),
    "noise of a picture alike from one checkpoint to the next, 0.6": replace(World(), persistence=0.6),
    "the same, 0.8": replace(World(), persistence=0.8),
    "30 % of the exploded pictures missed": World(missed=0.3),
    "15 % of the sound pictures flagged": World(false_flags=0.15),
    "checkpoints really differ from their neighbours by 1.5": World(wiggle=1.5),
}
WIDTH: Final = 14


def report(results: dict[int, dict[str, Tally]]) -> None:
    """Print the table."""
    heads = [f"within {tolerance:g}" for tolerance in TOLERANCES]
    print(
        f"{'pictures':9}{'rule':{WIDTH}}{''.join(f'{head:>10}' for head in heads)}    behind  exploded  cannot tell"
    )
    for pictures, tallies in results.items():
        for name, tally in tallies.items():
            shares = "".join(f"{100 * tally.right(tolerance):9.1f}%" for tolerance in TOLERANCES)
            one = tally.document()
            print(
                f"{pictures:<9}{name:{WIDTH}}{shares}{_shown(one['mean_points_behind'], 10)}"
                f"{one['exploded_chosen']:10}{100 * tally.open:12.1f}%"
            )
    print(f"\n{'pictures':9}coverage  best in tie  tie of sound  cannot tell on flat  on others  slowest")
    for pictures, tallies in results.items():
        print(sure_row(str(pictures), tallies[OURS]))


def sure_row(name: str, tally: Tally) -> str:
    """One line of the second table."""
    one = tally.sureness()
    shares = (one["coverage"], one["best_in_tie"], one["tie_share_of_sound"], one["cannot_tell_on_flat"], tally.open)
    cells = "".join(_share(share, width) for share, width in zip(shares, (7, 12, 13, 20, 10), strict=True))
    return f"{name:9}{cells}{one['slowest_s']:8.2f}s"


def _share(value: float | None, width: int) -> str:
    return f"{'-':>{width + 1}}" if value is None else f"{100 * value:{width}.1f}%"


def _shown(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.2f}"


def main() -> None:
    """Report on held-out seeds, or show the tuning seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs")
    parser.add_argument("--tune", action="store_true", help="the tuning seeds instead")
    parser.add_argument("--stress", action="store_true", help="harder worlds too, with 4 pictures")
    options = parser.parse_args()
    first, count = (TUNING if options.tune else HELD_OUT), (40 if options.quick else 400)
    seeds = range(first, first + count)
    results = {pictures: tried(map(simulated, seeds), pictures) for pictures in PICTURES}
    print(f"{count} runs of 10 to 90 checkpoints, two explosions each, a quarter of them flat\n")
    report(results)
    stressed = {}
    for name, world in STRESS.items() if options.stress else ():
        tally = stressed[name] = tried((simulated(seed, world) for seed in seeds[: count // 2]), 4)[OURS]
        print(f"\n{name}, 4 pictures: within {MARGIN:g}: {100 * tally.right(MARGIN):.1f}%, exploded {tally.exploded}")
        print(sure_row("4", tally))
    print(json.dumps(document(results, stressed)))


def document(results: dict[int, dict[str, Tally]], stressed: dict[str, Tally]) -> dict[str, object]:
    """Everything, and our share of right choices over that of the best rival, with 4 pictures."""
    ours, rivals = results[4][OURS], {name: results[4][name] for name in RIVALS}
    rival = max(rivals, key=lambda name: rivals[name].right(MARGIN))
    return {
        "by_pictures": {str(k): {name: one.document() for name, one in all_.items()} for k, all_ in results.items()},
        "sureness": {str(k): all_[OURS].sureness() for k, all_ in results.items()},
        "stress": {name: one.document() | one.sureness() for name, one in stressed.items()},
        "best_rival": rival,
        "times_the_right_choices_of_best_rival": round(
            ours.right(MARGIN) / max(rivals[rival].right(MARGIN), 1e-9), 2
        ),
    }


if __name__ == "__main__":
    main()
