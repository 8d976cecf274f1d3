"""What every command is asked in ``test_every_command.py``, and the table that its answers make."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from tests import json_documents

Kind = Literal["happy", "bad", "json", "more"]
How = Literal["here", "process", "interrupted", "full"]

FOUND: Final = "--kanjidic dataset-sources/kanjidic2.xml --kanjivg dataset-sources/kanji --size-px 64"
TINY: Final = "tiny-cpu --set training.batch=3 --set training.steps=8 --set checkpoints.every_steps=4"
LONG: Final = "tiny-cpu --set training.batch=3 --set training.steps=50000 --set checkpoints.every_steps=50000"
PAINT: Final = "mine.safetensors --base tiny --prompt cat --size-px 32 --steps 2"
RENT: Final = (
    "sd35-large-lora --on lambda --max-usd 5 --yes --set training.batch=1 --set training.accumulation=1 "
    "--set training.resolution_px=64"
)
MEANINGS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "It is done.",
        1: "The output cannot be written, or something unexpected happened.",
        2: "A wrong command, option, preset or spec.",
        3: "Input that cannot be read or trusted.",
        4: "A dataset that is not there, not fit, or cannot be written.",
        5: "The Hub refuses, cannot be reached, or does not hold what it was sent.",
        6: "The trainer or the run failed, or a LoRA is unfit.",
        7: "A limit of time or money, or a machine elsewhere.",
        8: "The guard stopped the run.",
        130: "Somebody interrupted or stopped it.",
    }
)


@dataclass(frozen=True, slots=True)
class Case:
    """A command line and what is to come of it.

    Attributes:
        command: Its name, as in ``remote ls``.
        kind: Where in the table it stands; what is ``more`` stands among the exit codes alone.
        words: What is typed after the command.
        code: The exit code.
        says: How a line on stderr, or else on stdout, begins, as a pattern; empty for a JSON document alone.
        how: In this process, in one of its own, in one that is interrupted, or with a full disk for stdout.
        faults: What the trainer suffers from, as keys of ``fake_trainer.Faults``.
        has_key: Whether LAMBDA_API_KEY is set.
        slow: Whether it takes seconds.
    """

    command: str
    kind: Kind
    words: str
    code: int = 0
    says: str = ""
    how: How = "here"
    faults: tuple[tuple[str, float], ...] = ()
    has_key: bool = False
    slow: bool = False

    @property
    def line(self) -> str:
        """As a user types it."""
        return " ".join(filter(None, ("kanjiprep", self.command, self.words)))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a case.

    Attributes:
        code: The exit code.
        out: Standard output.
        err: Standard error.
    """

    code: int
    out: str
    err: str

    def line(self, says: str) -> str:
        """The line that begins so; empty if there is none."""
        lines = (*self.err.splitlines(), *self.out.splitlines())
        return next((line for line in lines if re.match(says, line)), "")


