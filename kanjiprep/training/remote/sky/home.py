"""SkyPilot's own home: it holds Lambda's key and no other cloud's, so nothing else can be found or copied away."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import platformdirs

from kanjiprep.errors import RemoteError, UsageError, os_reason
from kanjiprep.paths import resolved

VARIABLE: Final = "KANJIPREP_REMOTE_HOME"
KEY_VARIABLE: Final = "LAMBDA_API_KEY"
KEY_FILE: Final = Path(".lambda_cloud") / "lambda_keys"
HASH_FILE: Final = Path(".sky") / "user_hash"
LOGS: Final = "kanjiprep-logs"


def managed_folder(environ: Mapping[str, str]) -> Path:
    """Where ``kanjiprep setup-remote`` puts everything, honouring ``KANJIPREP_REMOTE_HOME``.

    Raises:
        UsageError: If that is no path of a folder.
    """
    home = environ.get(VARIABLE)
    return resolved(Path(home)) if home else Path(platformdirs.user_data_dir("kanjiprep")) / "remote"


def checked_key(environ: Mapping[str, str]) -> str:
    """Lambda's API key.

    Raises:
        UsageError: If there is none, or none that could be one.
    """
    key = environ.get(KEY_VARIABLE, "")
    if not key:
        raise UsageError(
            f"{KEY_VARIABLE} is not set", "", "make a key at https://cloud.lambda.ai/api-keys and set it"
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise UsageError(f"{KEY_VARIABLE} holds spaces or letters that no key has", "", "copy it once more")
    return key


def write(home: Path, key: str, mark: str) -> None:
    """Make ``home`` private, with ``key`` in it for SkyPilot.

    Args:
        home: The folder, made if it is not there.
        key: Lambda's API key; it replaces an earlier one.
        mark: Eight hexadecimal digits for a new home. SkyPilot ends the names of all that it rents with it.

    Raises:
        RemoteError: If it cannot be written.
    """
    try:
        for folder in (home, home / KEY_FILE.parent, home / HASH_FILE.parent, home / LOGS):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        _write(home / KEY_FILE, f"api_key = {key}\n")
        if not (home / HASH_FILE).is_file():
            _write(home / HASH_FILE, mark)
    except OSError as error:
        raise RemoteError(
            f"cannot be written: {os_reason(error)}", str(error.filename or home), "look at it"
        ) from error


def _write(path: Path, text: str) -> None:
    """Write ``text`` aside, for nobody else to read at any moment, and put it into place."""
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    aside.replace(path)
