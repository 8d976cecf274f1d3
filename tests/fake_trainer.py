"""A small program in the place of SimpleTuner 4.10.1's train.py: it trains nothing, and leaves behind the same.

It needs nothing but Python. What it does beside its work is read from the file that ``FAKE_TRAINER`` names: a list of
``Faults`` as tables, one for each start in turn, the last for all further ones. Every start is put down beside that
file, in ``.starts``, one line of JSON each.

Source of what it does and writes: tests/trainer_logs, which the real one wrote, and its train.py, trainer.py,
local_metrics.py and checkpoint_manager.py.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

VARIABLE: Final = "FAKE_TRAINER"
STARTS: Final = ".starts"
STEPS_AN_EPOCH: Final = 4
PICTURES: Final = 24
CALM: Final = 0.006
CHECKPOINT: Final = re.compile(r"checkpoint-(\d+)")
METRIC_NAMES: Final = ["epoch", "grad_norm", "learning_rate", "step_speed_seconds", "train_loss"]


@dataclass(frozen=True)
class Faults:
    """What goes otherwise than well, by the trainer's own count of steps.

    Attributes:
        step_s: Seconds a step.
        cache_s: Seconds until the first one.
        save_s: Seconds that a checkpoint is written for.
        gradients: Norms of the first steps; None is one that is dropped because it was not finite.
        calm_to: The last step with a calm norm; what follows is a thousand times as high.
        nan_at: The step whose loss is not finite.
        raise_at: The step at which it fails with a traceback.
        exit_at: A step, and the code that it leaves with after it, without a word.
        hang_at: The step that is never done; 0 for a dataset that is never read.
        black_from: From this step on pictures are black.
        ignore_sigterm: It is not moved by SIGTERM.
        child: It starts a process in a session of its own, which would live on without it.
        torn_s: Seconds between the halves of a line of metrics.
        weigh_bytes: Size of the optimizer's state in a checkpoint.
        says: A line for the log before the first step.
    """

    step_s: float = 0.01
    cache_s: float = 0.0
    save_s: float = 0.0
    gradients: list[float | None] = field(default_factory=list)
    calm_to: int | None = None
    nan_at: int | None = None
    raise_at: int | None = None
    exit_at: tuple[int, int] | None = None
    hang_at: int | None = None
    black_from: int | None = None
    ignore_sigterm: bool = False
    child: bool = False
    torn_s: float = 0.0
    weigh_bytes: int = 20_000
    says: str = ""


def faults_of_this_start() -> Faults:
    """What is planned for this start, which is put down."""
    plan = Path(os.environ[VARIABLE])
    starts = plan.with_suffix(STARTS)
    before = len(starts.read_text("utf-8").splitlines()) if starts.exists() else 0
    mine = {"pid": os.getpid(), "at": time.time(), "argv": sys.argv, "cwd": str(Path.cwd()), "env": dict(os.environ)}
    with starts.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(mine) + "\n")
    planned = json.loads(plan.read_text("utf-8"))
    return Faults(**planned[min(before, len(planned) - 1)])


def info(text: str) -> None:
    """A line as its logger writes it."""
    now = datetime.now(UTC)
    out(f"[RANK 0] {now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d} [INFO] {text}\n")


def out(text: str) -> None:
    """Straight into the log, whatever the locale; that the disk is full does not matter here."""
    with contextlib.suppress(OSError):
        os.write(1, text.encode())


def bar(what: str, done: int, total: int, more: str = "") -> None:
    """A bar as tqdm draws it, without a line break."""
    share = done / total if total else 1.0
    out(f"\r{what}: {share:4.0%}|{'█' * int(share * 10):<10}| {done}/{total} [00:08<00:05,  1.29s/it{more}]")


def utc() -> str:
    return datetime.now(UTC).isoformat()


def signal_consumer(path: Path, key: str) -> Callable[[], bool]:
    """Word for word what train.py's ``_build_signal_consumer`` does, without its warnings."""
    seen, pending, last_mtime = 0, 0, -math.inf

    def consume() -> bool:
        nonlocal seen, pending, last_mtime
        try:
            mtime = path.stat().st_mtime
        except OSError:
            return False
        if mtime > last_mtime:
            last_mtime = mtime
            try:
                payload = json.loads(path.read_text("utf-8"))
                count = int(payload.get(key, 0))
            except (OSError, ValueError, TypeError, AttributeError):
                return False
            if count > seen:
                pending += count - seen
                seen = count
        if pending > 0:
            pending -= 1
            return True
        return False

    return consume


