"""What being watched costs a trainer: its step time with supervisor, guard and monitor, and without, in one run.

A tiny SD3 trains on the CPU under its supervisor, with a live monitor on a terminal beside it. Every block of
steps both are either awake or stopped (SIGSTOP), in turn, so that whatever else the machine does meets both
alike. Step times are the trainer's own. Each awake block is set against the stopped ones before and after it;
the interval is a bootstrap over those pairs. A second run without a watcher at all would differ by more than
what is looked for. The last line is one JSON document.

Usage: python benchmarks/bench_watching.py [--blocks 40] [--steps 15]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import pty
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from kanjiprep.training.running import files

CLI = [sys.executable, "-m", "kanjiprep"]
RESAMPLES = 10_000
PATIENCE_S = 300.0
SLACK_STEPS = 4
"""A block is so much longer at most than it was meant to be."""


def main() -> None:
    """Train, wake and stop the watchers in turn, and print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--blocks", type=int, default=40, help="of each kind")
    parser.add_argument("--steps", type=int, default=15, help="in a block")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        run = launch(work, steps=(2 * options.blocks + 5) * (options.steps + SLACK_STEPS))
        try:
            report(*blocks(run, options.blocks, options.steps))
        finally:
            subprocess.run([*CLI, "stop", str(run), "--now"], check=True, capture_output=True)


def launch(work: Path, steps: int) -> Path:
    """The folder of a run that has begun to train, with nothing but steps in it."""
    subprocess.run([*CLI, "build", "--limit", "24", "--size-px", "256"], cwd=work, check=True, capture_output=True)
    settings = (f"training.steps={steps}", f"checkpoints.every_steps={steps}", "guard.policy=warn")
    words = [word for setting in settings for word in ("--set", setting)]
    subprocess.run(
        [*CLI, "launch-simpletuner", "tiny-cpu", "--detach", *words], cwd=work, check=True, capture_output=True
    )
    return work / "runs" / "tiny-cpu"


def times(run: Path) -> dict[int, float]:
    """Seconds by step, as the trainer has told them so far."""
    path = run / "output" / files.METRICS
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    told = [json.loads(line) for line in lines if line.endswith("}")]
    return {
        one["step"]: one["metrics"]["step_speed_seconds"] for one in told if "step_speed_seconds" in one["metrics"]
    }


def wait_for_step(run: Path, step: int) -> None:
    """Return when ``step`` is done."""
    deadline = time.monotonic() + PATIENCE_S
    while max(times(run), default=0) < step:
        if time.monotonic() > deadline:
            raise SystemExit(f"step {step} did not come within {PATIENCE_S:.0f} s")
        time.sleep(0.5)


@contextmanager
def monitor(run: Path) -> Iterator[int]:
    """The process of a live monitor on a terminal of its own."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*CLI, "monitor", str(run)], stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        threading.Thread(target=drain, args=(ours,), daemon=True).start()
        yield process.pid
        process.kill()


def drain(terminal: int) -> None:
    """Read what is shown, as a terminal does, until nothing writes to it any more."""
    try:
        while os.read(terminal, 65_536):
            pass
    except OSError:
        return


def blocks(run: Path, count: int, steps: int) -> tuple[list[list[float]], dict[str, float]]:
    """Step times of blocks, awake and stopped in turn, a stopped one first and last; CPU shares while awake."""
    wait_for_step(run, 2 * steps)
    supervisor = json.loads((run / files.STATE).read_bytes())["supervisor"]["pid"]
    with monitor(run) as watcher:
        wait_for_step(run, 3 * steps)
        watchers = {"supervisor": psutil.Process(supervisor), "monitor": psutil.Process(watcher)}
        spent, awake_s, borders = dict.fromkeys(watchers, 0.0), 0.0, [max(times(run))]
        for index in range(2 * count + 1):
            is_awake = index % 2 == 1
            for process in watchers.values():
                process.send_signal(signal.SIGCONT if is_awake else signal.SIGSTOP)
            before, began = {name: cpu_s(one) for name, one in watchers.items()}, time.monotonic()
            wait_for_step(run, borders[-1] + steps)
            if is_awake:
                awake_s += time.monotonic() - began
                spent = {name: spent[name] + cpu_s(one) - before[name] for name, one in watchers.items()}
            borders.append(max(times(run)))
        for process in watchers.values():
            process.send_signal(signal.SIGCONT)
    seconds = times(run)
    ranges = [range(start + 2, end + 1) for start, end in itertools.pairwise(borders)]
    found = [[seconds[step] for step in steps_of if step in seconds] for steps_of in ranges]
    return found, {name: value / awake_s for name, value in spent.items()}


def cpu_s(process: psutil.Process) -> float:
    """Processor seconds that ``process`` has used."""
    used = process.cpu_times()
    return float(used.user + used.system)


def report(found: Sequence[Sequence[float]], cpu: dict[str, float]) -> None:
    """Print the table and its JSON."""
    middles = [statistics.median(block) for block in found]
    ratios = [
        awake / statistics.mean(around)
        for awake, around in zip(middles[1::2], zip(middles[0::2], middles[2::2], strict=False), strict=False)
    ]
    low, high = interval(ratios)
    ratio = statistics.median(ratios)
    print("| step time | median | blocks |\n| --- | --- | --- |")
    for name, chosen in (("watched", middles[1::2]), ("not watched", middles[0::2])):
        print(f"| {name} | {1000 * statistics.median(chosen):.1f} ms | {len(chosen)} |")
    print(f"\nwatched / not watched: {ratio:.4f} ({low:.4f} to {high:.4f}, 95 %)")
    for name, share in cpu.items():
        print(f"{name}: {share:.2%} of a core")
    told = {"rival": "the same run, not watched", "ratio": ratio, "low": low, "high": high, "cpu_share": cpu}
    print(json.dumps({**told, "pairs": len(ratios)}))


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the median of ``ratios``, by bootstrap."""
    draw = random.Random(0)  # noqa: S311 - a bootstrap is no secret
    middles = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    return middles[round(0.025 * RESAMPLES)], middles[round(0.975 * RESAMPLES)]


if __name__ == "__main__":
    main()
