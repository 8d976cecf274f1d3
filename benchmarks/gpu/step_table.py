"""Memory and seconds of a training step of SD3.5, measured on the GPU of this machine, without weights and data.

The full-size transformers of Stable Diffusion 3.5 Large and Medium with random weights in bf16, a LoRA on the modules
that SimpleTuner adapts unless told otherwise, flow matching on random latents and text embeddings, under bf16
autocast as the trainer computes. Each cell is one setting: warm-up steps, then timed ones with the device idle at
both ends. Memory is PyTorch's own count, and beside it what the driver says that the process holds outside of it.
What does not fit is told. A state file makes it go on where it was. Needs torch, diffusers and peft, not kanjiprep.

Usage: python benchmarks/gpu/step_table.py --out FOLDER [--state FILE] [--seconds 560] [--device cpu --tiny]
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any

GIB = 2**30
TARGETS = ("to_k", "to_q", "to_v", "to_out.0")
"""Source: SimpleTuner 4.10.1, DEFAULT_LORA_TARGET of sd3."""
TEXT_TOKENS = 77 + 154
WARM_UP_STEPS = 3
CLIP_AT = 0.1
SHAPES: dict[str, dict[str, Any]] = {
    "large": {"num_layers": 38, "num_attention_heads": 38, "caption_projection_dim": 2432, "pos_embed_max_size": 192},
    "medium": {
        "num_layers": 24,
        "num_attention_heads": 24,
        "caption_projection_dim": 1536,
        "pos_embed_max_size": 384,
        "dual_attention_layers": tuple(range(13)),
    },
    "tiny": {"num_layers": 2, "num_attention_heads": 1, "caption_projection_dim": 64, "pos_embed_max_size": 96},
}
PEAK_TFLOPS = {"H100 80GB HBM3": 989.5, "H200": 989.5, "H100 PCIe": 756.5, "A100": 312.0}
"""Dense bf16, of NVIDIA's datasheets, by a part of the name."""


@dataclass(frozen=True)
class Cell:
    """One setting to be measured; ``kind`` is ``train``, or ``draw``: one guided step of inference."""

    flavour: str
    px: int
    batch: int
    rank: int
    checkpointing: bool = True
    optimizer: str = "adamw-bf16"
    dropout: float = 0.0
    kind: str = "train"


def plan() -> list[Cell]:
    """Every cell, the most telling first: who runs out of time has a table nevertheless."""
    return [
        *_grid("large", 128),
        *_grid("large", 768),
        Cell("large", 1024, 6, 768, dropout=0.1),
        *_drawn("large"),
        *(Cell("large", 1024, 6, rank, optimizer="adamw-fused") for rank in (768, 128)),
        *(Cell("large", px, batch, 128, checkpointing=False) for px in (1024, 512) for batch in (1, 2, 4, 6)),
        *(Cell("medium", px, batch, rank) for rank in (128, 768, 16) for px in (1024, 512) for batch in (6, 1)),
        *(Cell("medium", px, batch, 128, checkpointing=False) for px in (1024, 512) for batch in (1, 6)),
        *_drawn("medium"),
        *_grid("large", 16),
        *(Cell("large", px, batch, 768, checkpointing=False) for px in (1024, 512) for batch in (1, 2, 4, 6)),
        *_grid("large", 64),
        *_grid("large", 256),
        *(Cell("large", px, batch, 16, checkpointing=False) for px in (1024, 512) for batch in (1, 2, 4, 6)),
        Cell("large", 512, 6, 768, dropout=0.1),
        Cell("large", 1024, 1, 64, optimizer="adamw-fused"),
        Cell("large", 512, 6, 768, optimizer="adamw-fused"),
    ]


def _grid(flavour: str, rank: int) -> list[Cell]:
    return [Cell(flavour, px, batch, rank) for px, batch in product((1024, 512), (6, 1, 4, 2))]


def _drawn(flavour: str) -> list[Cell]:
    return [Cell(flavour, px, 1, 128, checkpointing=False, optimizer="none", kind="draw") for px in (1024, 512)]


