"""Memory of activations in one training step, of the real models on the meta device: no GPU, no weights, no data.

Runs under the trainer's Python (diffusers, peft, torch). Every operation is followed: the peak counts the storages
that are alive at the same time, forward and backward, without weights, their gradients and the optimizer; the saved
bytes count what autograd keeps at the end of the forward pass (torch.autograd.graph.saved_tensors_hooks). Attention
is replaced by one that keeps what a flash kernel keeps (q, k, v, output, log-sum-exp), and CUDA's autocast is
imitated where it matters: linear and convolution in bf16, layer and group norm in fp32. The last line is one JSON
document, with our formula (kanjiprep.training.memory) as the rival of the measurement when --formula names it.

Usage: python benchmarks/activations.py [--only large,medium,1.5] [--formula OUR_PYTHON]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

GIB = 2**30
TARGETS = ("to_k", "to_q", "to_v", "to_out.0")
SD3: dict[str, dict[str, Any]] = {
    "large": {"num_layers": 38, "num_attention_heads": 38, "caption_projection_dim": 2432, "pos_embed_max_size": 192},
    "medium": {
        "num_layers": 24,
        "num_attention_heads": 24,
        "caption_projection_dim": 1536,
        "pos_embed_max_size": 384,
        "dual_attention_layers": tuple(range(13)),
    },
}
SD1X: dict[str, Any] = {"cross_attention_dim": 768, "attention_head_dim": 8, "sample_size": 64}


@dataclass(frozen=True)
class Case:
    """One step to be measured."""

    flavour: str
    resolution_px: int
    batch: int
    rank: int
    gradient_checkpointing: bool
    train: str = "lora"
    dropout: float = 0.0


def grid(flavours: Sequence[str]) -> list[Case]:
    """Every case: resolution x batch x rank x checkpointing, then dropout and full fine-tuning."""
    return [
        case
        for flavour in flavours
        for case in (
            *(
                Case(flavour, px, batch, rank, keeps)
                for px in (512, 1024)
                for batch in (1, 6)
                for rank in (16, 768)
                for keeps in (True, False)
            ),
            *(Case(flavour, 1024, 6, 768, keeps, dropout=0.1) for keeps in (True, False)),
            *(Case(flavour, px, 1, 0, keeps, "full") for px in (512, 1024) for keeps in (True, False)),
        )
    ]


def measure(case: Case) -> dict[str, Any]:
    """``case`` with its peak and saved bytes, modules and parameters."""
    torch: Any = importlib.import_module("torch")
    with torch.device("meta"):
        model = _model(case)
    model.to(torch.bfloat16)
    trained = _prepare(model, case)
    meter = _meter(torch, model)
    inputs = _inputs(torch, case)
    with _like_a_gpu(torch), meter, _counting_saved(torch, meter):
        output = model(**inputs).sample
    saved = sum(meter.saved.values())
    with _like_a_gpu(torch), meter:
        output.float().pow(2).mean().backward()
    modules = sum(1 for name, _ in model.named_modules() if name.endswith("lora_A.default"))
    return {
        **asdict(case),
        "peak_bytes": meter.peak,
        "saved_bytes": saved,
        "lora_modules": modules,
        "trained_parameters": sum(one.numel() for one in trained),
        "base_parameters": sum(one.numel() for name, one in model.named_parameters() if "lora_" not in name),
    }


def _model(case: Case) -> Any:
    diffusers: Any = importlib.import_module("diffusers")
    if case.flavour == "1.5":
        return diffusers.UNet2DConditionModel(**SD1X)
    common: dict[str, Any] = {"sample_size": 128, "in_channels": 16, "out_channels": 16, "attention_head_dim": 64}
    return diffusers.SD3Transformer2DModel(**common, **SD3[case.flavour], qk_norm="rms_norm")


def _prepare(model: Any, case: Case) -> list[Any]:
    if case.train == "lora":
        peft: Any = importlib.import_module("peft")
        model.requires_grad_(False)
        config = peft.LoraConfig(
            r=case.rank, lora_alpha=case.rank, lora_dropout=case.dropout, target_modules=list(TARGETS)
        )
        model.add_adapter(config)
    if case.gradient_checkpointing:
        model.enable_gradient_checkpointing()
    model.train()
    trained = [one for one in model.parameters() if one.requires_grad]
    for one in trained:
        one.data = one.data.to(importlib.import_module("torch").bfloat16)
        one.register_post_accumulate_grad_hook(_drop_gradient)
    return trained


def _inputs(torch: Any, case: Case) -> dict[str, Any]:
    side, kind = case.resolution_px // 8, {"device": "meta", "dtype": torch.bfloat16}
    if case.flavour == "1.5":
        text = torch.empty(case.batch, 77, 768, **kind)
        sample = torch.empty(case.batch, 4, side, side, **kind)
        return {"sample": sample, "timestep": torch.empty(case.batch, device="meta"), "encoder_hidden_states": text}
    return {
        "hidden_states": torch.empty(case.batch, 16, side, side, **kind),
        "encoder_hidden_states": torch.empty(case.batch, 231, 4096, **kind),
        "pooled_projections": torch.empty(case.batch, 2048, **kind),
        "timestep": torch.empty(case.batch, device="meta"),
    }


def _meter(torch: Any, model: Any) -> Any:
    """A dispatch mode with the live bytes, their peak, and the storages of weights, which do not count."""
    base: Any = importlib.import_module("torch.utils._python_dispatch").TorchDispatchMode
    each: Any = importlib.import_module("torch.utils._pytree").tree_map_only

    class Meter(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.live = self.peak = 0
            self.saved: dict[int, int] = {}
            self.known = {one.untyped_storage()._cdata for one in (*model.parameters(), *model.buffers())}

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            each(torch.Tensor, lambda one: self.see(one.untyped_storage()), result)
            return result

        def see(self, storage: Any) -> None:
            key = storage._cdata
            if key not in self.known:
                self.known.add(key)
                self.live += storage.nbytes()
                self.peak = max(self.peak, self.live)
                weakref.finalize(storage, self.forget, key, storage.nbytes())

        def forget(self, key: int, size: int) -> None:
            self.known.discard(key)
            self.live -= size

    return Meter()


def _drop_gradient(parameter: Any) -> None:
    parameter.grad = None


@contextmanager
def _counting_saved(torch: Any, meter: Any) -> Iterator[None]:
    weights = set(meter.known)

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            meter.saved[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield


@contextmanager
def _like_a_gpu(torch: Any) -> Iterator[None]:
    functional = torch.nn.functional
    real = {name: getattr(functional, name) for name in ("linear", "layer_norm", "group_norm")}
    real_conv, attention = torch.nn.Conv2d._conv_forward, functional.scaled_dot_product_attention
    functional.linear = lambda x, weight, bias=None: real["linear"](x.to(weight.dtype), weight, bias)
    functional.layer_norm = lambda x, *rest, **more: real["layer_norm"](x.float(), *map(_float, rest), **more)
    functional.group_norm = lambda x, groups, *rest, **more: real["group_norm"](
        x.float(), groups, *map(_float, rest), **more
    )
    torch.nn.Conv2d._conv_forward = lambda conv, x, weight, bias: real_conv(conv, x.to(weight.dtype), weight, bias)
    functional.scaled_dot_product_attention = _flash(torch)
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(functional, name, function)
        torch.nn.Conv2d._conv_forward = real_conv
        functional.scaled_dot_product_attention = attention


def _float(value: Any) -> Any:
    return value.float() if hasattr(value, "is_floating_point") else value


def _flash(torch: Any) -> Any:
    class Flash(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, query: Any, key: Any, value: Any) -> Any:
            output = torch.empty_like(query)
            log_sum_exp = torch.empty(query.shape[:3], dtype=torch.float32, device=query.device)
            context.save_for_backward(query, key, value, output, log_sum_exp)
            return output

        @staticmethod
        def backward(context: Any, _gradient: Any) -> Any:
            query, key, value, _, _ = context.saved_tensors
            return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)

    def attend(query: Any, key: Any, value: Any, *_rest: Any, **_more: Any) -> Any:
        half = torch.bfloat16
        return Flash.apply(query.to(half), key.to(half), value.to(half))

    return attend


def formula(python: str, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """What kanjiprep.training.memory says of each row, in bytes, asked of another Python."""
    code = (
        "import json,sys\n"
        "from kanjiprep.training.memory import activation_bytes\n"
        "from kanjiprep.training.models import Workload\n"
        "rows=json.load(sys.stdin)\n"
        "print(json.dumps([activation_bytes(Workload(**row)) for row in rows]))"
    )
    asked = [
        {
            "family": "sd1x" if row["flavour"] == "1.5" else "sd3",
            "rank": max(row["rank"], 1),
            **{name: row[name] for name in ("flavour", "resolution_px", "batch", "gradient_checkpointing", "train")},
            "dropout": row["dropout"],
        }
        for row in rows
    ]
    root = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [python, "-c", code],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    return [int(value) for value in json.loads(done.stdout)]


def main() -> None:
    """Measure, print a table, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="large,medium,1.5")
    parser.add_argument("--formula", help="a Python that has kanjiprep")
    options = parser.parse_args()
    rows = [measure(case) for case in grid(options.only.split(","))]
    ours = formula(options.formula, rows) if options.formula else []
    head = f"{'model':7} {'px':>5} {'batch':>5} {'rank':>5} {'train':5} {'ckpt':5} {'drop':>4}"
    print(f"{head} {'saved':>9} {'peak':>9} {'formula':>9}")
    for number, row in enumerate(rows):
        said = f"{ours[number] / GIB:9.3f} {ours[number] / row['peak_bytes'] - 1:+7.1%}" if ours else ""
        print(
            f"{row['flavour']:7} {row['resolution_px']:5} {row['batch']:5} {row['rank']:5} {row['train']:5} "
            f"{'on' if row['gradient_checkpointing'] else 'off':5} {row['dropout']:4} "
            f"{row['saved_bytes'] / GIB:9.3f} {row['peak_bytes'] / GIB:9.3f} {said}"
        )
    ratios = [value / row["peak_bytes"] for value, row in zip(ours, rows, strict=False)]
    worst = {"least_ratio_formula_to_measured": min(ratios), "most": max(ratios)} if ratios else {}
    print(json.dumps({"benchmark": "activations", "rows": rows, **worst}))


if __name__ == "__main__":
    main()
