"""Calls of our own tool on the box: the same commands, the same JSON, the same exit codes."""

from __future__ import annotations

import json
import shlex
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from kanjiprep.errors import (
    DatasetError,
    HubError,
    InputError,
    Interrupted,
    KanjiprepError,
    RemoteError,
    TrainerError,
    UsageError,
)
from kanjiprep.training.remote.box import scripts, steps
from kanjiprep.training.remote.box.scripts import ROOT, Answer, Far

_ERRORS: Final[Mapping[int, type[KanjiprepError]]] = {
    one.exit_code: one
    for one in (UsageError, InputError, DatasetError, HubError, TrainerError, RemoteError, Interrupted)
}
_CALL: Final = """
[ -x "$root/bin/kanjiprep" ] || { echo "error: our tool is not set up" >&2; return 127; }
"$root/bin/kanjiprep" {words}
"""
_OUT: Final = """
cat "$root/steps/$step/out"
"""
_SOURCE: Final = """\
if [ -f "$1/{file}" ]; then . "$1/{file}"; fi
"""
_NO_TOOL: Final = 127
_KEPT_LINES: Final = 200
_ERROR: Final = "error: "
_SHOWN: Final = 2_000


def call(far: Far, words: Sequence[str], timeout_s: float = 60.0, *, root: str = ROOT) -> Any:
    """The JSON document that ``kanjiprep WORDS`` prints on the box; ``--json`` is among the words.

    Args:
        far: The box.
        words: The command and its options. Other users of the box may see them, so no secret is among them.
        timeout_s: Longest wait.
        root: Folder of ours.

    Raises:
        KanjiprepError: What the tool there says, as the error that it is here.
        RemoteError: If the box cannot be reached, has no tool of ours, or prints no document.
    """
    said = scripts.ask(far, _CALL.replace("{words}", shlex.join(words)), {"root": root}, timeout_s)
    return _document_of(far.name, words, said)


def _document_of(name: str, words: Sequence[str], said: Answer) -> Any:
    """The document in an answer.

    Raises:
        KanjiprepError: What the tool there says, as the error that it is here.
        RemoteError: If there is neither.
    """
    if said.code:
        raise _error_of(name, said)
    try:
        return json.loads(said.out)
    except (ValueError, RecursionError) as error:
        what = f"kanjiprep {' '.join(words[:1])} there prints no JSON"
        raise RemoteError(what, name, "set the box up again; another version may be there") from error


def _error_of(name: str, said: Answer) -> KanjiprepError:
    """What the tool on the box says went wrong, on one line, as the error that has that exit code here."""
    if said.code == _NO_TOOL:
        return RemoteError("our tool is not set up there", name, "set the box up again")
    kind = _ERRORS.get(said.code, RemoteError)
    _, found, told = f"\n{said.err}".rpartition(f"\n{_ERROR}")
    lines = [line.strip() for line in told.splitlines() if line.strip()] if found else []
    message = _on_one_line(lines) or scripts.last_line(said.err) or f"exit code {said.code} without a word"
    return kind(f"the box says: {message}", name)


def _on_one_line(lines: Sequence[str]) -> str:
    """The message and, of one with several problems, each of them."""
    return (": ".join((lines[0], "; ".join(lines[1:]))) if lines[1:] else "".join(lines))[:_SHOWN]


def carried_out(
    far: Far,
    name: str,
    words: Sequence[str],
    hear: Callable[[str], None] = lambda _: None,
    *,
    secrets: str = "",
    root: str = ROOT,
    poll_s: float = steps.POLL_S,
    pause: Callable[[float], None] = time.sleep,
) -> Any:
    """As ``call``, for what must not be done twice or half: it survives, and is started exactly once.

    A lost connection is made again, for as long as the box is patient; the command goes on meanwhile. If it is at
    work there already, with the same words, it is waited for.

    Args:
        far: The box.
        name: Of the step.
        words: The command and its options, ``--json`` among them, and no secret.
        hear: Gets each line of what it says on the way.
        secrets: Name of the file with the tokens that it needs, if any.
        root: Folder of ours.
        poll_s: How often it is looked at.
        pause: Sleeps.

    Raises:
        KanjiprepError: What the tool there says, as the error that it is here.
        RemoteError: As for ``call``; or if the step was killed, or is at other work.
    """
    script = _SOURCE.replace("{file}", secrets) if secrets else ""
    script += f'exec "$1/bin/kanjiprep" {shlex.join(words)} >"$1/steps/{name}/out"\n'
    far.again(partial(_begin, far, name, script, _label(words), root))
    said: deque[str] = deque(maxlen=_KEPT_LINES)

    def listen(text: str) -> None:
        said.append(text)
        hear(text)

    ended = steps.follow(far, name, listen, root, poll_s, pause)
    if ended.code is None:
        raise RemoteError(f"kanjiprep {words[0]} was killed there, or the box went down", far.name, "look at the box")
    out = far.again(partial(scripts.ask, far, _OUT, {"root": root, "step": name})).out
    return _document_of(far.name, words, Answer(ended.code, out, "\n".join(said)))


def _begin(far: Far, name: str, script: str, label: str, root: str) -> None:
    """Start the step, unless it is at work and does the same; another's is refused."""
    busy = steps.detached(far, name, script, label, root, once=True)
    if busy and busy.rpartition(" # ")[0] != label.rpartition(" # ")[0]:
        raise RemoteError(f"the step {name} does something else there: {busy:.200}", far.name, "wait for it")


def _label(words: Sequence[str]) -> str:
    """One line: what is done, and which time of it that is."""
    return f"{shlex.join(words)} # {uuid.uuid4().hex}".replace("\n", "\\n")