class Bench:
    """A model on a device, and the LoRA that the cell at hand wants."""

    def __init__(self, flavour: str, device: str) -> None:
        self.torch: Any = importlib.import_module("torch")
        self.flavour, self.device = flavour, device
        diffusers: Any = importlib.import_module("diffusers")
        common = {"sample_size": 128, "in_channels": 16, "out_channels": 16, "attention_head_dim": 64}
        before = self.torch.get_default_dtype()
        self.torch.set_default_dtype(self.torch.bfloat16)
        try:
            with self.torch.device(device):
                self.model = diffusers.SD3Transformer2DModel(**common, **SHAPES[flavour], qk_norm="rms_norm")
        finally:
            self.torch.set_default_dtype(before)
        for one in self.model.buffers():
            one.data = one.data.to(self.torch.bfloat16)
        self.model.requires_grad_(False).train()

    @property
    def on_gpu(self) -> bool:
        """Whether the device counts memory."""
        return self.device.startswith("cuda")

    def adapt(self, cell: Cell) -> list[Any]:
        """The trained numbers of a fresh LoRA."""
        peft: Any = importlib.import_module("peft")
        wanted = {"r": cell.rank, "lora_alpha": cell.rank, "lora_dropout": cell.dropout}
        with self.torch.device(self.device):
            peft.inject_adapter_in_model(peft.LoraConfig(**wanted, target_modules=list(TARGETS)), self.model)
        trained = [one for name, one in self.model.named_parameters() if "lora_" in name]
        for one in trained:
            one.data = one.data.to(self.device, self.torch.bfloat16)
            one.requires_grad_(True)
        model = self.model
        (model.enable_gradient_checkpointing if cell.checkpointing else model.disable_gradient_checkpointing)()
        return trained

    def strip(self) -> None:
        """The model without a LoRA, and the memory given back."""
        wrapped = [name for name, one in self.model.named_modules() if hasattr(one, "lora_A")]
        for name in wrapped:
            above, _, last = name.rpartition(".")
            parent = self.model.get_submodule(above)
            setattr(parent, last, getattr(parent, last).base_layer)
        del self.model.peft_config
        _release(self.torch)

    def batch_of(self, cell: Cell) -> dict[str, Any]:
        """Latents, noise and text of one batch."""
        side, count = cell.px // 8, cell.batch
        make = {"device": self.device, "dtype": self.torch.bfloat16}
        width = self.model.config.joint_attention_dim
        return {
            "latents": self.torch.randn(count, 16, side, side, **make),
            "text": self.torch.randn(count, TEXT_TOKENS, width, **make),
            "pooled": self.torch.randn(count, self.model.config.pooled_projection_dim, **make),
        }

    def loss(self, batch: dict[str, Any]) -> Any:
        """Flow matching: the model is to say in which direction the noise lies."""
        torch, latents = self.torch, batch["latents"]
        noise = torch.randn_like(latents)
        sigma = torch.sigmoid(torch.randn(len(latents), device=self.device)).to(latents.dtype)
        share = sigma.view(-1, 1, 1, 1)
        with torch.autocast(self.device.split(":")[0], torch.bfloat16):
            said = self.model(
                hidden_states=(1 - share) * latents + share * noise,
                timestep=sigma.float() * 1000,
                encoder_hidden_states=batch["text"],
                pooled_projections=batch["pooled"],
                return_dict=False,
            )[0]
        return torch.nn.functional.mse_loss(said.float(), (noise - latents).float())

    def synchronise(self) -> None:
        """Wait until the device has nothing left to do."""
        if self.on_gpu:
            self.torch.cuda.synchronize()


def _release(torch: Any) -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class AdamWBF16:
    """AdamW on bf16 numbers with a third state that carries what rounding lost, rounding by chance as it goes.

    Source: the arithmetic, and the order of its memory traffic, of SimpleTuner 4.10.1's adamw_bf16.
    """

    def __init__(self, torch: Any, trained: Sequence[Any], rate: float = 1e-4) -> None:
        self.torch, self.trained, self.rate, self.count = torch, trained, rate, 0
        self.states = [tuple(torch.zeros_like(one) for _ in range(3)) for one in trained]

    def step(self) -> None:
        """Move every number once."""
        self.count += 1
        correction = (1 - 0.999**self.count) ** 0.5
        with self.torch.no_grad():
            for one, (mean, square, lost) in zip(self.trained, self.states, strict=True):
                mean.mul_(0.9)
                self._add(mean, one.grad.float() * 0.1)
                square.mul_(0.999).addcmul_(one.grad, one.grad, value=0.001)
                self._add(lost, mean.float() / square.sqrt().add_(1e-8) * (-self.rate * correction))
                before = one.clone()
                self._add(one, lost.float())
                self._add(lost, before.sub_(one).float())

    def _add(self, target: Any, more: Any) -> None:
        torch, exact = self.torch, target.float().add_(more)
        chance = torch.randint_like(exact, 0, 1 << 16, dtype=torch.int32)
        target.copy_(chance.add_(exact.view(torch.int32)).bitwise_and_(-65536).view(torch.float32))

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for one in self.trained:
            one.grad = None


def _optimizer(bench: Bench, cell: Cell, trained: Sequence[Any]) -> Any:
    if cell.optimizer == "adamw-fused":
        return bench.torch.optim.AdamW(trained, lr=1e-4, fused=True)
    return AdamWBF16(bench.torch, trained)


