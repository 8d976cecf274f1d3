"""Failures of torch, diffusers and the Hub's client, in one clear line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from kanjiprep.errors import HubError, KanjiprepError, TrainerError
from kanjiprep.privacy import without_paths
from kanjiprep.publishing.hub.fault import Fault, Kind

_OUT_OF_MEMORY: Final = ("out of memory", "allocate memory", "not enough memory", "alloc_failed")
_OTHER_SIZES: Final = "its matrices have other sizes than the model's"
_LONGEST: Final = 200
_LICENCE: Final = "accept the licence at {page} and set HF_TOKEN"
_WORDS: Final[Mapping[Kind, tuple[str, str]]] = {
    "gated": ("is gated", _LICENCE),
    "unauthorized": ("is not to be had without a token: gated, private or not there", _LICENCE),
    "forbidden": ("is not to be had with this token", _LICENCE),
    "missing": ("there is no such repository, or the token must not see it", "check the name, or give --base MODEL"),
    "offline": ("is not in the cache, and HF_HUB_OFFLINE is set", "unset it, or give a folder with --base"),
    "network": ("is not in the cache, and the Hub cannot be reached", "check the network and HF_ENDPOINT"),
    "invalid": ("is no name that the Hub knows: {what}", "give --base OWNER/NAME, or a folder"),
    "broken": ("cannot be fetched: {what}", "run the same command again"),
}


def of_hub(fault: Fault, repo: str, endpoint: str) -> HubError:
    """The error that tells of a model that cannot be fetched.

    Args:
        fault: What went wrong.
        repo: Of the model.
        endpoint: The Hub's address.
    """
    what, remedy = _WORDS.get(fault.kind, ("cannot be fetched: {what}", "run the same command again later"))
    parts = {"what": _short(fault.what) or fault.kind, "page": f"{endpoint}/{repo}"}
    return HubError(what.format(**parts), repo, remedy.format(**parts))


@contextmanager
def clear(what: str, where: str, remedy: str) -> Iterator[None]:
    """A block whose failures are told in a line.

    Args:
        what: That failed, as a phrase.
        where: The place.
        remedy: What to do about it.

    Raises:
        TrainerError: If the block fails; too little memory is told as such.
    """
    try:
        yield
    except KanjiprepError:
        raise
    except Exception as error:  # whatever the libraries throw: they have no common base
        reason = f"{error}" or type(error).__name__
        if isinstance(error, MemoryError) or any(word in reason.lower() for word in _OUT_OF_MEMORY):
            raise _out_of_memory(where) from error
        said = _OTHER_SIZES if "size mismatch" in reason else _short(reason)
        raise TrainerError(f"{what}: {said}", where, remedy) from error


def _out_of_memory(where: str) -> TrainerError:
    """What is said where memory does not suffice."""
    remedy = "give --offload model or sequential, --dtype bfloat16, or a smaller --size-px"
    return TrainerError("there is not enough memory for it", where, remedy)


def _short(text: str) -> str:
    """``text`` in a line without the paths of this machine, its first sentence or so."""
    line = without_paths(" ".join(text.split())).rstrip(".")
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1].rstrip()}…"
