"""Pictures from a ComfyUI server into a folder: each is whole, and nothing that stands there is written over."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kanjiprep.errors import RemoteError, TrainerError, UsageError, os_reason
from kanjiprep.publishing.comfyui.live.address import Address
from kanjiprep.publishing.comfyui.live.answers import Picture
from kanjiprep.publishing.comfyui.live.refusals import plain
from kanjiprep.publishing.comfyui.live.server_http import ANSWER_S, ask
from kanjiprep.training.running import picture_file

MOST_PIXELS: Final = 1 << 27
_ENDINGS: Final = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}
_ATTEMPTS: Final = 3
_PAUSE_S: Final = 1.0
_OK, _NONE = 200, 404


def refuse_taken(out: Path, names: Sequence[str]) -> None:
    """Nothing, unless a picture of one of these names stands in ``out`` already.

    Raises:
        UsageError: If one does, or a name is none for a file.
    """
    for name in names:
        if not name or name.startswith(".") or len(name.encode()) > 200 or not name.isprintable() or "/" in name:  # noqa: PLR2004
            raise UsageError(f"{plain(name)!r} is no name for a picture", "", "take letters, digits, - and _")
    for name in names:
        for ending in _ENDINGS.values():
            if os.path.lexists(out / f"{name}{ending}"):
                raise _taken(out / f"{name}{ending}")


def fetch(
    address: Address,
    pictures: Sequence[Picture],
    name: str,
    out: Path,
    names: Collection[str] = (),
    silence_s: float = ANSWER_S,
) -> tuple[Path, ...]:
    """The pictures in ``out`` as NAME.png, NAME_2.png and so on, or .jpg or .webp as they are.

    Args:
        address: The server.
        pictures: What it has made.
        name: What the pictures get their names from.
        out: Where they go; nothing in it is written over.
        names: Of the other workflows; their pictures' names are left to them.
        silence_s: Longest silence that is waited for.

    Raises:
        RemoteError: If one cannot be fetched, or is not whole.
        UsageError: If one cannot be written, or something stands in its place.
    """
    with _as_usage_error(out), tempfile.TemporaryDirectory(prefix=".kanjiprep.", dir=out) as aside:
        numbered = enumerate(pictures, 1)
        parts = [_part(address, picture, Path(aside) / str(number), silence_s) for number, picture in numbered]
        free = (one for one in _numbered(name) if one == name or one not in names)
        return tuple(_placed(part, out / f"{stem}{part.suffix}") for part, stem in zip(parts, free, strict=False))


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}_{number}" for number in itertools.count(2))


def _part(address: Address, picture: Picture, path: Path, silence_s: float) -> Path:
    path.write_bytes(_bytes(address, picture, silence_s))
    try:
        with picture_file.opened(path, MOST_PIXELS) as image:
            image.load()
            ending = _ENDINGS[str(image.format)]
    except TrainerError as error:
        what = f"the picture {plain(picture.filename)} of node {plain(picture.node)} {error.what}"
        raise RemoteError(what, address.base, "look at it in ComfyUI's output folder") from error
    return path.rename(path.with_suffix(ending))


def _bytes(address: Address, picture: Picture, silence_s: float) -> bytes:
    for _ in range(_ATTEMPTS - 1):
        try:
            return _bytes_once(address, picture, silence_s)
        except _ShakyError:
            time.sleep(_PAUSE_S)
    return _bytes_once(address, picture, silence_s)


class _ShakyError(RemoteError):
    """What another attempt may mend."""


def _bytes_once(address: Address, picture: Picture, silence_s: float) -> bytes:
    what = f"the picture {plain(picture.filename)} cannot be fetched: "
    try:
        reply = ask(address, picture.path, silence_s=silence_s)
    except RemoteError as error:
        raise _ShakyError(what + error.what, error.where, error.remedy) from error
    if reply.status == _NONE:
        remedy = "give another seed, for ComfyUI does not paint again what it remembers"
        raise RemoteError(f"{what}the server has no such file any more", address.base, remedy)
    if reply.status != _OK:
        raise RemoteError(f"{what}HTTP {reply.status}", address.base, "look for it in ComfyUI's output folder")
    return reply.body


def _placed(part: Path, target: Path) -> Path:
    """``target``, which is whole from its first moment, and was not there before."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:  # a disk that knows no links
        if os.path.lexists(target):
            raise _taken(target) from None
        part.rename(target)
    return target


def _taken(path: Path) -> UsageError:
    return UsageError(
        "is there already, and nothing is written over", str(path), "move it away, or give another folder"
    )


@contextmanager
def _as_usage_error(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"cannot be written: {os_reason(error)}"
        raise UsageError(what, str(out), "free the space, fix the permissions, or give another folder") from error