def measure(bench: Bench, cell: Cell, steps: int) -> dict[str, Any]:
    """``cell`` with its seconds and memory, or with what stopped it."""
    torch = bench.torch
    trained = bench.adapt(cell)
    if bench.on_gpu:
        torch.cuda.reset_peak_memory_stats()
    try:
        seconds = _seconds(bench, _work(bench, cell, trained), steps)
    except torch.OutOfMemoryError:
        return {**asdict(cell), "fits": False, "seen": True}
    finally:
        numbers = sum(one.numel() for one in trained)
        bench.model.zero_grad(set_to_none=True)
    median = statistics.median(seconds)
    flops = flops_of(bench, cell, numbers)
    return {
        **asdict(cell),
        "fits": True,
        "trained_parameters": numbers,
        "steps": len(seconds),
        "median_s": median,
        "least_s": min(seconds),
        "most_s": max(seconds),
        "pictures_s": cell.batch / median,
        "tflop": flops / 1e12,
        "tflops": flops / 1e12 / median,
        **(memory(torch) if bench.on_gpu else {}),
    }


def _work(bench: Bench, cell: Cell, trained: Sequence[Any]) -> Callable[[], None]:
    torch = bench.torch
    if cell.kind == "draw":
        guided = bench.batch_of(Cell(**{**asdict(cell), "batch": 2 * cell.batch}))

        def draw() -> None:
            with torch.no_grad():
                bench.loss(guided)

        return draw
    optimizer, batch = _optimizer(bench, cell, trained), bench.batch_of(cell)

    def train() -> None:
        bench.loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP_AT)
        optimizer.step()
        optimizer.zero_grad()

    return train


def _seconds(bench: Bench, work: Callable[[], None], steps: int) -> list[float]:
    for _ in range(WARM_UP_STEPS):
        work()
    bench.synchronise()
    taken = []
    for _ in range(steps):
        start = time.perf_counter()
        work()
        bench.synchronise()
        taken.append(time.perf_counter() - start)
    return taken


def memory(torch: Any) -> dict[str, float]:
    """Peaks of PyTorch's allocator, and what the process holds of the card beside it, in GiB."""
    free, whole = torch.cuda.mem_get_info()
    beside = whole - free - torch.cuda.memory_reserved()
    peaks = {"allocated_gib": torch.cuda.max_memory_allocated(), "reserved_gib": torch.cuda.max_memory_reserved()}
    return {**{name: count / GIB for name, count in peaks.items()}, "beside_gib": beside / GIB}


