"""Workflows for ComfyUI that are published with an adapter: those of its checkpoint, with its file's name there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.publishing import extras
from kanjiprep.publishing.choice import Chosen
from kanjiprep.publishing.comfyui.written import folder
from kanjiprep.publishing.comfyui.written.folder import Entry
from kanjiprep.training.running.attempts import WEIGHTS

_LORA: Final = re.compile(r"(?:.*[/\\])?(?P<file>[^/\\]+-step-(?P<step>\d{1,12})\.safetensors)")
"""What ``kanjiprep comfyui`` calls a LoRA of a run, in a folder or in none."""


@dataclass(frozen=True, slots=True)
class Workflows:
    """What goes along.

    Attributes:
        files: Bytes by path in the repository.
        notes: What was left out and why, a sentence each.
    """

    files: Mapping[str, bytes]
    notes: tuple[str, ...]


def workflows(run: Path, beside: Iterable[tuple[Path, str]], chosen: Chosen) -> Workflows:
    """Workflows of ``run`` that are for the checkpoint ``chosen``, and name its file as the repository does.

    Args:
        run: Its folder.
        beside: Files and their paths in the repository; others than workflows are passed over.
        chosen: The checkpoint.

    Raises:
        TrainerError: If a file cannot be read.
    """
    before = folder.entries(run / extras.COMFYUI)
    files, notes = {}, []
    for path, name in beside:
        if not name.startswith(f"{extras.COMFYUI}/"):
            continue
        data = _read(path)
        found = _loras(data)
        fault = _fault(found, chosen, before)
        if fault:
            again = f"; export it again with kanjiprep comfyui {run} --checkpoint {chosen.step}" if found else ""
            notes.append(f"{name} is left out, since it {fault}{again}")
        else:
            files[name] = _named_anew(data, found)
    return Workflows(files, tuple(notes))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TrainerError(f"cannot be read: {os_reason(error)}", str(path), "check its permissions") from error


def _loras(data: bytes) -> frozenset[str]:
    """Names of LoRAs in a workflow that are of a run, or as the repository has it."""
    try:
        return frozenset(one for one in _strings(json.loads(data)) if one == WEIGHTS or _LORA.fullmatch(one))
    except (ValueError, RecursionError):
        return frozenset()


def _strings(document: Any) -> Iterator[str]:
    left = [document]
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict | list):
            left.extend(one.values() if isinstance(one, dict) else one)


def _fault(names: Iterable[str], chosen: Chosen, before: Mapping[str, Entry]) -> str:
    """Why it does not belong to the checkpoint, a phrase; empty if it does."""
    found = [match for name in sorted(names) if (match := _LORA.fullmatch(name))]
    others = sorted({step for match in found if (step := int(match["step"])) != chosen.step})
    if others:
        return f"is made of step {others[0]:,}, and step {chosen.step:,} is published"
    sources = {before[match["file"]].source for match in found if match["file"] in before} - {""}
    if sources - {folder.fingerprint(chosen.weights)}:
        return f"is made of an earlier file of step {chosen.step:,}"
    return "" if names else "names no LoRA of the run"


def _named_anew(data: bytes, names: Iterable[str]) -> bytes:
    """The same text with another name, however the old one is escaped."""
    text, new = data.decode(json.detect_encoding(data), "surrogatepass"), json.dumps(WEIGHTS)
    for name in names:
        plain, ascii_only = json.dumps(name, ensure_ascii=False), json.dumps(name)
        for old in (plain, ascii_only, plain.replace("/", "\\/"), ascii_only.replace("/", "\\/")):
            text = text.replace(old, new)
    return text.encode("utf-8", "surrogatepass")
