"""Has SkyPilot do one thing. Runs under SkyPilot's Python.

Reads one JSON document from stdin, ``{"verb": ..., "endpoint": ..., "log": ..., ...}``, and writes one JSON document
as the only line of stdout: ``{"done": ...}`` or ``{"failed": {...}}``. All that SkyPilot says goes into the log.

SkyPilot works in this very process and not through its API server, which would take a minute to start and 430 MB,
listen on a port that it shares with every other user of the machine, and go on after we have given up.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import logging
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

KEYS: Final = "~/.lambda_cloud/lambda_keys"
_NOISE: Final = re.compile(rb"<sky-payload>.*?</sky-payload>\r?\n?|\x1b\[[0-9;?]*[A-Za-z]", re.DOTALL)
_DRAIN_S: Final = 2.0
_SHORTEST: Final = 6
PACE_S: Final = 1.1
LAUNCH_PACE_S: Final = 12.5
TIMEOUT_S: Final = 60.0
_LAUNCH: Final = "/instance-operations/launch"
_GOOD, _BROKEN = 200, 500


_begun = threading.Event()
"""Set when something may have been rented or ended."""
_refused: list[str] = []
"""What Lambda said to each launch that it refused; SkyPilot's exceptions do not repeat it."""


class Refusal(Exception):
    """What we do not let SkyPilot do; its kind is for the caller."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Unknown(BaseException):
    """Whether a launch was heard is not known. No Exception, or SkyPilot would launch again elsewhere."""

    kind = "unknown"


class Line:
    """The way to Lambda's API: a request a second and a launch in twelve, as Lambda wishes, and none for ever.

    SkyPilot's own way has no pace, so that every other request is refused and waited for, and no time limit.
    """

    def __init__(self) -> None:
        self._requests = importlib.import_module("requests")
        self._lock = threading.Lock()
        self._next = self._next_launch = 0.0
        self.get, self.post, self.put = (functools.partial(self._send, method) for method in ("get", "post", "put"))

    def _send(self, method: str, url: str, **options: Any) -> Any:
        self._wait(url.endswith(_LAUNCH))
        try:
            reply = self._requests.request(method, url, timeout=TIMEOUT_S, allow_redirects=False, **options)
        except self._requests.RequestException as error:
            if url.endswith(_LAUNCH):
                raise Unknown(f"Lambda did not say whether it launched: {error}") from error
            raise
        if url.endswith(_LAUNCH) and not _is_clear(reply):
            raise Unknown(f"Lambda did not say whether it launched: HTTP {reply.status_code}")
        return reply

    def _wait(self, is_launch: bool) -> None:
        with self._lock:
            time.sleep(max(0.0, max(self._next, self._next_launch * is_launch) - time.monotonic()))
            self._next = time.monotonic() + PACE_S
            if is_launch:
                self._next_launch = time.monotonic() + LAUNCH_PACE_S


def _is_clear(reply: Any) -> bool:
    """Whether an answer to a launch tells what became of it."""
    if reply.status_code != _GOOD:
        return bool(reply.status_code < _BROKEN)
    try:
        return len(reply.json()["data"]["instance_ids"]) > 0
    except (ValueError, LookupError, TypeError):
        return False


class _Ear(logging.Handler):
    """Hears why Lambda refuses a launch."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        _, mark, reason = record.getMessage().partition("run_instances error: ")
        if mark:
            _refused.append(reason)


def _sky(name: str) -> Any:
    return importlib.import_module(f"sky.{name}" if name else "sky")


def uploads(_: Mapping[str, Any]) -> dict[str, str]:
    """Every file with credentials that SkyPilot would copy to a machine: ours by theirs."""
    return dict(_sky("check").get_cloud_credential_file_mounts(None))


def build(_: Mapping[str, Any]) -> str:
    """The wheel of itself that SkyPilot sends to machines, made now so that no launch needs a package index."""
    folder, digest = _sky("backends.wheel_utils").build_sky_wheel()  # the folder is a copy, for us to remove
    shutil.rmtree(folder)
    return str(digest)