def flops_of(bench: Bench, cell: Cell, trained: int) -> float:
    """Operations of one step: products of matrices, recomputation included; two for a multiplication and addition.

    A frozen layer's backward pass costs one forward pass, flash attention's two and a half, the LoRA's two.
    """
    image = (cell.px // 16) ** 2
    linear, attention = _forward_flops(bench.model, image)
    if cell.kind == "draw":
        return 2 * cell.batch * (linear + attention + 2 * image * trained)
    again = int(cell.checkpointing)
    adapter = 2 * image * trained
    return cell.batch * (linear * (2 + again) + attention * (3.5 + again) + adapter * (3 + again))


def _forward_flops(model: Any, image: int) -> tuple[float, float]:
    linear = 0.0
    for name, one in model.named_modules():
        if type(one).__name__ not in ("Linear", "Conv2d") or "lora_" in name or hasattr(one, "lora_A"):
            continue
        text = any(part in name for part in ("add_", "to_add_out", "ff_context", "context_embedder"))
        once = any(part in name for part in (".linear", "embedder.linear_", "time_text_embed"))
        linear += 2 * one.weight.numel() * (1 if once else TEXT_TOKENS if text else image)
    width, both = model.config.caption_projection_dim, image + TEXT_TOKENS
    dual = len(model.config.dual_attention_layers)
    return linear, 4 * width * (both * both * model.config.num_layers + image * image * dual)


def ceilings(torch: Any) -> dict[str, float]:
    """What this card does at best: bf16 products of 8192 x 8192 matrices, and copies, counted read and written."""
    left, right = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    product_s = _best(torch, lambda: left @ right)
    source = left.repeat(16, 1)
    target = torch.empty_like(source)
    copied_s = _best(torch, lambda: target.copy_(source))
    return {"matmul_tflops": 2 * 8192**3 / product_s / 1e12, "copy_tb_s": 2 * source.nbytes / copied_s / 1e12}


def _best(torch: Any, work: Callable[[], Any]) -> float:
    taken = []
    for _ in range(12):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return min(taken[2:])


def about(torch: Any, device: str) -> dict[str, Any]:
    """Card, driver and versions."""
    versions = {name: metadata.version(name) for name in ("torch", "diffusers", "peft")}
    common = {"python": platform.python_version(), **versions, "day": time.strftime("%Y-%m-%d", time.gmtime())}
    if not device.startswith("cuda"):
        return {"card": platform.processor() or "cpu", "driver": "none", **common}
    asked = ["nvidia-smi", "--query-gpu=driver_version,power.limit,clocks.max.sm", "--format=csv,noheader"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    said = answer.strip().splitlines()[0].split(", ")
    shown = torch.cuda.get_device_properties(0)
    return {
        "card": shown.name,
        "memory_gib": shown.total_memory / GIB,
        **dict(zip(("driver", "power_limit", "most_clock"), said, strict=True)),
        "cuda": torch.version.cuda,
        **ceilings(torch),
        **common,
    }


def peak_tflops(card: str) -> float | None:
    """The maker's figure for ``card``; None where it is not on the list."""
    return next((value for part, value in PEAK_TFLOPS.items() if part in card), None)


def run(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Every cell that there is time for and that the state file does not have, as it is measured; then all."""
    torch: Any = importlib.import_module("torch")
    state, bench = Path(options.state), None
    before = json.loads(state.read_text()) if state.exists() else {"starts": [], "rows": []}
    rows, started, here = before["rows"], time.monotonic(), about(torch, options.device)
    starts = [*before["starts"], {"first_row": len(rows), **here}]
    document = {"about": starts[0], "starts": starts, "rows": rows}
    known = [{name: row[name] for name in asdict(Cell("", 0, 0, 0))} for row in rows]
    for cell in _TINY if options.tiny else plan():
        if time.monotonic() - started > options.seconds or asdict(cell) in known:
            continue
        if _is_hopeless(cell, rows):
            rows.append({**asdict(cell), "fits": False, "seen": False})
        else:
            if bench is None or bench.flavour != cell.flavour:
                bench = None  # first the old model goes, for two may be too many
                _release(torch)
                bench = Bench(cell.flavour, options.device)
            rows.append(measure(bench, cell, options.steps))
            bench.strip()
        state.write_text(json.dumps(document))
        yield rows[-1]
    yield document


_TINY = [
    *(Cell("tiny", 64, 1, 4, keeps, name) for keeps in (True, False) for name in ("adamw-bf16", "adamw-fused")),
    Cell("tiny", 64, 1, 4, checkpointing=False, optimizer="none", kind="draw"),
]


def _is_hopeless(cell: Cell, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether a smaller batch or rank of the same did not fit already."""
    same = ("flavour", "px", "checkpointing", "optimizer", "kind")
    mine = asdict(cell)
    return any(
        not row["fits"] and row["batch"] <= cell.batch and row["rank"] <= cell.rank
        and all(row[name] == mine[name] for name in same)
        for row in rows
    )  # fmt: skip


def markdown(document: dict[str, Any]) -> str:
    """The table for people."""
    card, peak = document["about"]["card"], peak_tflops(document["about"]["card"])
    head = (
        "| model | kind | px | batch | rank | checkpointing | optimizer | dropout | allocated GiB | reserved GiB "
        "| s | pictures/s | TFLOP/s | of peak |"
    )
    about = ", ".join(f"{name} {document['about'][name]}" for name in ("driver", "torch", "diffusers", "peft"))
    lines = [f"### {card}, {document['about']['day']}", "", about, "", head, "| --- " * head.count(" | ") + "| --- |"]
    return "\n".join([*lines, *(_row(row, peak) for row in document["rows"])]) + "\n"


def _row(row: dict[str, Any], peak: float | None) -> str:
    setting = [row[name] for name in ("flavour", "kind", "px", "batch", "rank")]
    setting += ["on" if row["checkpointing"] else "off", row["optimizer"], row["dropout"]]
    if not row["fits"]:
        seen = ["does not fit" if row["seen"] else "does not fit (a smaller one did not)", *[""] * 5]
        return f"| {' | '.join(map(str, [*setting, *seen]))} |"
    held = [f"{row[name]:.2f}" if name in row else "" for name in ("allocated_gib", "reserved_gib")]
    share = f"{row['tflops'] / peak:.2f}" if peak else ""
    speed = [f"{row['median_s']:.3f}", f"{row['pictures_s']:.2f}", f"{row['tflops']:.0f}", share]
    return f"| {' | '.join(map(str, [*setting, *held, *speed]))} |"


def main() -> None:
    """Measure, print every cell as it comes, write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for step_table.json and step_table.md")
    parser.add_argument("--state", help="where it goes on  [default: step_table.json in --out]")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no further cell after so long")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a model of two blocks, to try the script without a GPU")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    options.state = options.state or str(options.out / "step_table.json")
    for row in run(options):
        if "about" not in row:
            print(_row(row, None), flush=True)
            continue
        (options.out / "step_table.json").write_text(json.dumps(row, indent=1) + "\n")
        (options.out / "step_table.md").write_text(markdown(row))
        print(json.dumps({"benchmark": "step_table", "about": row["about"], "cells": len(row["rows"])}))


if __name__ == "__main__":
    main()
