"""What can be seen of a box before anything is brought there: one question, nothing changed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.training.remote.box import scripts
from kanjiprep.training.remote.box.scripts import ROOT, Far

HUB: Final = "https://huggingface.co"
_SCRIPT: Final = Path(__file__).with_name("survey.sh")
_TIMEOUT_S: Final = 120.0
_TOKEN: Final = re.compile(r"""[!#-&(-\[\]-~]*\Z""")
"""Without spaces, quotes and backslashes, which curl reads otherwise in a file of its settings."""
_URL: Final = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&()*+,;=%\[\]-]+\Z")

Gate = Literal["not asked", "open", "closed", "no such model", "busy", "unreachable"]
_GATES: Final[Mapping[str, Gate]] = {
    **dict.fromkeys(("200", "301", "302", "303", "307", "308"), "open"),
    **dict.fromkeys(("401", "403"), "closed"),
    "404": "no such model",
    "429": "busy",
}


@dataclass(frozen=True, slots=True)
class BoxGpu:
    """One GPU of a box; ``memory_bytes`` is None where the driver does not tell."""

    name: str
    driver: str
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Survey:
    """A box as it was found.

    Attributes:
        system: As uname calls it.
        machine: As uname calls it.
        home: The user's folder.
        free_bytes: On the disk of our folder; None if it is not told.
        writable: Whether our folder can be made or written.
        memory_bytes: Of the machine; None if it is not told.
        tools: Of those that we ask for, the ones that are there.
        pythons: Versions.
        uv: Its version as it says it; empty if there is none.
        gpus: As the driver tells; none where there is no driver.
        clock_off_s: How far its clock is ahead of ours.
        hub: How the Hub answers it about the model.
        wheel: Digest of our wheel that is set up; empty if none is.
        trainer: What the trainer's environment says of itself; empty if it is not finished.
        own_trainer: A SimpleTuner that the box's own settings name.
        runs: Names of runs that were launched there.
    """

    system: str
    machine: str
    home: str = ""
    free_bytes: int | None = None
    writable: bool = True
    memory_bytes: int | None = None
    tools: frozenset[str] = frozenset()
    pythons: tuple[str, ...] = ()
    uv: str = ""
    gpus: tuple[BoxGpu, ...] = ()
    clock_off_s: float | None = None
    hub: Gate = "not asked"
    wheel: str = ""
    trainer: str = ""
    own_trainer: str = ""
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What the Hub is asked from there.

    Attributes:
        repo_id: Of the model whose licence must be accepted; empty to ask nothing.
        token: The user's; it goes there over stdin and into no file.
        endpoint: Address of the Hub.
        filename: That is asked for.
    """

    repo_id: str = ""
    token: str = field(default="", repr=False)
    endpoint: str = HUB
    filename: str = "model_index.json"

    @property
    def url(self) -> str:
        """What is asked for, or nothing."""
        return f"{self.endpoint.rstrip('/')}/{self.repo_id}/resolve/main/{self.filename}" if self.repo_id else ""


def survey(
    far: Far, question: Question = Question(), root: str = ROOT, clock: Callable[[], float] = time.time
) -> Survey:
    """The box as it is now.

    Raises:
        UsageError: If the token or the address is none.
        RemoteError: If the box cannot be reached or its answer is not understood.
    """
    if not _TOKEN.match(question.token):  # it is not repeated
        raise UsageError("holds spaces or letters that no token has", "HF_TOKEN", "copy it again")
    if question.url and not _URL.match(question.url):
        raise UsageError(f"{question.url!r:.200} is no address", "", "look at HF_ENDPOINT and the model's name")
    values = {"root": root, "kanjiprep_token": question.token, "kanjiprep_url": question.url}
    before = clock()
    said = scripts.ask(far, _SCRIPT.read_text("utf-8"), values, _TIMEOUT_S, hidden=(question.token,))
    return parse(far.name, said.out.decode("utf-8", "replace"), (before, clock()))


def parse(name: str, text: str, ours: tuple[float, float]) -> Survey:
    """The survey in ``text``; lines that are no ``key=value`` are passed over.

    Args:
        name: Of the box.
        text: What it said.
        ours: Our clock before and after.

    Raises:
        RemoteError: If it does not even tell its system.
    """
    told = _told(text)
    system, machine = _one(told, "system"), _one(told, "machine")
    if not system or not machine:
        raise RemoteError("does not tell what machine it is", name, "look whether uname works there")
    return Survey(
        system=system,
        machine=machine,
        home=_one(told, "home"),
        free_bytes=_bytes(_one(told, "free_kib"), 1024),
        writable=_one(told, "writable") != "no",
        memory_bytes=_bytes(_one(told, "memory_kib"), 1024),
        tools=frozenset(told.get("tool", ())),
        pythons=tuple(dict.fromkeys(one for one in told.get("python", ()) if re.match(r"\d+\.\d+", one))),
        uv=_one(told, "uv"),
        gpus=_gpus(told.get("gpu", ())),
        clock_off_s=_off_s(_one(told, "clock"), _one(told, "clock_after"), ours),
        hub=_gate(told.get("hub")),
        wheel=_one(told, "wheel"),
        trainer=_one(told, "trainer"),
        own_trainer=_one(told, "own_trainer"),
        runs=tuple(told.get("run", ())),
    )


def _told(text: str) -> dict[str, list[str]]:
    """Every value that was told, by key."""
    told: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and value.strip():
            told.setdefault(key.strip(), []).append(value.strip())
    return told


def _one(told: Mapping[str, Sequence[str]], key: str) -> str:
    return told[key][0] if key in told else ""


def _bytes(text: str, unit_bytes: int) -> int | None:
    return int(text) * unit_bytes if re.fullmatch(r"[0-9]{1,18}", text) else None


def _gpus(lines: Sequence[str]) -> tuple[BoxGpu, ...]:
    rows = [[cell.strip() for cell in line.split(",")] for line in lines]
    return tuple(BoxGpu(row[0], row[1], _bytes(row[2], 2**20)) for row in rows if len(row) == 3)  # noqa: PLR2004


def _gate(said: Sequence[str] | None) -> Gate:
    if said is None:
        return "not asked"
    return _GATES.get(said[0], "busy" if said[0].startswith("5") else "unreachable")


def _off_s(first: str, last: str, ours: tuple[float, float]) -> float | None:
    """How far its clock is ahead; within the time that the question took, it agrees."""
    if not re.fullmatch(r"[0-9]{1,12}", first) or not re.fullmatch(r"[0-9]{1,12}", last):
        return None
    least, most = float(last) - ours[1], float(first) + 1 - ours[0]  # whole seconds, rounded down
    return least if least > 0 else min(most, 0.0)
