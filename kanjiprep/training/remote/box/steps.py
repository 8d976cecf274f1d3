"""Long work on the box that goes on without us: started once, looked at as often as one likes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote.box import scripts
from kanjiprep.training.remote.box.scripts import ROOT, Far

POLL_S: Final = 2.0
_MOST_BYTES: Final = 65_536
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,60}\Z")

# Descriptor 9 holds the lock, and whatever the step starts holds it too: it is free when all of that is gone.
_START: Final = """
place=$root/steps/$step
umask 077
mkdir -p "$place" && chmod 700 "$root" || return 1
command -v flock >/dev/null && command -v setsid >/dev/null || { echo "flock and setsid are needed" >&2; return 1; }
exec 9>>"$place/lock" || return 1
flock -n 9 || sleep 1  # whoever looks at a step holds its lock for a moment
if ! flock -n 9; then echo "busy $(cat "$place/label" 2>/dev/null)"; return 0; fi
if [ -n "$once" ] && [ "$(cat "$place/label" 2>/dev/null)" = "$label" ]; then echo "busy $label"; return 0; fi
rm -f "$place/code" "$place/log" "$place/out"
printf '%s' "$kanjiprep_script" >"$place/script" && printf '%s' "$label" >"$place/label" || return 1
: >"$place/log" || return 1
setsid sh -c 'sh "$0/script" "$1" >>"$0/log" 2>&1 </dev/null; echo $? >"$0/code.new"; mv -f "$0/code.new" "$0/code"' \
  "$place" "$root" </dev/null >/dev/null 2>&1 &
echo started
"""
_STATE: Final = """
place=$root/steps/$step
[ -e "$place/lock" ] || { echo "none 0 0"; return 0; }
exec 9>>"$place/lock" || return 1
running=running
flock -n -s 9 && running=over
exec 9>&-
size=$(wc -c <"$place/log" 2>/dev/null || echo 0)
echo "$running" "$(cat "$place/code" 2>/dev/null || echo -)" "$size"
[ -e "$place/log" ] && tail -c "+$((from + 1))" "$place/log" | head -c "$most"
return 0
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A step at one moment.

    Attributes:
        state: ``lost`` is one that ended without a word: it was killed, or the box went down.
        code: Its exit code, once it has ended.
        size_bytes: Of its log.
        log: What is new in it.
    """

    state: Literal["none", "running", "ended", "lost"]
    code: int | None
    size_bytes: int
    log: bytes


def detached(far: Far, step: str, script: str, label: str, root: str = ROOT, *, once: bool = False) -> str:
    """Start ``script`` on the box; the label of the step that is at work there already, or nothing.

    It is in a session of its own, so that no lost connection ends it. Of a name one runs at a time.

    Args:
        far: The box.
        step: A name of small letters.
        script: For sh; it is given the folder of ours.
        label: Of one line, that tells who asks what.
        root: Folder of ours.
        once: A step of this very label is not started again, be it over or not.

    Raises:
        RemoteError: If it cannot be started.
    """
    if not _NAME.match(step) or "\n" in label:
        raise RemoteError(f"{step!r:.80} is no name of a step", far.name, "use small letters")
    values = {"root": root, "step": step, "label": label, "kanjiprep_script": script, "once": "once" if once else ""}
    said = scripts.ask(far, _START, values)
    scripts.refuse(far, said, f"the step {step} cannot be started", "look at its disk and permissions")
    first, _, rest = said.out.decode("utf-8", "replace").strip().partition(" ")
    return (rest or "somebody else's") if first == "busy" else ""


def state_of(far: Far, step: str, from_byte: int = 0, root: str = ROOT) -> Step:
    """The step and what its log holds from ``from_byte`` on, up to 64 KiB.

    Raises:
        RemoteError: If the box cannot be reached or answers otherwise.
    """
    values = {"root": root, "step": step, "from": str(from_byte), "most": str(_MOST_BYTES)}
    said = scripts.ask(far, _STATE, values)
    scripts.refuse(far, said, f"the step {step} cannot be looked at", "look at its permissions")
    return read_state(far.name, said.out)


def read_state(name: str, out: bytes) -> Step:
    """The step that ``out`` tells of.

    Raises:
        RemoteError: If it is none.
    """
    head, _, log = out.partition(b"\n")
    found = re.fullmatch(r"(none|running|over) +(-|\d+) +(\d+)", head.decode("utf-8", "replace").strip())
    if found is None:
        raise RemoteError(f"tells {head[:80]!r} of a step", name, "try again")
    code = int(found[2]) if found[2] != "-" else None
    if found[1] == "none":
        return Step("none", None, 0, b"")
    if found[1] == "running":
        return Step("running", None, int(found[3]), log)
    return Step("lost" if code is None else "ended", code, int(found[3]), log)


def follow(
    far: Far,
    step: str,
    hear: Callable[[str], None],
    root: str = ROOT,
    poll_s: float = POLL_S,
    pause: Callable[[float], None] = time.sleep,
) -> Step:
    """The step once it is over; every whole line of its log goes to ``hear``.

    Raises:
        RemoteError: If the box cannot be reached; the step goes on, and can be followed again.
    """
    seen, torn = 0, b""
    while True:
        found = far.again(partial(state_of, far, step, seen, root))
        seen += len(found.log)
        *lines, torn = (torn + found.log).split(b"\n")
        for line in lines:
            hear(line.decode("utf-8", "replace").rstrip("\r"))
        if found.state != "running" and seen >= found.size_bytes:
            if torn:
                hear(torn.decode("utf-8", "replace"))
            return found
        if seen >= found.size_bytes:
            pause(poll_s)
