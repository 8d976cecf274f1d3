"""The few variables that a run needs and nobody else may see: over stdin into one file that only the user reads."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from kanjiprep.errors import UsageError
from kanjiprep.training.remote.box import scripts
from kanjiprep.training.remote.box.scripts import ROOT, Far

_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]*\Z")
_VALUE: Final = re.compile(r"[!-~]+\Z")

_WRITE: Final = """
[ "$(command -v printf)" = printf ] || { echo "its sh has no printf of its own" >&2; return 1; }
umask 077
rm -f "$root/env.sh" "$root"/.env.sh.*
mkdir -p "$root" || return 1
chmod 700 "$root" || return 1
aside=$root/.$file.$$
printf '%s' "$kanjiprep_lines" >"$aside" && chmod 600 "$aside" && mv -f "$aside" "$root/$file" ||
  { rm -f "$aside"; return 1; }
mode=$(stat -c '%a %u' "$root/$file") || return 1
[ "$mode" = "600 $(id -u)" ] || { rm -f "$root/$file"; echo "its mode is $mode and not 600" >&2; return 1; }
"""
_REMOVE: Final = """
rm -f "$root/$file" "$root/.$file".* "$root/env.sh" "$root"/.env.sh.*
"""


def wished(names: Iterable[str], environ: Mapping[str, str], stored: Callable[[], str | None]) -> dict[str, str]:
    """Value by name of those of ``names`` that the user has.

    Args:
        names: Of variables.
        environ: Ours.
        stored: Gives the token of ``hf auth login``, for ``HF_TOKEN`` where it is not set.
    """
    found = {name: environ.get(name, "").strip() for name in names}
    if found.get("HF_TOKEN") == "":
        found["HF_TOKEN"] = (stored() or "").strip()
    return {name: value for name, value in found.items() if value}


def stored_token() -> str | None:
    """The token that ``hf auth login`` stored here, if there is one."""
    from huggingface_hub import get_token

    return get_token()


def write(far: Far, values: Mapping[str, str], file: str, root: str = ROOT) -> None:
    """Put ``values`` in the place of what was in ``file`` on the box, or remove it if there are none.

    Args:
        far: The box.
        values: By name of the variable.
        file: Name of a file in our folder there, one for each run.
        root: Folder of ours.

    Raises:
        UsageError: If a name is no variable's, or a value holds what no token has.
        RemoteError: If it cannot be written, or others could read it.
    """
    if not values:
        remove(far, file, root)
        return
    lines = env_lines(values)
    said = scripts.ask(far, _WRITE, {"root": root, "file": file, "kanjiprep_lines": lines}, hidden=values.values())
    scripts.refuse(far, said, "the tokens cannot be written there", "look at its disk and permissions")


def remove(far: Far, file: str, root: str = ROOT) -> None:
    """Remove ``file`` with its tokens from the box, if it is there.

    Raises:
        RemoteError: If that fails.
    """
    said = scripts.ask(far, _REMOVE, {"root": root, "file": file})
    scripts.refuse(far, said, f"{file} cannot be removed there", "remove it yourself: it holds your tokens")


def env_lines(values: Mapping[str, str]) -> str:
    """The file for a POSIX shell.

    Raises:
        UsageError: If a name is no variable's, or a value holds what no token has; it is not repeated.
    """
    for name, value in values.items():
        if not _NAME.match(name):
            raise UsageError(f"{name!r:.80} is no name of a variable", "", "use capitals, digits and underscores")
        if not _VALUE.match(value):
            raise UsageError("holds spaces or letters that no token has", name, "copy it again")
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(values.items()))
