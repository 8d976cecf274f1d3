"""A wheel of the kanjiprep that runs here, made from what is installed, without pip and without network."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import Final

import kanjiprep
from kanjiprep import resources
from kanjiprep.errors import RemoteError, os_reason

NAME: Final = "kanjiprep"
_SHIPPED: Final = ("templates", "simpletuner_configs")
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_MODE: Final = 0o100644 << 16
_AGAIN: Final = "install kanjiprep again"


def build(target: Path, found: Distribution | None = None) -> Path:
    """The wheel, in the folder ``target``: of the same files always the same bytes.

    It holds the package as it lies on this disk, the shipped templates and presets, and what is known of the
    installed distribution, of a checkout or of a wheel. Nothing is packed by a library whose next version would pack
    otherwise.

    Args:
        target: A folder; it is made if it is not there.
        found: Another distribution for tests.

    Raises:
        RemoteError: If kanjiprep is not installed, or its files cannot be read or written.
    """
    try:
        about = found or importlib.metadata.distribution(NAME)
    except PackageNotFoundError as error:
        raise RemoteError("kanjiprep is not installed, it only lies here", str(_package()), _AGAIN) from error
    path = target / f"{NAME}-{kanjiprep.__version__.replace('-', '_')}-py3-none-any.whl"
    try:
        _write(path, _with_record({**dict(_code()), **_about(about)}))
    except OSError as error:
        what = f"cannot be packed: {os_reason(error)}"
        raise RemoteError(what, str(error.filename or path), "check its permissions") from error
    return path


def digest_of(wheel: Path) -> str:
    """SHA-256 of ``wheel`` in hex: by this a box knows whether it has it already.

    Raises:
        RemoteError: If it cannot be read.
    """
    try:
        return hashlib.sha256(wheel.read_bytes()).hexdigest()
    except OSError as error:
        raise RemoteError(f"cannot be read: {os_reason(error)}", str(wheel), "build it again") from error


def _with_record(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """``files`` and the RECORD of them, sorted by name as the wheel holds them."""
    listed = dict(sorted(files.items()))
    record = f"{_info()}/RECORD"
    lines = [f"{name},sha256={_base64(data)},{len(data)}" for name, data in listed.items()]
    return {**listed, record: "".join(f"{line}\n" for line in (*lines, f"{record},,")).encode()}


def _package() -> Path:
    return Path(kanjiprep.__file__).resolve().parent


def _info() -> str:
    return f"{NAME}-{kanjiprep.__version__}.dist-info"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def _code() -> Iterator[tuple[str, bytes]]:
    """The package and, wherever they lie, the folders that ship inside it."""
    package = _package()
    for path in _files(package):
        if path.relative_to(package).parts[0] != "_shipped":
            yield f"{NAME}/{path.relative_to(package).as_posix()}", path.read_bytes()
    for name in _SHIPPED:
        folder = resources.shipped(name)
        for path in _files(folder):
            yield f"{NAME}/_shipped/{name}/{path.relative_to(folder).as_posix()}", path.read_bytes()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        is_ours = path.suffix != ".pyc" and not any(part.startswith(".") or part == "__pycache__" for part in parts)
        if is_ours and path.is_file():
            yield path


def _about(found: Distribution) -> dict[str, bytes]:
    """The files of dist-info but for RECORD.

    Raises:
        RemoteError: If they are not of this version: a checkout may have gone on since it was installed.
    """
    metadata, points = found.read_text("METADATA"), found.read_text("entry_points.txt")
    if found.version != kanjiprep.__version__ or not metadata or not points:
        what = f"kanjiprep is {kanjiprep.__version__}, and was installed as {found.version or 'something else'}"
        raise RemoteError(what, "", _AGAIN)
    generator = f"Generator: kanjiprep {kanjiprep.__version__}"
    how = "".join(
        f"{line}\n" for line in ("Wheel-Version: 1.0", generator, "Root-Is-Purelib: true", "Tag: py3-none-any")
    )
    texts = {"METADATA": metadata, "WHEEL": how, "entry_points.txt": points}
    licence = found.read_text("licenses/LICENSE")
    if licence:
        texts["licenses/LICENSE"] = licence
    return {f"{_info()}/{name}": text.encode() for name, text in texts.items()}


def _write(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the wheel aside, not compressed: what deflate makes of a text is its version's business."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive:
            for name, data in files.items():
                entry = zipfile.ZipInfo(name, _DATE)
                entry.create_system, entry.external_attr = 3, _MODE
                archive.writestr(entry, data)
        aside.replace(path)
    finally:
        with suppress(OSError):
            aside.unlink()
