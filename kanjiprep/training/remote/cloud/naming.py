"""Names of what we rent: the same for the same run folder on the same machine, and for no other."""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path
from typing import Final

from kanjiprep.errors import RemoteError, os_reason

PREFIX: Final = "kanjiprep-"
MOST_BYTES: Final = 40
"""SkyPilot allows 57 with its mark of the user, a dash and eight letters, and cuts longer ones short; Lambda allows
64 with ``-worker`` as well. The room for SkyPilot takes no more than this. Source: SkyPilot 0.14.1,
make_cluster_name_on_cloud."""

_DIGITS = 6
_SYSTEM = Path("/etc/machine-id")
_OWN = "machine-id"
_MACHINE = re.compile(r"[0-9a-f]{32}")


def name_of(run: Path, machine: str) -> str:
    """The name under which a machine is rented for a run: lower-case ASCII letters, digits and dashes.

    Args:
        run: Its folder, absolute.
        machine: What ``machine_id`` gives.
    """
    digest = hashlib.sha256(f"{machine}\n{run}".encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]
    most = MOST_BYTES - len(PREFIX) - len(digest) - 1
    word = re.sub(r"[^a-z0-9]+", "-", run.name.lower())[:most].strip("-") or "run"
    return f"{PREFIX}{word}-{digest}"


def is_named(instance: str, name: str) -> bool:
    """Whether an instance's name is ``name``, or one that SkyPilot makes of it: ``NAME-USER-head``."""
    return instance == name or instance.startswith(f"{name}-")


def machine_id(folder: Path, system: Path = _SYSTEM) -> str:
    """32 hex digits that are this machine's: the system's, or else our own in ``folder``.

    Raises:
        RemoteError: If there are none, and none can be written.
    """
    own = folder / _OWN
    found = next((text for path in (system, own) if (text := _read(path))), "")
    if found:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        own.write_text(f"{secrets.token_hex(16)}\n", "ascii")
    except OSError as error:
        raise RemoteError(f"cannot be written: {os_reason(error)}", str(own), "free the space or fix it") from error
    return _read(own)


def _read(path: Path) -> str:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):  # then the next place is looked at
        return ""
    return text if _MACHINE.fullmatch(text) else ""
