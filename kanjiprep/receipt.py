"""push.json of a dataset folder: where on the Hub these very bytes stand."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kanjiprep import __version__, metadata, spec
from kanjiprep.errors import DatasetError, os_reason

NAME: Final = "push.json"
TOOL: Final = f"kanjiprep {__version__}"
"""As ``Receipt.tool``."""
CERTIFICATE: Final = "build.json"
"""Of the same folder, as a build writes it."""
SUMS: Final = "SHA256SUMS"
"""Likewise."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A dataset folder as it was pushed, or fetched.

    Attributes:
        endpoint: Address of the Hub.
        repo_id: ``NAMESPACE/NAME``.
        commit: That holds it, in full.
        revision: The branch.
        tag: That stands at the commit; empty for none.
        layout: ``parquet`` or ``files``.
        private: Whether only some may see it.
        digest: Of the dataset, by its birth certificate; empty if it has none that holds.
        content: Of the dataset, as ``content_of`` gives it.
        pictures: How many.
        at: When, in UTC as in ISO 8601.
        tool: Which kanjiprep.
        fetched: Whether the folder was made from what stands there, and not the other way round.
        sha256: Of every file there, by path.
    """

    endpoint: str
    repo_id: str
    commit: str
    revision: str
    tag: str
    layout: str
    private: bool
    digest: str
    content: str
    pictures: int
    at: str
    tool: str
    fetched: bool
    sha256: Mapping[str, str]

    @property
    def pinned(self) -> str:
        """``NAMESPACE/NAME@COMMIT``, which ``--dataset`` takes."""
        return f"{self.repo_id}@{self.commit}"


def now() -> str:
    """This very second, as ``Receipt.at``."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read(folder: Path) -> Receipt | None:
    """The receipt in ``folder``; None if there is none.

    Raises:
        DatasetError: If there is one that cannot be read.
    """
    path = folder / NAME
    try:
        table = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"not JSON: {error}", str(path), "remove it, or push the dataset again") from error
    except OSError as error:
        raise DatasetError(f"cannot be read: {os_reason(error)}", str(path), "check its permissions") from error
    receipt, problems = spec.read(Receipt, table)
    if receipt is None or problems:
        raise DatasetError("; ".join(problems), str(path), "remove it, or push the dataset again")
    return receipt


def of(folder: Path) -> Receipt | None:
    """The receipt in ``folder`` if it is for the very pictures and captions that stand there now.

    Raises:
        DatasetError: As ``read``, or if a picture cannot be read.
    """
    receipt = read(folder)
    return receipt if receipt is not None and receipt.content == content_of(folder) else None


def content_of(folder: Path) -> str:
    """SHA-256 over metadata.csv and every picture that it names: by this a receipt knows its dataset.

    Raises:
        DatasetError: If there is no metadata.csv, or a file cannot be read.
    """
    names = dict.fromkeys(name for name, _ in metadata.read_rows(folder / metadata.NAME))
    whole = hashlib.sha256()
    for name in (metadata.NAME, *names):
        whole.update(_sha256(folder / name))
    return whole.hexdigest()


def _sha256(path: Path) -> bytes:
    """Of a file; of one that is not there, or is no file, none."""
    try:
        if path.exists() and not path.is_file():
            return b""
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except (FileNotFoundError, ValueError):  # ValueError: a NUL in the name
        return b""
    except OSError as error:
        raise DatasetError(f"cannot be read: {os_reason(error)}", str(path), "check its permissions") from error


def certified_digest(folder: Path) -> str:
    """The digest in the birth certificate of ``folder``; empty without one, or if the captions are not of it.

    Raises:
        DatasetError: If there is a certificate that cannot be read.
    """
    path = folder / CERTIFICATE
    try:
        certificate = json.loads(path.read_bytes())
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError("cannot be read", str(path), "run kanjiprep check on its folder") from error
    digest = certificate.get("digest") if isinstance(certificate, dict) else None
    return digest if isinstance(digest, str) and _are_of_it(folder) else ""


def is_certified(folder: Path) -> bool:
    """Whether ``folder`` has a birth certificate, of its files as they are or as they were."""
    return (folder / CERTIFICATE).is_file()


def _are_of_it(folder: Path) -> bool:
    """Whether metadata.csv is the one that the sums beside it name; the pictures are left to ``kanjiprep check``."""
    try:
        lines = (folder / SUMS).read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return f"{_sha256(folder / metadata.NAME).hex()}  {metadata.NAME}" in lines


def write(folder: Path, receipt: Receipt) -> Path:
    """Where ``receipt`` stands now, in place of an earlier one.

    Raises:
        DatasetError: If it cannot be written.
    """
    path = folder / NAME
    aside = path.with_name(f".{NAME}.{os.getpid()}")
    try:
        aside.write_text(json.dumps(asdict(receipt), ensure_ascii=False, indent=2) + "\n", "utf-8")
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        what = (
            f"{receipt.repo_id} is pushed as {receipt.commit}, but its receipt cannot be written: {os_reason(error)}"
        )
        raise DatasetError(what, str(path), "mend that and run the same command again") from error
    return path