CASES: Final = (
    Case("build", "happy", f"new {FOUND}", 0, "built: ", "process"),
    Case("build", "bad", f"new {FOUND} --caption publishd", 2, "error: "),
    Case("build", "json", f"new {FOUND} --json"),
    Case("build", "more", "other --kanjidic gone.xml", 3, "error: "),
    Case("check", "happy", "dataset", 0, "dataset is fit to train on", "process"),
    Case("check", "bad", "nowhere", 4, "error: "),
    Case("check", "json", "dataset --json"),
    Case("push", "happy", "dataset me/kanji --tag v1.0", 0, "sent: ", "process"),
    Case("push", "bad", "me/kanji dataset", 2, "error: "),
    Case("push", "json", "dataset me/kanji --dry-run --json"),
    Case("push", "more", "dataset somebody/kanji", 5, "error: "),
    Case("plan", "happy", "sd35-large-lora --samples 6410", 0, "steps ", "process"),
    Case("plan", "bad", "sd35-large-lroa --samples 6410", 2, "error: "),
    Case("plan", "json", "sd35-large-lora --samples 6410 --json"),
    Case("plan", "more", "sd15-full --gpu a100-40gb-sxm --export-diffusers first --json"),
    Case("rehearse", "happy", f"{TINY} --name small", 0, "Your run will start", "process"),
    Case("rehearse", "bad", "tiny-cpu --dataset nowhere", 4, "error: "),
    Case("rehearse", "json", f"{TINY} --name small --json"),
    Case("launch-simpletuner", "happy", f"{TINY} --name try", 0, "started: ", "process"),
    Case("launch-simpletuner", "bad", f"{TINY} --guard rolback", 2, "error: "),
    Case("launch-simpletuner", "json", f"{TINY} --name dry --dry-run --json"),
    Case("launch-simpletuner", "more", f"{TINY} --name whole --json"),
    Case("launch-simpletuner", "more", f"{TINY} --name alone --detach --json"),
    Case("launch-simpletuner", "more", f"{TINY} --name failing", 6, "status ", faults=(("raise_at", 3),)),
    Case(
        "launch-simpletuner",
        "more",
        f"{LONG} --name limited --max-hours 0.0001",
        7,
        "status ",
        faults=(("step_s", 0.05),),
    ),
    Case(
        "launch-simpletuner",
        "more",
        f"{LONG} --name guarded --guard stop",
        8,
        "status ",
        faults=(("step_s", 0.003), ("calm_to", 44)),
    ),
    Case("launch-simpletuner", "more", f"{LONG} --name long --json", 130, how="interrupted"),
    Case("monitor", "happy", "try --once", 0, "status ", "process"),
    Case("monitor", "bad", "tyr --once", 2, "error: "),
    Case("monitor", "json", "long --json"),
    Case("monitor", "more", "limited", 7, "status "),
    Case("stop", "happy", "long", 0, "stopped at step ", "process"),
    Case("stop", "bad", "nothing", 2, "error: "),
    Case("stop", "json", "long --json"),
    Case("score", "happy", "mine --weights off", 0, "verdict "),
    Case("score", "bad", "empty", 3, "error: "),
    Case("score", "json", "mine --weights off --json"),
    Case("score", "more", "--train-judge --dataset characters --json", slow=True),
    Case("report", "happy", "mine --weights off", 0, "Open it: "),
    Case("report", "bad", "mine runs/mine", 2, "error: "),
    Case("report", "json", "mine --weights off --json"),
    Case("publish", "happy", "large me/kanji-lora", 0, "sent: ", "process"),
    Case("publish", "bad", "large me/kanji-lora --checkpoint 5", 6, "error: "),
    Case("publish", "json", "large me/kanji-lora --dry-run --json"),
    Case("comfyui", "happy", "large --strip", 0, "written: ", "process"),
    Case("comfyui", "bad", "--check gone.json", 3, "error: "),
    Case("comfyui", "json", "large --strip --json"),
    Case("comfyui", "more", "--check runs/large/comfyui --json"),
    Case("generate", "happy", f"{PAINT} --seeds 1-2", 0, "painted: "),
    Case("generate", "bad", f"{PAINT} --seeds one", 2, "error: "),
    Case("generate", "json", f"{PAINT} --json"),
    Case("generate", "more", f"{PAINT} --dry-run --json"),
    Case("app", "happy", "mine.safetensors --base tiny", 0, ".*http://", "interrupted", slow=True),
    Case("app", "bad", "mine.safetensors --base tiny --device tpu", 2, "error: "),
    Case("lora", "happy", "kanji.safetensors", 0, "verdict ", "process"),
    Case("lora", "bad", "broken.safetensors", 6, "error: "),
    Case("lora", "json", "kanji.safetensors --deep --json"),
    Case("lora", "more", "spoilt.safetensors --deep --json", 6, "error: "),
    Case("lora", "more", "kanji.safetensors --resize 2 --out resized.safetensors --json"),
    Case("presets", "happy", "", 0, "sd35-large-lora ", "process"),
    Case("presets", "bad", "tiny-gpu", 2, "error: "),
    Case("presets", "json", "--json"),
    Case("presets", "more", "sd35-large-lora --json"),
    Case("presets", "more", "sd35-large-lora", 1, "error: ", "full"),
    Case("setup-trainer", "happy", "--accelerator cpu --dry-run", 0, ".*SimpleTuner", "process"),
    Case("setup-trainer", "bad", "--accelerator cpux", 2, "error: "),
    Case("setup-trainer", "json", "--accelerator cpu --dry-run --json"),
    Case("setup-remote", "happy", "--dry-run", 0, ".*SkyPilot", "process", has_key=True),
    Case("setup-remote", "bad", "--dry-run", 2, "error: "),
    Case("setup-remote", "json", "--dry-run --json", has_key=True),
    Case("completion", "happy", "bash", 0, "# To install it", "process"),
    Case("completion", "bad", "bahs", 2, "error: "),
    Case("launch-simpletuner", "more", f"{RENT} --detach --json", has_key=True),
    Case("remote ls", "happy", "", 0, "kanjiprep-sd35", "process", has_key=True),
    Case("remote ls", "bad", "", 2, "error: "),
    Case("remote ls", "json", "--json", has_key=True),
    Case("remote down", "bad", "kanjiprep-nothing", 2, "error: ", has_key=True),
    Case("remote down", "happy", "NAME --lose-results", 0, "gone: ", has_key=True),
    Case("remote down", "json", "NAME --lose-results --json", has_key=True),
)
"""In their order: what one makes, later ones look at."""