def png(side: int, *, black: bool) -> bytes:
    """A picture: dark strokes on a light ground, or nothing at all."""
    row_of_ground, row_of_strokes = b"\x00" + b"\xf0" * side, b"\x00" + (b"\x20" * 24 + b"\xf0" * 40) * (side // 64)
    rows = [b"\x00" * (side + 1) if black else row_of_strokes if y % 64 < 24 else row_of_ground for y in range(side)]
    parts = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b"".join(rows)))]
    chunks = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
              for name, data in [*parts, (b"IEND", b"")])  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


class Metrics:
    """``report_to: simpletuner``."""

    def __init__(self, output: Path, config: dict[str, Any], torn_s: float) -> None:
        self._output, self._torn_s = output, torn_s
        self._manifest: dict[str, Any] = {"schema_version": 1, "created_at": utc(), "last_step": None}
        if (output / "training_metrics.json").is_file():
            self._manifest = json.loads((output / "training_metrics.json").read_text("utf-8"))
        self._manifest |= {"status": "running", "config": {"learning_rate": config["learning_rate"]}}
        self._manifest |= {"metric_names": METRIC_NAMES, "record_count": self._manifest.get("record_count", 0)}
        self._write()

    def log(self, step: int, metrics: dict[str, float | None]) -> None:
        """A line; what is not finite is left out."""
        kept = {name: value for name, value in metrics.items() if value is not None}
        line = {"schema_version": 1, "timestamp": utc(), "step": step, "metrics": kept}
        text = json.dumps(line, separators=(",", ":"), sort_keys=True) + "\n"
        with append_to(self._output / "training_metrics.jsonl") as stream:
            stream.write(text[: len(text) // 2])
            if self._torn_s:
                stream.flush()
                time.sleep(self._torn_s)
            stream.write(text[len(text) // 2 :])
        self._manifest |= {"last_step": step, "record_count": self._manifest["record_count"] + 1}
        self._write()

    def finish(self) -> None:
        """Say that all is done and saved."""
        self._manifest["status"] = "completed"
        self._write()

    def _write(self) -> None:
        self._output.mkdir(parents=True, exist_ok=True)
        aside = self._output / "training_metrics.json.tmp"
        aside.write_text(json.dumps({**self._manifest, "updated_at": utc()}, indent=2) + "\n", "utf-8")
        aside.replace(self._output / "training_metrics.json")


def append_to(path: Path) -> Any:
    """``path`` to append to; its folder is made anew if somebody took it away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a", encoding="utf-8")


class FakeTrainer:
    """One start, from its caches to its last file."""

    def __init__(self, config: dict[str, Any], faults: Faults) -> None:
        self.config, self.faults = config, faults
        self.output = Path(config["output_dir"])
        self.total = int(config["max_train_steps"])
        self.rate = float(config["learning_rate"])
        self.step = 0
        self.wants_checkpoint = signal_consumer(
            Path(os.environ["SIMPLETUNER_ACCELERATE_SIGNAL_FILE"]), "manual_checkpoint"
        )
        self.prompts: dict[str, str] = json.loads(Path(config["user_prompt_library"]).read_text("utf-8"))
        if "init_lora" in config and config.get("init_lora_step") != 0:
            raise ValueError("init_lora_step cannot be combined with resume_from_checkpoint")

    def prepare(self) -> None:
        """All that comes before the first step."""
        model = self.config["pretrained_model_name_or_path"]
        info(f"Loading tokenizer 1: CLIPTokenizer with args: {{'pretrained_model_name_or_path': '{model}'}}")
        bar("Loading weights", 37, 37)
        out("\n")
        info(f"Loading data backend config from {self.config['data_backend_config']}")
        if self.faults.hang_at == 0:
            time.sleep(600)
        info("(id=kanji) Collecting captions.")
        info(
            "(id=kanji) Initialise text embed pre-computation using the parquet caption strategy. "
            f"We have {PICTURES} captions to process."
        )
        info(f"(id=kanji) Completed processing {PICTURES} captions.")
        info("(id=kanji) Creating VAE latent cache: vae_cache_dir='/run/cache/vae'")
        info(f"VAECache has {PICTURES} unprocessed files.")
        for done in (0, PICTURES // 2, PICTURES):
            bar("Processing bucket 1.0", done, PICTURES)
            time.sleep(self.faults.cache_s / 3)
        out("\n")
        info("Precomputing the negative prompt embed for validations: blurry, cropped, ugly")
        if "init_lora" in self.config:
            Path(self.config["init_lora"]).read_bytes()
        info(f"Loading diffusion model from {model}")
        self.resume()
        self.metrics = Metrics(self.output, self.config, self.faults.torn_s)
        if self.faults.says:
            out(f"{self.faults.says}\n")

    def resume(self) -> None:
        """From the checkpoint with the highest number, whole or not; its rate and not the config's counts."""
        found = [(int(match[1]), path) for path in self.output.glob("checkpoint-*")
                 if (match := CHECKPOINT.fullmatch(path.name))]  # fmt: skip
        if found:
            latest = max(found)[1]
            info(f"Resuming from checkpoint {latest}")
            self.step = int(json.loads((latest / "training_state.json").read_text("utf-8"))["global_step"])
            self.rate = float(json.loads((latest / "scheduler.bin").read_text("utf-8"))["learning_rate"])

    def train(self) -> None:
        """Every step, and the last file."""
        self.draw()
        while self.step < self.total:
            self.take_step()
        (self.output / "pytorch_lora_weights.safetensors").write_bytes(b"weights")
        info("[RANK 0] - Repeats: 0")
        self.metrics.finish()

    def take_step(self) -> None:
        """One of the optimizer's, in the order of trainer.py: checkpoint, metrics, pictures."""
        began_s, number = time.monotonic(), self.step + 1
        if number == self.faults.hang_at:
            time.sleep(600)
        if number == self.faults.raise_at:
            raise ValueError("Optimizer nope_optimizer not found.")
        if number == self.faults.nan_at:
            raise RuntimeError(
                "Non-finite training loss detected (loss=nan, data_backend_id=kanji, filepaths=['/run/亜.png'])"
            )
        time.sleep(self.faults.step_s)
        self.step = number
        self.draw()
        if self.wants_checkpoint() or self.step % int(self.config["checkpoint_step_interval"]) == 0:
            self.save()
        try:
            self.log(time.monotonic() - began_s)
        except OSError as error:
            info(f"Failed to log to accelerator; ignoring error: {error}")
        if self.step % int(self.config["validation_step_interval"]) == 0:
            self.paint()
        if self.faults.exit_at and self.step == self.faults.exit_at[0]:
            os._exit(self.faults.exit_at[1])

    def log(self, seconds: float) -> None:
        """The line of a step, and now and then one of the system."""
        metrics = {
            "train_loss": 4.2 + 0.1 * math.sin(self.step), "optimization_loss": 4.2, "grad_norm": self.gradient(),
            "learning_rate": self.rate, "epoch": float(self.epoch), "step_speed_seconds": seconds,
        }  # fmt: skip
        self.metrics.log(self.step, metrics)
        if self.step % STEPS_AN_EPOCH == 1:
            self.metrics.log(self.step, {"system/cpu_percent": 51.5, "system/disk_free_gb": 62.7})

    def gradient(self) -> float | None:
        """The norm of this step."""
        if self.step <= len(self.faults.gradients):
            return self.faults.gradients[self.step - 1]
        calm = CALM * (1 + 0.2 * math.sin(7.0 * self.step))
        return calm * (1000 if self.faults.calm_to is not None and self.step > self.faults.calm_to else 1)

    @property
    def epoch(self) -> int:
        return 1 + max(0, self.step - 1) // STEPS_AN_EPOCH

    def draw(self) -> None:
        """The bar of the steps."""
        told = f", lr={self.rate:.3g}, step_loss=4.35" if self.step else ""
        bar(f"Epoch {self.epoch}/{-(-self.total // STEPS_AN_EPOCH)}, Steps", self.step, self.total, told)

    def save(self) -> None:
        """A checkpoint; the oldest make room, and its guard comes last."""
        folder = self.output / f"checkpoint-{self.step}"
        out("\n")
        info(f"[RANK 0] Saving current state to {folder}")
        kept = sorted((int(match[1]), path) for path in self.output.glob("checkpoint-*")
                      if (match := CHECKPOINT.fullmatch(path.name)))  # fmt: skip
        for _, path in kept[: max(0, len(kept) - int(self.config["checkpoints_total_limit"]) + 1)]:
            shutil.rmtree(path)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pytorch_lora_weights.safetensors").write_bytes(f"weights of step {self.step}".encode())
        time.sleep(self.faults.save_s)
        (folder / "optimizer.bin").write_bytes(b"\0" * self.faults.weigh_bytes)
        info(f"[RANK 0] Optimizer state saved in {folder / 'optimizer.bin'}")
        (folder / "scheduler.bin").write_text(json.dumps({"learning_rate": self.rate}), "utf-8")
        (folder / "training_state.json").write_text(json.dumps({"global_step": self.step}), "utf-8")
        (folder / "checkpoint_manifest.json").write_text("{}", "utf-8")
        (folder / ".guard").write_text("complete", "utf-8")

    def paint(self) -> None:
        """A picture for each prompt."""
        texts = list(self.prompts.values())
        out("\n")
        info(
            f"[Rank 0] Processing {len(texts)} local validation work items (distributed_mode=False, "
            f"total={len(texts)}, validation_worker_count=1, cp_validation=False, work_item_prompts={texts})"
        )
        size = self.config["validation_resolution"]
        black = self.faults.black_from is not None and self.step >= self.faults.black_from
        (self.output / "validation_images").mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(self.prompts):
            bar("Processing validation prompts", number, len(texts))
            inside = f"validation_images/step_{self.step}_{name}_0_{size}.png"
            (self.output / inside).write_bytes(png(int(size.split("x")[0]), black=black))
            told = {"index": 0, "label": name, "path": inside, "resolution": size, "schema_version": 1}
            with append_to(self.output / "validation_media.jsonl") as stream:
                stream.write(json.dumps({**told, "step": self.step, "timestamp": utc(), "type": "image"}) + "\n")
        bar("Processing validation prompts", len(texts), len(texts))
        out("\r          \x1b[A")
        self.draw()


def unload() -> None:
    """Its goodbye, whatever happened."""
    out("\n")
    info("Unloading all model components...")
    info("Model components unloaded successfully.")


def main() -> int:
    """Train as CONFIG_PATH says; the exit code is that of train.py."""
    faults = faults_of_this_start()
    if faults.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if faults.child:
        subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        trainer = FakeTrainer(json.loads((Path(os.environ["CONFIG_PATH"]) / "config.json").read_bytes()), faults)
        trainer.prepare()
        trainer.train()
    except KeyboardInterrupt:
        unload()
        return 0
    except Exception:  # noqa: BLE001 - as train.py does
        unload()
        out(traceback.format_exc())
        return 1
    out("\n")
    unload()
    return 0


if __name__ == "__main__":
    sys.exit(main())
