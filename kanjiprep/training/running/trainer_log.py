"""How far the trainer has come, told from what it writes while it writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kanjiprep.training.running.trainer_lines import LOG_PREFIX, without_bars, without_escapes

LONGEST: Final = 4096
"""How much of a line is kept, in bytes; what tells the stage stands before that."""


class Stage(StrEnum):
    """What the trainer does, in the order of a run; from TRAINING on it goes to and fro."""

    STARTING = "starting"
    DOWNLOADING = "downloading"
    """Told only if ``TQDM_POSITION`` is -1: otherwise the Hub's client draws no bars into a file."""
    ENCODERS = "loading text encoders"
    DATASET = "reading dataset"
    CAPTIONS = "caching captions"
    PICTURES = "caching pictures"
    PROMPTS = "caching prompts"
    MODEL = "loading model"
    TRAINING = "training"
    SAVING = "saving"
    VALIDATING = "validating"
    ENDING = "ending"
    """It unloads, after the last step or an error alike: which, the exit code says."""


@dataclass(frozen=True, slots=True)
class StageSeen:
    """A stage, and how far in it.

    Attributes:
        stage: Which.
        done: Of ``total``: pictures, captions, prompts, steps, layers, or bytes of a file; None if not told.
        total: How many in this stage; None if not told.
    """

    stage: Stage
    done: int | None = None
    total: int | None = None


_BEFORE_DATASET: Final = frozenset({Stage.STARTING, Stage.DOWNLOADING, Stage.ENCODERS})
_ANY: Final = frozenset(Stage)
_RUNNING: Final = _ANY - {Stage.ENDING}
_PREPARING: Final = _RUNNING - {Stage.TRAINING, Stage.SAVING, Stage.VALIDATING}


@dataclass(frozen=True, slots=True)
class _Sign:
    """What begins a stage; what its groups ``had`` and ``made`` name was done, of ``total`` or of all there are."""

    stage: Stage
    after: frozenset[Stage]
    message: re.Pattern[str]


def _sign(stage: Stage, after: frozenset[Stage], message: str) -> _Sign:
    return _Sign(stage, after, re.compile(message))


_SIGNS: Final = (
    _sign(Stage.ENCODERS, _BEFORE_DATASET | {Stage.ENDING}, r"Loading (tokenizer \d|.{1,40} text encoder)"),
    _sign(Stage.DATASET, _ANY, r"Loading data backend config from "),
    _sign(Stage.DATASET, _PREPARING, r"Configuring data backend: |Collecting captions\."),
    _sign(
        Stage.CAPTIONS, _PREPARING, r"Initialise text embed pre-computation .{1,80} (?P<total>\d{1,15}) captions to"
    ),
    _sign(Stage.CAPTIONS, _PREPARING, r"Completed processing (?P<made>\d{1,15}) captions"),
    _sign(Stage.PICTURES, _PREPARING, r"Creating VAE latent cache: "),
    _sign(Stage.PICTURES, _PREPARING, r"VAECache has (?P<total>\d{1,15}) unprocessed files"),
    _sign(
        Stage.PICTURES,
        _PREPARING,
        r"Bucket \S+ caching results: .{1,80}'already_cached': (?P<had>\d{1,15}), "
        r"'cached': (?P<made>\d{1,15}), 'total': (?P<total>\d{1,15})",
    ),
    _sign(Stage.PROMPTS, _PREPARING, r"Precomputing (unconditional|the negative) prompt embed"),
    _sign(Stage.MODEL, _PREPARING, r"Loading diffusion model from "),
    _sign(Stage.SAVING, _RUNNING, r"Saving current state to "),
    _sign(
        Stage.VALIDATING,
        _RUNNING,
        r"\[Rank \d+\] Processing (?P<total>\d{1,15}) local validation work items",
    ),
    _sign(Stage.ENDING, _ANY, r"Unloading all model components"),
)
"""Source: helpers/data_backend/factory.py, helpers/caching/vae.py, helpers/training/validation.py (log calls),
helpers/models/common.py (load_model, unload), models/sd3/model.py; "Saving current state" is accelerate's."""

