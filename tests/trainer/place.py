"""A folder with a real dataset in which commands are run as a user does."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kanjiprep.training.running import processes

SAMPLES = 20
PATIENCE_S = 600.0
TOKEN = "hf_thisIsNoTokenButMustNotShow"  # noqa: S105 - it opens nothing


@dataclass(frozen=True)
class Place:
    """A folder with a real dataset, in which commands are run as a user does."""

    folder: Path
    environ: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "kanjiprep", *arguments]
        return subprocess.Popen(
            line, cwd=self.folder, env=self.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, f"{out}\n{err}"
        return out, err

    def see(self, name: str) -> dict[str, Any]:
        seen: dict[str, Any] = json.loads(self.run("monitor", name, "--json")[0])
        return seen

    def wait(self, name: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while not is_so(seen := self.see(name)):
            assert time.monotonic() < deadline, seen
            time.sleep(0.5)
        return seen

    def events(self, name: str, kind: str) -> list[dict[str, Any]]:
        lines = (self.folder / "runs" / name / "events.jsonl").read_text("utf-8").splitlines()
        return [one for one in map(json.loads, lines) if one["kind"] == kind]

    def pids(self, name: str) -> list[int]:
        return processes.members(processes.run_id(self.folder / "runs" / name))


def has_stepped(seen: dict[str, Any]) -> bool:
    return bool(seen["progress"]["step"] >= 2)


def launch(steps: int, *more: str) -> tuple[str, ...]:
    return ("launch-simpletuner", "tiny-cpu", "--set", f"training.steps={steps}", *more)
