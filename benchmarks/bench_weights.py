"""Explosions told from the weights alone, on made-up runs with the truth known, beside three plain rules.

The thresholds were chosen on other seeds (``--tune`` prints the grid) and every number here is of held-out seeds. The
runs are of small adapters that Adam trains on a toy problem, see adapter_runs.py; no exploded adapter of a real model
was at hand, so the table ranks rules and does not promise figures. An explosion is found if the checkpoint that it
begins at is flagged. A flag is false where the run is sound: in a healthy run, before an explosion, or two or more
checkpoints after its end. Coverage is of checkpoints inside explosions that come back. The last line is one JSON
document, whose ratio is of false flags: the rival's for each of ours.

``--file`` measures the seconds and the memory that an adapter of Stable Diffusion 3.5 Large takes.

Usage: python benchmarks/bench_weights.py [--quick | --tune | --file [--rank RANK] [--folder FOLDER]]
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from adapter_runs import Array, Run, runs
from numpy.typing import NDArray

from kanjiprep.evaluation.weights import drift, jumps, safetensors_file
from kanjiprep.evaluation.weights.drift import Effort
from kanjiprep.evaluation.weights.jumps import Thresholds
from kanjiprep.evaluation.weights.safetensors_file import Raw
from kanjiprep.training import models
from kanjiprep.training.shapes import IMAGE_ATTENTION

HELD_OUT, TUNING = 500_000, 50
"""Seeds of the two sets."""
OURS, RIVAL = "kanjiprep", "x1.5 against the checkpoint before"
EDGES: Final = (1.5, 2.0, 3.0, 6.0)
"""Between classes of factors."""

Flags = NDArray[np.bool_]
Rule = Callable[[Run], Flags]


def growth(run: Run) -> Array:
    """Logs of the growth of every module's norm, by checkpoint but the first."""
    return np.diff(np.log(run.spectral), axis=0)


def ours(run: Run, limits: Thresholds = jumps.CHOSEN) -> Flags:
    """The rule of ``kanjiprep score``."""
    return np.array([sign.kind != "sound" for sign in jumps.signs(run.steps, run.spectral, limits)])


def above(run: Run, factor: float, skipped: float = 0.0) -> Flags:
    """Growth of any module beyond a factor, the first share of the run left out."""
    is_late = np.array(run.steps) > skipped * run.steps[-1]
    is_above: Flags = np.concatenate([[False], (growth(run) > np.log(factor)).any(axis=1)])
    return is_above & is_late


def robust(run: Run, deviations: float) -> Flags:
    """Growth of any module beyond the run's median and as many robust deviations."""
    logs = growth(run)
    median = np.median(logs)
    limit = median + deviations * np.median(np.abs(logs - median))
    return np.concatenate([[False], (logs > limit).any(axis=1)])


RULES: Mapping[str, Rule] = {
    OURS: ours,
    RIVAL: partial(above, factor=1.5),
    "the same after a tenth of the run": partial(above, factor=1.5, skipped=0.1),
    "median + 6 MAD of the run's growth": partial(robust, deviations=6),
}


@dataclass(slots=True)
class Tally:
    """What a rule got right and wrong."""

    found: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(len(EDGES) + 1), 0))
    there: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(len(EDGES) + 1), 0))
    inside: int = 0
    covered: int = 0
    false_flags: int = 0
    clean: int = 0
    false_runs: int = 0
    healthy: int = 0

    def add(self, run: Run, flags: Flags) -> None:
        """Count one run."""
        is_clean = np.ones(len(flags), bool)
        for one in run.explosions:
            is_clean[one.start : one.stop + 1] = False
            size = int(np.digitize(one.factor, EDGES))
            self.there[size] += 1
            self.found[size] += int(flags[one.start])
            if one.stop < len(flags):
                self.inside += one.stop - one.start
                self.covered += int(flags[one.start : one.stop].sum())
        self.clean += int(is_clean.sum())
        self.false_flags += int((flags & is_clean).sum())
        self.healthy += not run.explosions
        self.false_runs += not run.explosions and bool(flags.any())

    @property
    def recall(self) -> float:
        """Share of explosions that were found."""
        return sum(self.found.values()) / max(sum(self.there.values()), 1)

    @property
    def false_each_1000(self) -> float:
        """Of a thousand sound checkpoints."""
        return 1000 * self.false_flags / max(self.clean, 1)

    @property
    def coverage(self) -> float:
        """Share of checkpoints inside of explosions that come back."""
        return self.covered / max(self.inside, 1)


def tally(rule: Rule, made: Iterable[Run]) -> Tally:
    """What a rule makes of runs."""
    result = Tally()
    for run in made:
        result.add(run, rule(run))
    return result