def launch(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Rent what the task wants.

    Raises:
        Refusal: If SkyPilot must not be let do it.
    """
    _refuse_other_clouds()
    usd_per_hour = _price(asked["instance_type"], asked["num_nodes"], asked["max_hourly_cost"])
    if _record(asked["cluster"]) is not None:
        raise Refusal("exists", f"SkyPilot has a cluster {asked['cluster']} already")
    task = _sky("").Task.from_yaml_config(json.loads(asked["task"]))
    _begun.set()
    _, handle = _sky("execution").launch(task, cluster_name=asked["cluster"], stream_logs=True, _quiet_optimizer=True)
    return {"usd_per_hour": usd_per_hour, **_described(handle)}


def status(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """What SkyPilot holds of a cluster after it has asked Lambda; None if there is none."""
    if _record(asked["cluster"]) is None:
        return None
    refreshed = _sky("backends.backend_utils").refresh_cluster_record(
        asked["cluster"], force_refresh_statuses=set(_sky("").ClusterStatus)
    )
    if refreshed is None:
        return None
    return {
        "state": refreshed["status"].value,
        "autostop_minutes": refreshed["autostop"],
        "to_down": bool(refreshed["to_down"]),
        **_described(refreshed["handle"]),
    }


def autostop(asked: Mapping[str, Any]) -> None:
    """Have a cluster end by itself so many minutes after its last job."""
    wait_for = _sky("skylet.autostop_lib").AutostopWaitFor.JOBS
    _sky("core").autostop(asked["cluster"], asked["idle_minutes"], wait_for=wait_for, down=True)


def down(asked: Mapping[str, Any]) -> bool:
    """End a cluster; False if SkyPilot knew none."""
    if _record(asked["cluster"]) is None:
        return False
    _begun.set()
    _sky("core").down(asked["cluster"])
    return True


def _refuse_other_clouds() -> None:
    others = sorted(set(uploads({})) - {KEYS})
    if others:
        raise Refusal("credentials", f"SkyPilot would copy {', '.join(others)} to the machine")


def _price(instance_type: str, num_nodes: int, most: float) -> float:
    """Lambda's price of now: SkyPilot does not hold max_hourly_cost against an instance type that is named."""
    offered = _sky("provision.lambda_cloud.lambda_utils").LambdaCloudClient().list_catalog()
    if instance_type not in offered:
        raise Refusal("type", f"Lambda has no instance type {instance_type}")
    usd_per_hour = float(num_nodes * offered[instance_type]["instance_type"]["price_cents_per_hour"] / 100)
    if usd_per_hour > most:
        raise Refusal("price", f"{usd_per_hour:.2f} dollars an hour are more than the {most:.2f} that were agreed")
    return usd_per_hour


def _record(cluster: str) -> Any:
    return _sky("global_user_state").get_cluster_from_name(cluster)


def _described(handle: Any) -> dict[str, Any]:
    """Where a cluster is and how it is reached, the head first."""
    info, login = (
        handle.cached_cluster_info,
        _sky("backends.backend_utils").ssh_credential_from_yaml(handle.cluster_yaml),
    )
    return {
        "cluster": handle.cluster_name,
        "name_on_cloud": handle.cluster_name_on_cloud,
        "ips": list(handle.cached_external_ips or ()),
        "region": handle.launched_resources.region,
        "instance_ids": [] if info is None else [one.instance_id for one in _head_first(info)],
        "user": login.get("ssh_user", ""),
        "key_file": os.path.expanduser(login.get("ssh_private_key") or ""),  # noqa: PTH111
    }


def _head_first(info: Any) -> list[Any]:
    every = [one for group in info.instances.values() for one in group]
    return sorted(every, key=lambda one: one.instance_id != info.head_instance_id)


def _failure(error: BaseException) -> dict[str, Any]:
    """An exception in words, with those that led to it: SkyPilot tries one region after the other."""
    return {
        "kind": getattr(error, "kind", ""),
        "types": [kind.__name__ for kind in type(error).__mro__[:-1]],
        "message": str(error),
        "history": [_failure(one) for one in getattr(error, "failover_history", None) or ()],
    }


_VERBS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    verb.__name__: verb for verb in (launch, status, autostop, down, uploads, build)
}


def _masked(data: bytes, secrets: tuple[bytes, ...]) -> bytes:
    for secret in secrets:
        data = data.replace(secret, b"[secret]")
    return _NOISE.sub(b"", data)


def _secrets() -> tuple[bytes, ...]:
    """What must not be repeated; what is too short for a secret could be part of any word."""
    path = Path(KEYS).expanduser()
    lines = path.read_bytes().splitlines() if path.is_file() else []
    values = (line.partition(b" = ")[2].strip() for line in lines)
    return tuple(value for value in values if len(value) >= _SHORTEST)


def _keep(source: BinaryIO, log: Path, secrets: tuple[bytes, ...]) -> None:
    with source, log.open("ab", buffering=0) as target:
        for line in source:
            target.write(_masked(line, secrets))


def _divert(log: Path) -> tuple[int, threading.Thread]:
    """Send all that is said from now on into ``log``; where the answer goes, and who listens."""
    answer = os.dup(1)
    ear, mouth = os.pipe()
    for stream in (1, 2):
        os.dup2(mouth, stream)
    os.close(mouth)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    listener = threading.Thread(target=_keep, args=(os.fdopen(ear, "rb"), log, _secrets()), daemon=True)
    listener.start()
    return answer, listener


def _prepare(endpoint: str) -> None:
    """Give SkyPilot another way to Lambda, to the production server, as its own is deprecated; and say who we are."""
    words = _sky("provision.lambda_cloud.lambda_utils")
    words.API_ENDPOINT, words.requests = f"{endpoint}/api/v1", Line()
    logging.getLogger("sky.provision.lambda_cloud.instance").addHandler(_Ear())
    models, common = _sky("models"), _sky("utils.common_utils")
    _sky("global_user_state").add_or_update_user(models.User(id=common.get_user_hash(), name="kanjiprep"))


def _answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    try:
        _prepare(asked["endpoint"])
        return {"done": _VERBS[asked["verb"]](asked)}
    except (Exception, SystemExit, Unknown) as error:  # noqa: BLE001 - whatever it is, we tell it
        import traceback

        traceback.print_exc()
        return {"failed": {**_failure(error), "begun": _begun.is_set(), "refused": _refused}}


def main() -> None:
    """Do what stdin says."""
    asked = json.load(sys.stdin)
    answer, listener = _divert(Path(asked["log"]))
    text = _masked(json.dumps(_answer(asked)).encode() + b"\n", _secrets())
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(BrokenPipeError), os.fdopen(answer, "wb") as stream:  # nobody waits for it any more
        stream.write(text)
    for number in (1, 2):
        os.dup2(0, number)  # no further word, so that the listener comes to its end
    listener.join(_DRAIN_S)


if __name__ == "__main__":
    main()
