"""What the trainer's errors mean, in the user's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

NON_FINITE: Final = "Non-finite training loss detected"
"""Source: helpers/training/trainer.py, train."""


def known(messages: Sequence[str], said: str) -> str:
    """What the first known one of ``messages`` means; empty if none is known.

    Args:
        messages: Of an exception and of those it came of, nearest first. A telling one goes before a vague one.
        said: All that was logged, for the names that messages leave out.
    """
    for pattern, explain in _KNOWN:
        found = next(filter(None, map(pattern.search, messages)), None)
        if found:
            return explain(found, said)
    return ""


def _names(listed: str, most: int = 3) -> str:
    """The files in Python's form of a list of paths, without their folders and not too many."""
    paths = [single or double for single, double in re.findall(r"'([^']+)'|\"([^\"]+)\"", listed)]
    names = [path.rpartition("/")[2] for path in paths]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _non_finite(found: re.Match[str], _: str) -> str:
    where = f" of {found['backend']}" if found["backend"] else ""
    names = _names(found["paths"] or "")
    return f"{NON_FINITE}: loss {found['loss']}" + (f" at {names}{where}" if names else where)


def _not_cached(found: re.Match[str], said: str) -> str:
    causes = re.findall(r"\[ERROR\] Failed to (?:write|save)[^\n]*\[Errno \d+\] ([^\n:']+)", said)
    cause = f"{causes[-1].strip()}: " if causes else ""
    return f"{cause}pictures that could not be read or cached: {_names(found[1])}"


def _out_of_memory(found: re.Match[str], _: str) -> str:
    free = f", {found['free']} of {found['total']} free on GPU {found['gpu']}" if found["free"] else ""
    return f"CUDA out of memory: tried to allocate {found['tried']}{free}"


def _no_space(found: re.Match[str], _: str) -> str:
    return "No space left on device" + (f": {found[1]}" if found[1] else "")


def _model(said: str) -> str:
    """The model that diffusers or the Hub complain of, as it was asked for."""
    named = re.findall(
        r"looks like (\S+) is not the path|(\S+) does not appear to have a file|(\S+) is not a local folder"
        r"|for url:? https?://[^/\s]+/(?:api/models/)?([^/\s]+/[^/\s?]+)",
        said,
    )
    return next(filter(None, named[-1])).rstrip(".") if named else "the model"


def _refused(_: re.Match[str], said: str) -> str:
    return f"the Hub refuses {_model(said)}: accept its licence there and set HF_TOKEN"


def _not_shown(_: re.Match[str], said: str) -> str:
    return f"the Hub does not show {_model(said)}: look at its name, accept its licence there and set HF_TOKEN"


def _unreachable(_: re.Match[str], said: str) -> str:
    return f"the Hub cannot be reached, and {_model(said)} was not downloaded before"


_KNOWN: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], str]], ...]] = (
    (
        re.compile(
            NON_FINITE + r" \(loss=(?P<loss>[^,()]+)(?:, data_backend_id=(?P<backend>[^,]*))?"
            r"(?:, filepaths=(?P<paths>\[.*?['\"]\]|None))?"
        ),
        _non_finite,
    ),
    (
        re.compile(
            r"CUDA out of memory\. Tried to allocate (?P<tried>[\d.]+ \w+)"
            r"(?:\. GPU (?P<gpu>\d+) has a total capacity of (?P<total>[\d.]+ \w+)"
            r" of which (?P<free>[\d.]+ \w+) is free)?"
        ),
        _out_of_memory,
    ),
    (re.compile(r"No space left on device(?:: ('[^'\n]+'))?"), _no_space),
    (
        re.compile(r"PytorchStreamWriter failed writing|inline_container\.cc:\d+\] \. unexpected pos"),
        lambda *_: "a file could not be written whole, most likely because no space is left on device",
    ),
    (re.compile(r"(Cannot access|access a) gated repo|Access to model \S+ is restricted"), _refused),
    (
        re.compile(r"Repo id must be in the form .{1,80}: '([^'\n]+)'"),
        lambda found, _: f"the folder of the model does not exist: {found[1]}",
    ),
    (re.compile(r"cannot find the requested files in the local cache"), _unreachable),
    (re.compile(r"\b40[13] Client Error|Repository Not Found"), _not_shown),
    (
        re.compile(r"dataset directories do not exist:\s+- \(id=[^)]*\) instance_data_dir: ([^\n]+)"),
        lambda found, _: f"the dataset folder does not exist: {found[1]}",
    ),
    (
        re.compile(r"Unable to load weights from checkpoint file for '([^'\n]+)'"),
        lambda found, _: f"the weights cannot be read: {found[1]}",
    ),
    (
        re.compile(r"PytorchStreamReader failed reading zip archive: ([^.\n]+)"),
        lambda found, _: f"a file of the checkpoint cannot be read: {found[1]}",
    ),
    (
        re.compile(r"not correctly cached during the VAE Cache.*?Problematic images: (\[.*?['\"]\])", re.S),
        _not_cached,
    ),
    (
        re.compile(
            r"is not the path to a directory containing|does not appear to have a file|is not a local folder and"
        ),
        lambda _, said: f"the model was not found, or is not complete: {_model(said)}",
    ),
)
