"""A source file from the web into the cache: aside, checked, noted, then renamed."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from kanjiprep import __version__
from kanjiprep.dataset.raw import MAX_DOCUMENT_BYTES
from kanjiprep.errors import InputError, os_reason
from kanjiprep.progress import Progress

TIMEOUT_S: Final = 30.0
"""Longest silence of the server that is waited for."""

_CHUNK_BYTES = 1 << 16
_ERRORS = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ValueError)


def download(url: str, target: Path, remedy: str, progress: Progress) -> Path:
    """``target``, after ``url`` was fetched into it and its SHA-256 noted in ``target.sha256``.

    Args:
        url: An http or https address.
        target: Where the file goes; nothing stands there before it is whole.
        remedy: What the user can do instead, for the error.
        progress: Hears bytes received.

    Raises:
        InputError: If the server fails, stops early, sends too much or sends a web page.
    """
    stage = f"download {target.name}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _aside(target) as (part, stream):
            digest = _receive(url, stream, stage, progress)
            stream.close()
            _expect_archive(part, public(url), remedy)
            target.with_name(f"{target.name}.sha256").write_text(f"{digest}  {target.name}\n", "utf-8")
            part.replace(target)
    except _ERRORS as error:
        raise InputError(f"could not be downloaded: {_reason(error)}", public(url), remedy) from error
    except OSError as error:
        raise InputError(f"cannot be written: {os_reason(error)}", str(target), remedy) from error
    return target


@contextmanager
def _aside(target: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            yield part, stream
    finally:
        part.unlink(missing_ok=True)


def _receive(url: str, stream: IO[bytes], stage: str, progress: Progress) -> str:
    if not url.lower().startswith(("http://", "https://")):
        raise urllib.error.URLError("only http and https are fetched")
    request = urllib.request.Request(url, headers={"User-Agent": f"kanjiprep/{__version__}"})  # noqa: S310
    digest = hashlib.sha256()
    done = 0
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310
        total = int(reply.headers["Content-Length"]) if reply.headers["Content-Length"] else None
        while chunk := reply.read(_CHUNK_BYTES):
            digest.update(chunk)
            stream.write(chunk)
            done += len(chunk)
            progress(stage, done, total)
            if done > MAX_DOCUMENT_BYTES:
                raise urllib.error.URLError(f"sends more than {MAX_DOCUMENT_BYTES >> 20} MiB")
    if total is not None and done != total:
        raise urllib.error.URLError(f"stopped after {done:,} of {total:,} bytes")
    return digest.hexdigest()


def public(url: str) -> str:
    """``url`` without user, password, query and fragment, any of which may hold a secret."""
    scheme, _, rest = url.partition("://")
    place, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return f"{scheme}://{place.rsplit('@', 1)[-1]}{slash}{path}"


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    return str(getattr(error, "reason", None) or error or type(error).__name__)


def _expect_archive(part: Path, where: str, remedy: str) -> None:
    with part.open("rb") as stream:
        if stream.read(2) not in (b"\x1f\x8b", b"PK", b"<?"):
            raise InputError("sent neither gzip, zip nor XML (a login or error page?)", where, remedy)
