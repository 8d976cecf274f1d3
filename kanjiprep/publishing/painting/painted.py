"""A picture's file: its name, the words inside it, and whether a file that is there is the one that is wanted."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import kanjiprep
from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.publishing.painting.wish import Wish
from kanjiprep.training.running import files

if TYPE_CHECKING:
    from PIL import Image

_CHUNK: Final = "kanjiprep"
_PARAMETERS: Final = "parameters"
KIND: Final = "picture"
_END_BYTES: Final = 2**16
_SAMPLERS: Final = {
    "FlowMatchEulerDiscreteScheduler": "Euler",
    "PNDMScheduler": "PLMS",
    "DDIMScheduler": "DDIM",
    "EulerDiscreteScheduler": "Euler",
    "DPMSolverMultistepScheduler": "DPM++ 2M",
}
_LARGEST_TEXT: Final = 2**20
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Origin:
    """What paints, as far as it is written into pictures.

    Attributes:
        model: Name of what was trained; empty for the base model alone.
        kind: ``lora`` or ``full``; empty for the base model alone.
        step: Of its run.
        sha256: Of the LoRA's file, or a fingerprint of the trained part's files.
        base: The base model: a repository, or the name of a folder.
        base_print: Fingerprint of its files.
        sampler: Class of its scheduler.
    """

    model: str
    kind: str
    step: int | None
    sha256: str
    base: str
    base_print: str
    sampler: str


def fingerprint(paths: tuple[Path, ...]) -> str:
    """What tells files of weights from others: their names, sizes, first and last bytes, hashed.

    Raises:
        TrainerError: If one cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                digest.update(f"{path.parent.name}/{path.name} {size}\n".encode())
                digest.update(stream.read(_END_BYTES))
                stream.seek(max(0, size - _END_BYTES))
                digest.update(stream.read())
        except OSError as error:
            raise TrainerError(f"cannot be read: {os_reason(error)}", str(path), "check its permissions") from error
    return digest.hexdigest()


def identity(wish: Wish, origin: Origin) -> dict[str, Any]:
    """All that decides what a picture looks like, as a table."""
    return {"wish": dataclasses.asdict(wish), "origin": dataclasses.asdict(origin)}


def encoded(picture: Image.Image, wish: Wish, origin: Origin, made_with: Mapping[str, str]) -> bytes:
    """``picture`` as PNG with its words inside.

    Args:
        picture: As painted.
        wish: What it was asked for with.
        origin: What painted it.
        made_with: Versions, device and type of numbers.
    """
    from PIL import PngImagePlugin

    words = PngImagePlugin.PngInfo()
    tool = {"kind": KIND, "tool": f"kanjiprep {kanjiprep.__version__}"}
    table = {**tool, **identity(wish, origin), "made_with": dict(made_with)}
    text = parameters(wish, origin).encode("utf-8", "backslashreplace").decode()
    (words.add_text if text.isascii() else words.add_itxt)(_PARAMETERS, text)
    words.add_text(_CHUNK, json.dumps(table))
    data = io.BytesIO()
    picture.save(data, "PNG", pnginfo=words)
    return data.getvalue()


def parameters(wish: Wish, origin: Origin) -> str:
    """The words of a picture in the form that other programs for such pictures read.

    Source: The ``parameters`` chunk of AUTOMATIC1111's web interface, which Civitai and image viewers read.
    """
    name = origin.base.rpartition("/")[2]
    lora = f" <lora:{origin.model}:1>" if origin.kind == "lora" else ""
    model = origin.model if origin.kind == "full" else name
    lines = [" ".join(wish.prompt.split()) + lora]
    lines += [f"Negative prompt: {' '.join(wish.negative.split())}"] if wish.negative.strip() else []
    settings = {
        "Steps": wish.steps,
        "Sampler": _SAMPLERS.get(origin.sampler, origin.sampler.removesuffix("Scheduler")),
        "CFG scale": f"{wish.guidance:g}",
        "Seed": wish.seed,
        "Size": f"{wish.size_px}x{wish.size_px}",
        **({} if wish.shift is None else {"Shift": f"{wish.shift:g}"}),
        "Model": model,
        "Version": f"kanjiprep {kanjiprep.__version__}",
    }
    return "\n".join([*lines, ", ".join(f"{key}: {value}" for key, value in settings.items())])


def is_same(path: Path, wanted: Mapping[str, Any]) -> bool:
    """Whether the file ``path`` is a whole picture of ours that was asked for with ``wanted``."""
    found = read(path)
    return found is not None and all(found.get(key) == value for key, value in wanted.items())


def read(path: Path) -> dict[str, Any] | None:
    """What a picture of ours tells of itself; None if it is none, or not whole."""
    try:
        text = _text(path.read_bytes())
        found = None if text is None else json.loads(text)
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("kind") == KIND else None


def _text(data: bytes) -> str | None:
    """Our chunk of a PNG whose last chunk is there."""
    if not data.startswith(_SIGNATURE):
        return None
    place, found = len(_SIGNATURE), None
    while place + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + min(size, _LARGEST_TEXT)]
        if kind == b"tEXt" and body.startswith(f"{_CHUNK}\0".encode()):
            found = body[len(_CHUNK) + 1 :].decode("latin-1")
        if kind == b"IEND":
            return found
        place += 12 + size
    return None


def write(path: Path, data: bytes) -> None:
    """Put a picture at ``path``, whole or not at all, and over no other file.

    Raises:
        TrainerError: If it cannot be written, or something is there by now.
    """
    if os.path.lexists(path):
        raise TrainerError("is in the way", str(path), "give another folder with --out")
    files.replace(path, data)
