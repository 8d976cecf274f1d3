"""The build beside the naive script and rsvg-convert: CPU a picture, wall, memory, interleaved in one run.

Every rival draws at 1024 px and does all of its work: read, parse, draw, encode, write, and for ours hash
and verify too. What a process and the processes that it waited for cost is the kernel's own count. The
last line is one JSON document.

Usage: python benchmarks/bench_build.py [--rounds 3] [--naive 1000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kanjiprep.dataset import sources
from kanjiprep.dataset.workers import available
from kanjiprep.progress import silent

HERE = Path(__file__).parent
SVG_NUMBERS = "kvg:StrokeNumbers"


@dataclass(frozen=True)
class Cost:
    """What one run cost."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    pictures: int
    picture_mb: float

    @property
    def cpu_ms(self) -> float:
        """CPU a picture."""
        return 1000 * self.cpu_s / self.pictures


def measure(command: Sequence[str], out: Path) -> Cost:
    """The cost of ``command``, which leaves pictures in ``out``."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak))
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    sizes = [path.stat().st_size for path in out.glob("*.png")]
    return Cost(usage.ru_utime + usage.ru_stime, wall_s, peak[0], len(sizes), sum(sizes) / 1e6)


def _watch(pid: int, peak: list[float]) -> None:
    """Keep the highest sum of proportional set sizes over the process and its children, in MiB."""
    while (total := sum(map(_pss_mib, [pid, *_children(pid)]))) > 0:
        peak[0] = max(peak[0], total)
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _pss_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def rsvg_script(folder: Path, names: Sequence[str], work: Path) -> list[str]:
    """A command that draws ``names`` with one rsvg-convert each, from SVGs without stroke numbers."""
    from lxml import etree

    lines = []
    for name in names:
        root = etree.parse(str(folder / name)).getroot()
        for group in list(root):
            if group.get("id", "").startswith(SVG_NUMBERS):
                root.remove(group)
        plain = work / name
        plain.write_bytes(etree.tostring(root))
        lines.append(f"rsvg-convert -w 1024 -h 1024 -b white -o {work / 'out' / plain.stem}.png {plain}")
    script = work / "rsvg.sh"
    script.write_text("set -e\n" + "\n".join(lines) + "\n")
    return ["/bin/sh", str(script)]


def main() -> None:
    """Run all rivals in turn and print a table and its JSON."""
    options = parse_options()
    kanjidic = sources.find(sources.KANJIDIC, None, os.environ, sources.cache_folder(), silent).path
    folder = sources.find(sources.KANJIVG, None, os.environ, sources.cache_folder(), silent).path
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        work = Path(name)
        for number in range(options.rounds):
            for rival, command, out in commands(kanjidic, folder, work / str(number), options.naive):
                costs.setdefault(rival, []).append(measure(command, out))
                print(f"round {number + 1}: {rival}: {costs[rival][-1].cpu_ms:.2f} ms", file=sys.stderr)
    report(costs)


def parse_options() -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--naive",
        type=int,
        default=1000,
        help="pictures for the naive script and rsvg-convert: enough to hide start-up",
    )
    parser.add_argument("--folder", help="where to work; a tmpfs leaves the disk out")
    return parser.parse_args()


def commands(kanjidic: Path, folder: Path, work: Path, naive: int) -> list[tuple[str, list[str], Path]]:
    """Name, command and output folder of each rival, ready to run."""
    for name in ("naive", "rsvg/out"):
        (work / name).mkdir(parents=True)
    ours = [sys.executable, "-m", "kanjiprep", "build"]
    both = str(available())
    script = [HERE / "naive.py", kanjidic, folder, work / "naive", naive]
    rivals = [
        ("naive script", [sys.executable, *map(str, script)], work / "naive"),
        ("kanjiprep, 1 worker", [*ours, str(work / "one"), "--workers", "1"], work / "one"),
        (f"kanjiprep, {both} workers", [*ours, str(work / "all"), "--workers", both], work / "all"),
    ]
    if shutil.which("rsvg-convert"):
        names = sorted(path.name for path in folder.glob("0[4-9]???.svg"))[:: max(1, 5000 // naive)][:naive]
        rivals.append(("rsvg-convert", rsvg_script(folder, names, work / "rsvg"), work / "rsvg" / "out"))
    return rivals


def report(costs: dict[str, list[Cost]]) -> None:
    """Print medians as a table, and the ratios to the naive script, round by round, as JSON."""
    print(f"{'':24}{'CPU ms a picture':>18}{'wall s':>9}{'pictures':>10}{'MB':>8}{'peak MiB':>10}")
    for rival, runs in costs.items():
        row = [statistics.median(getattr(run, field) for run in runs) for field in ("cpu_ms", "wall_s")]
        last = runs[-1]
        peak = max(run.peak_mib for run in runs)
        print(f"{rival:24}{row[0]:18.2f}{row[1]:9.1f}{last.pictures:10,}{last.picture_mb:8.1f}{peak:10.0f}")
    ratios = {
        rival: [naive.cpu_ms / run.cpu_ms for naive, run in zip(costs["naive script"], runs, strict=True)]
        for rival, runs in costs.items()
    }
    document = {
        rival: {
            "cpu_ms_a_picture": round(statistics.median(run.cpu_ms for run in runs), 3),
            "times_less_cpu_than_naive": round(statistics.median(ratios[rival]), 2),
            "least_and_most": [round(min(ratios[rival]), 2), round(max(ratios[rival]), 2)],
            "wall_s": round(statistics.median(run.wall_s for run in runs), 2),
            "pictures": runs[-1].pictures,
            "picture_mb": round(runs[-1].picture_mb, 1),
            "peak_mib": round(max(run.peak_mib for run in runs)),
        }
        for rival, runs in costs.items()
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
