"""Readers of adapters and of ComfyUI's workflows and answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from kanjiprep.errors import InputError, RemoteError, TrainerError, UsageError
from kanjiprep.evaluation.weights import lora_settings
from kanjiprep.progress import silent
from kanjiprep.publishing.comfyui.checks import checking
from kanjiprep.publishing.comfyui.forms import reading
from kanjiprep.publishing.comfyui.forms.ui_form import to_ui
from kanjiprep.publishing.comfyui.graph import to_api
from kanjiprep.publishing.comfyui.live import answers, refusals
from kanjiprep.publishing.comfyui.nodes import TABLE
from kanjiprep.publishing.doctor import examined, fixed, parts
from tests import comfyui_workflows, lora_files
from tests.fuzz import publishing_seeds as seeds
from tests.fuzz.judge import Reader
from tests.fuzz.target import Target, of_file

_MOST_DATA: Final = 1 << 16
_ID: Final = "b2c5a9f1"


def _adapter(path: Path) -> None:
    """All that the doctor does: examine, and mend if it can be mended."""
    found = examined.examine(path, is_deep=True)
    for one in (*found.problems, *found.warnings):
        assert one.what.strip()
        assert "\n" not in one.what
    if found.verdict != "unfit":
        out = path.with_name("mended.safetensors")
        fixed.fix(path, out, None, None, silent)
        assert examined.examine(out, is_deep=True).verdict == "sound", "a mended file is not sound"
    parts.source(path)


def _header(folder: Path) -> Reader:
    """The input is the header alone; what it describes is there as far as 64 KiB."""
    path = folder / "adapter.safetensors"

    def take(data: bytes) -> None:
        size = min(_MOST_DATA, max([0, *_ends(data)]))
        path.write_bytes(len(data).to_bytes(8, "little") + data + b"\x80\x3c" * (size // 2) + b"\0" * (size % 2))
        _adapter(path)

    return take


def _ends(data: bytes) -> list[int]:
    try:
        entries: list[Any] = list(json.loads(data).values())
        return [int(one["data_offsets"][1]) for one in entries if isinstance(one, dict) and "data_offsets" in one]
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        return []


def _settings(folder: Path) -> Reader:
    """The input is what PEFT was told."""
    path = folder / "adapter.safetensors"
    tensors = lora_files.named(lora_files.weights(lora_files.SD3[:3]), "diffusers-peft")

    def take(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        found = lora_settings.read({lora_settings.KEY: text})
        assert lora_settings.write(found, {"to_q": 4})
        _adapter(lora_files.write(path, tensors, {lora_settings.KEY: text}))

    return take


def _workflow(path: Path) -> None:
    reading.is_foreign(path)
    checked = checking.check_file(path)
    assert all(one.what.strip() for one in checked.findings)
    json.dumps(to_api(checked.workflow))
    to_ui(checked.workflow, TABLE)


def _said(_: Path) -> Reader:
    workflow = comfyui_workflows.SD3

    def take(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        answers.heard(text, _ID)
        table = answers._table(reading.parsed(text, "answer"))
        answers.place_of(table, _ID)
        outcome = answers.outcome_of(table, _ID, workflow)
        if outcome is not None and outcome.fault is not None:
            raise refusals.failure(outcome.fault, workflow, "kanji")
        raise refusals.refusal(table, workflow, "kanji")

    return take


TARGETS: Final = (
    Target("safetensors", of_file("adapter.safetensors", _adapter), seeds.adapters, (TrainerError,)),
    Target("lora-header", _header, seeds.headers, (TrainerError,), "json"),
    Target("lora-settings", _settings, seeds.settings, (TrainerError,), "json"),
    Target("workflow", of_file("workflow.json", _workflow), seeds.workflows, (InputError,), "json"),
    Target("workflow-png", of_file("workflow.png", _workflow), seeds.pictures, (InputError,)),
    Target("comfyui-answers", _said, seeds.server_answers, (InputError, RemoteError, UsageError), "json"),
)