def report(made: Sequence[Run]) -> None:
    """Print the table and its JSON."""
    tallies = {name: tally(rule, made) for name, rule in RULES.items()}
    classes = [f"<{edge:g}" for edge in EDGES] + [f">{EDGES[-1]:g}"]
    there = tallies[OURS].there
    print(
        "found of explosions by the factor that the worst module's norm jumped by; false flags of sound checkpoints"
    )
    head = "".join(f"{f'{name} ({there[size]})':>11}" for size, name in enumerate(classes))
    print(f"{'rule':36}{head}{'all':>7}{'covered':>9}{'false/1000':>12}{'false runs':>12}")
    for name, one in tallies.items():
        shares = "".join(f"{one.found[size] / max(there[size], 1):11.2f}" for size in there)
        runs_said = f"{one.false_runs}/{one.healthy}"
        print(f"{name:36}{shares}{one.recall:7.3f}{one.coverage:9.2f}{one.false_each_1000:12.1f}{runs_said:>12}")
    mine, rival = tallies[OURS], tallies[RIVAL]
    document = {
        "runs": len(made),
        "explosions": sum(there.values()),
        "sound_checkpoints": mine.clean,
        "rival": RIVAL,
        "ratio": round(rival.false_each_1000 / max(mine.false_each_1000, 1000 / max(mine.clean, 1)), 1),
        "rules": {
            name: {
                "found": round(one.recall, 3),
                "covered": round(one.coverage, 3),
                "false_each_1000": round(one.false_each_1000, 2),
                "false_runs": one.false_runs,
                "healthy_runs": one.healthy,
            }
            for name, one in tallies.items()
        },
    }
    print(json.dumps(document))


def tune(made: Sequence[Run]) -> None:
    """Print what each set of thresholds does, the fewest false flags first."""
    grid = itertools.product((2.0, 3.0), (1.0, 1.25, 1.5, 2.0), (1.1, 1.2, 1.3), (4.0, 6.0, 8.0))
    rows = []
    for limits in itertools.starmap(Thresholds, grid):
        one = tally(partial(ours, limits=limits), made)
        rows.append((one.false_each_1000, -one.recall, limits))
    print(f"{'false/1000':>10}{'found':>8}  thresholds")
    for false, missed, limits in sorted(rows, key=lambda row: row[:2]):
        print(f"{false:10.2f}{-missed:8.3f}  {limits}")


def measure(rank: int, folder: Path) -> None:
    """Print seconds and memory of an adapter of Stable Diffusion 3.5 Large."""
    width, blocks = (model := models.model_of("sd3", "large")).width, model.blocks
    size = 4 * blocks * len(IMAGE_ATTENTION) * rank * width
    if shutil.disk_usage(folder).free < size + 2**30:
        raise SystemExit(f"{folder}: needs {size / 1e9:.1f} GB and one more")
    with tempfile.TemporaryDirectory(dir=folder) as work:
        path = Path(work) / f"rank{rank}{safetensors_file.SUFFIX}"
        random = np.random.default_rng(0)
        shapes = ((rank, width), (width, rank))
        coded = [safetensors_file.encode(random.standard_normal(shape, np.float32), "BF16") for shape in shapes]
        tensors: dict[str, Raw] = {
            f"transformer.transformer_blocks.{block}.attn.{name}.lora_{part}.weight": ("BF16", shape, data)
            for block in range(blocks)
            for name in IMAGE_ATTENTION
            for part, shape, data in zip("AB", shapes, coded, strict=True)
        }
        safetensors_file.write(path, tensors, {})
        cache = Path(work) / "norms.json"
        efforts: tuple[tuple[str, Effort, Path | None], ...] = (
            ("some", "some", None),
            ("all", "all", cache),
            ("all, out of the cache", "all", cache),
        )
        print(f"rank {rank}, {blocks} blocks of width {width}, {path.stat().st_size / 1e9:.2f} GB, file cache warm")
        found = {name: _timed(path, effort, where) for name, effort, where in efforts}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"peak memory of the process, mapped pages of the file counted: {peak:.0f} MiB")
    print(json.dumps({"rank": rank, "peak_mib": round(peak), "seconds": found}))


def _timed(path: Path, effort: Effort, cache: Path | None) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    (point,) = drift.points([(400, path)], effort, cache=cache)
    spent = {"wall_s": round(time.perf_counter() - wall, 2), "cpu_s": round(time.process_time() - cpu, 2)}
    print(f"{effort:5}{point.modules:4} modules {spent['wall_s']:8.2f} s, {spent['cpu_s']:8.2f} s of CPU")
    return spent


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="60 runs instead of 480")
    parser.add_argument("--tune", action="store_true", help="print the grid of thresholds, on other seeds")
    parser.add_argument("--file", action="store_true", help="measure a file of the real size")
    parser.add_argument("--rank", type=int, default=768, help="of that file")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where to write it")
    options = parser.parse_args()
    if options.file:
        measure(options.rank, options.folder)
        return
    first = TUNING if options.tune else HELD_OUT
    parts = 1 if options.quick else 4
    made = [run for part in range(parts) for run in runs(60 if options.quick else 120, first + part)]
    (tune if options.tune else report)(made)


if __name__ == "__main__":
    main()