_BARS: Final = (
    _sign(
        Stage.DOWNLOADING,
        _BEFORE_DATASET | {Stage.MODEL},
        r"(\(…\))?[\w./-]+\.(safetensors|bin)(: reconstructing file)?$",
    ),
    _sign(Stage.ENCODERS, frozenset({Stage.ENCODERS}), r"Loading (weights|checkpoint shards)"),
    _sign(Stage.MODEL, frozenset({Stage.MODEL}), r"Loading (weights|checkpoint shards|pipeline components)"),
    _sign(Stage.DATASET, _PREPARING, r"Generating aspect bucket cache|Scanning image metadata|Loading captions"),
    _sign(Stage.CAPTIONS, _BEFORE_DATASET | {Stage.DATASET, Stage.CAPTIONS}, r"Processing prompts"),
    _sign(Stage.PICTURES, _PREPARING, r"Processing bucket \S+"),
    _sign(Stage.PROMPTS, _PREPARING, r"Precomputing (user prompt|validation prompt|validation image)"),
    _sign(Stage.VALIDATING, _RUNNING, r"Processing validation prompts"),
    _sign(Stage.TRAINING, _RUNNING, r"Epoch \d+/\d+,? Steps"),
)
"""Source: helpers/metadata/backends/parquet.py, helpers/prompts.py, helpers/caching/text_embeds.py and vae.py,
helpers/training/validation.py and trainer.py (descriptions of tqdm bars); the first is of huggingface_hub, the next
two of transformers."""

_NUMBER: Final = r"(\d{1,15}(?:\.\d{1,6})?)([kMGT]?)"
_BAR: Final = re.compile(rf"\s*([^|\n]{{1,100}}?): +\d+%\|[^|\n]{{0,300}}\| *{_NUMBER}/{_NUMBER} \[")
_SCALE: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_OF_A_BACKEND: Final = re.compile(r"\(id=[^()\s]{1,100}\) ")


class Reader:
    """Follows the log of one attempt, in pieces of any size.

    Cut as it may be, the same bytes give the same stages. A bar counts as soon as its numbers are there, a message
    when its line is complete. One that begins in the middle finds its way with the next stage.
    """

    def __init__(self) -> None:
        self._line = b""
        self._seen: StageSeen | None = None

    @property
    def seen(self) -> StageSeen | None:
        """The last stage that was told; None before the first word."""
        return self._seen

    def feed(self, data: bytes) -> list[StageSeen]:
        """Read on, and tell what is new: a stage, or how far in it.

        Args:
            data: The next bytes, cut anywhere.
        """
        told: list[StageSeen] = []
        *complete, rest = data.replace(b"\r", b"\n").split(b"\n")
        for piece in complete:
            self._read(self._line + piece[:LONGEST], told, is_complete=True)
            self._line = b""
        self._line = (self._line + rest[:LONGEST])[:LONGEST]
        self._read(self._line, told, is_complete=False)
        return told

    def _read(self, line: bytes, told: list[StageSeen], *, is_complete: bool) -> None:
        text = without_escapes(line[:LONGEST].decode("utf-8", "replace"))
        bar = _BAR.match(text)
        if self._seen is None and (bar or (is_complete and text.strip())):
            self._tell(StageSeen(Stage.STARTING), told)
        if bar:
            self._read_bar(bar, told)
        if is_complete:
            self._read_message(text, told)

    def _read_bar(self, bar: re.Match[str], told: list[StageSeen]) -> None:
        for sign in _BARS:
            if self._is_after(sign) and sign.message.match(bar[1]):
                self._tell(StageSeen(sign.stage, _number(bar[2], bar[3]), _number(bar[4], bar[5])), told)
                return

    def _read_message(self, text: str, told: list[StageSeen]) -> None:
        message = LOG_PREFIX.sub("", without_bars(text).strip(), count=1)
        message = _OF_A_BACKEND.sub("", message, count=1)
        for sign in _SIGNS:
            found = sign.message.match(message) if self._is_after(sign) else None
            if found:
                self._tell(_seen(sign.stage, found.groupdict()), told)
                return

    def _is_after(self, sign: _Sign) -> bool:
        return (self._seen.stage if self._seen else Stage.STARTING) in sign.after

    def _tell(self, seen: StageSeen, told: list[StageSeen]) -> None:
        if seen != self._seen:
            self._seen = seen
            told.append(seen)


def _number(digits: str, scale: str) -> int:
    return round(float(digits) * _SCALE[scale])


def _seen(stage: Stage, numbers: dict[str, str | None]) -> StageSeen:
    done = sum(int(numbers.get(name) or 0) for name in ("had", "made"))
    total = int(numbers.get("total") or done)
    return StageSeen(stage, done, total) if total else StageSeen(stage)