def page(seen: Mapping[Case, Answer], settled: Callable[[str], str]) -> str:
    """The documentation of what came of all cases; ``settled`` makes a line the same on every machine."""
    return (
        "<!-- Made by tests/integration/test_every_command.py from what the commands really answered; do not edit: "
        "run it with --update-golden. -->\n\n# Every command, tried\n\n"
        "A happy path, one bad input and `--json` of each command, as a test runs them, with what they say and their "
        "exit codes. The schema of each JSON document says what every key means. HERE is the user's folder, and N, "
        "HASH, ID, PORT and TIME are other ones every time.\n\n"
        + "\n".join(_commands(seen, settled))
        + "\n\n## Exit codes\n\n"
        + "\n".join(_codes(seen))
        + "\n"
    )


def _commands(seen: Mapping[Case, Answer], settled: Callable[[str], str]) -> Iterable[str]:
    yield _row("command", "happy path", "says", "exit", "bad input", "says", "exit", "`--json`")
    yield _row(*["---"] * 8)
    for command in dict.fromkeys(case.command for case in CASES):
        of = {case.kind: case for case in CASES if case.command == command and case.kind != "more"}
        happy, bad = of["happy"], of["bad"]
        yield _row(command, *_told(happy, seen, settled), *_told(bad, seen, settled), _json(of.get("json"), seen))


def _told(case: Case, seen: Mapping[Case, Answer], settled: Callable[[str], str]) -> Sequence[str]:
    says = settled(seen[case].line(case.says))
    return f"`{case.line.removeprefix('kanjiprep ')}`", says, str(seen[case].code)


def _json(case: Case | None, seen: Mapping[Case, Answer]) -> str:
    if case is None:
        return "none"
    return f"[schema](schemas/{json_documents.file_of(case.command)}), exit {seen[case].code}"


def _codes(seen: Mapping[Case, Answer]) -> Iterable[str]:
    yield _row("code", "meaning", "seen of")
    yield _row(*["---"] * 3)
    for code, meaning in MEANINGS.items():
        found = dict.fromkeys(case.command for case, answer in seen.items() if answer.code == code)
        yield _row(str(code), meaning, "every one" if code == 0 else ", ".join(f"`{one}`" for one in found))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


VOLATILE: Final = (
    (r"[0-9a-f]{64}|[0-9a-f]{40}|\b[0-9a-f]{12}\b", "HASH"),
    (r"20\d\d-\d\d-\d\d( \d\d:\d\d UTC)?", "TIME"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"(kanjiprep-[a-z0-9-]+)-[0-9a-f]{6}\b", r"\1-ID"),
    (r"\b[\d,]+(\.\d+)? (bytes|kB|MB|GB|GiB)\b", r"N \2"),
    (r"since [\d.]+ h", "since N h"),
    (r"up to [\d.]+ USD so far", "up to N USD so far"),
    (r"at step [\d,]+|of step [\d,]+", "at step N"),
    (r"step (\d+) scores [^;]*", r"step \1 scores N"),
)
"""What is not the same the next time, and what it becomes; paths come before all of these."""


def settled(line: str, *folders: Path) -> str:
    """``line`` as it is on every machine and at every time."""
    for folder in folders:
        line = line.replace(str(folder), "HERE")
    for pattern, word in VOLATILE:
        line = re.sub(pattern, word, line)
    return " ".join(line.split())
