"""A fault in words that help: what it means, and the command that mends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kanjiprep.errors import HubError
from kanjiprep.publishing.hub.courier import Hub
from kanjiprep.publishing.hub.fault import Fault, Kind

_TOKENS: Final = "{endpoint}/settings/tokens"
_WORDS: Final[Mapping[Kind, tuple[str, str]]] = {
    "invalid": ("the client refuses it: {what}", "mend that and run it again"),
    "no token": ("there is no token", f"make one that can write at {_TOKENS} and run hf auth login, or set HF_TOKEN"),
    "offline": ("HF_HUB_OFFLINE is set", "unset it"),
    "unauthorized": ("the token is refused{status}: {what}", f"make one at {_TOKENS} and {{login}}"),
    "forbidden": (
        "the token must not do this{status}: {what}",
        f"let it write at {_TOKENS}, or make another and {{login}}",
    ),
    "payment": ("the Hub asks for payment{status}: {what}", "free some space there, or see its plans"),
    "missing": ("is not there, or the token must not see it{status}", "check the name and whose token it is"),
    "missing revision": ("has no such revision{status}: {what}", "give a branch, tag or commit that is there"),
    "gated": ("is gated{status}: {what}", "accept its conditions on its page, then run it again"),
    "conflict": ("the Hub is at another change{status}: {what}", "run the same command again"),
    "too large": ("the Hub finds it too large{status}: {what}", "push fewer or smaller pictures"),
    "busy": ("the Hub is busy{status}{wait}: {what}", "run the same command again later"),
    "server": ("the Hub has trouble{status}: {what}", "run the same command again later"),
    "refused": ("the Hub refuses it{status}: {what}", "mend that and run it again"),
    "network": ("cannot be reached: {what}", "check the network and HF_ENDPOINT, then run the same command again"),
    "no hub": ("answers, but not as a Hub does: {what}", "look at it in a browser: it may be a network's login page"),
    "no xet": ("does not know the uploads of hf_xet", "give --no-xet"),
    "timeout": ("does not answer: {what}", "run the same command again, or give more time with --deadline-s"),
    "died": ("the client of the Hub died: {what}", "run the same command again, with --no-xet if it dies again"),
    "broken": ("the client of the Hub fails: {what}", "run the same command again, with --no-xet if it fails again"),
}


def told(fault: Fault, where: str, hub: Hub, state: str = "", remedy: str = "") -> HubError:
    """The error that tells ``fault``.

    Args:
        fault: What went wrong.
        where: A repository, or the Hub's address.
        hub: Who was asked.
        state: How things stand on the Hub now, if anything was to change there.
        remedy: What to do, where something better than the kind's own is known.
    """
    what, help_ = _WORDS[fault.kind]
    wait = f", for {fault.retry_after_s:.0f} s" if fault.retry_after_s is not None else ""
    parts = {
        "what": fault.what.rstrip(".") or fault.kind,
        "status": f" ({fault.status})" if fault.status else "",
        "wait": wait,
        "endpoint": hub.endpoint,
        "login": hub.login,
    }
    asked = f", request {fault.request_id}" if fault.request_id and fault.kind in ("server", "broken") else ""
    text = what.format(**parts) + asked + (f". {state}" if state else "")
    return HubError(text, where, remedy or help_.format(**parts))
