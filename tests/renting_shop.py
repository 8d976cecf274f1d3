"""What renting is tried with: a SkyPilot that asks Lambda's API as the real one does, and a clock that hurries.

As a program, ``python -m tests.renting_shop URL FOLDER ZERO PHASE`` rents and is killed in a phase.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from kanjiprep.training.remote import renting
from kanjiprep.training.remote.cloud import ledger
from kanjiprep.training.remote.cloud.api import Instance, Lambda
from kanjiprep.training.remote.cloud.asking import Clock
from kanjiprep.training.remote.cloud.money import Quote
from kanjiprep.training.remote.offers import Offer
from kanjiprep.training.remote.returning import Shop
from kanjiprep.training.remote.sky.answers import EngineError, Launched, Login, Trouble
from kanjiprep.training.remote.sky.task import Task
from tests.lambda_cloud import KEY

TYPE, REGION, OTHER_REGION = "gpu_1x_a100_sxm4", "us-east-1", "us-west-2"
MARK, SSH_KEY = "0a1b2c3d", "sky-key-0a1b2c3d"
HURRY: Final = 800
TIMEOUT_S: Final = 5.0
Act = Callable[[], object]


def offer(usd_per_hour: float = 1.99) -> Offer:
    quote = Quote(TYPE, 1, usd_per_hour, "2026-11-27T08:00:00+00:00", 10.0, 19.9, "--max-hours")
    return Offer("a100-40gb-sxm", 1, REGION, quote)


def hurried_clock(zero: float) -> Clock:
    """Time that passes faster, the same for all who know its ``zero``."""

    def passed_s() -> float:
        return (time.time() - zero) * HURRY

    start = datetime.fromtimestamp(zero, UTC)
    return Clock(lambda: start + timedelta(seconds=passed_s()), passed_s, lambda seconds: time.sleep(seconds / HURRY))


def account(url: str, timeout_s: float = TIMEOUT_S) -> Lambda:
    return Lambda(KEY, url, timeout_s=timeout_s, pause=lambda _: None)


@dataclass(slots=True)
class Sky:
    """Rents as SkyPilot does, by name and without an end when it fails.

    Attributes:
        url: Of Lambda.
        at: What happens in a phase: launch, posted, active, ready, down.
        limit_s: How long it waits until a machine is active.
        timeout_s: How long it waits for an answer.
        has_ssh: Whether a machine can be reached.
        usd_most: For more it does not rent.
        shown: The answer to a launch, changed.
    """

    url: str
    at: dict[str, Act] = field(default_factory=dict)
    limit_s: float = 10.0
    timeout_s: float = TIMEOUT_S
    has_ssh: bool = True
    usd_most: float = 99.0
    shown: Callable[[Launched], Launched] = lambda launched: launched

    def launch(self, task: Task) -> Launched:
        self._happen("launch")
        if task.max_hourly_cost > self.usd_most:
            raise trouble("price", may_be_left=False)
        one, region = self._post(task)
        self._happen("posted")
        ip = self._active(one)
        self._happen("active")
        if not self.has_ssh:
            raise trouble("ssh")
        self._happen("ready")
        login = Login("ubuntu", ip, Path("key"))
        return self.shown(Launched(task.name, (login,), region, (one,), 1.99))

    def arm(self, name: str) -> None:
        """It gives itself back."""

    def cut_off(self, name: str) -> bool:
        return False

    def down(self, name: str) -> bool:
        self._happen("down")
        _, said = self.ask("GET", "/instances")
        try:
            ids = [one["id"] for one in said["data"] if one["name"] == f"{name}-{MARK}-head"]
        except LookupError:
            raise trouble("other") from None
        if ids and self.ask("POST", "/instance-operations/terminate", {"instance_ids": ids})[0] != 200:
            raise trouble("other")
        return bool(ids)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and answer; a question without an answer has none that is known."""
        headers = {"Authorization": f"Bearer {KEY}", "User-Agent": "sky"}
        try:
            with closing(http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=self.timeout_s)) as connection:
                connection.request(method, f"/api/v1{path}", json.dumps(body) if body else None, headers)
                reply = connection.getresponse()
                return reply.status, json.loads(reply.read())
        except (OSError, http.client.HTTPException):
            raise trouble("unknown") from None

    def _post(self, task: Task) -> tuple[str, str]:
        for region in (REGION, OTHER_REGION):
            body = {"region_name": region, "instance_type_name": task.instance_type, "ssh_key_names": [SSH_KEY]}
            name = f"{task.name}-{MARK}-head"
            status, said = self.ask("POST", "/instance-operations/launch", body | {"name": name, "quantity": 1})
            if status == 200:
                return said["data"]["instance_ids"][0], region
            if "insufficient-capacity" not in said["error"]["code"]:
                raise trouble("unknown" if status >= 500 else {401: "key"}.get(status, "refused"))  # type: ignore[arg-type]
        raise trouble("capacity")

    def _active(self, one: str) -> str:
        deadline = time.monotonic() + self.limit_s
        while time.monotonic() < deadline:
            status, said = self.ask("GET", f"/instances/{one}")
            if status != 200:
                raise trouble("key" if status == 401 else "other")
            if said["data"]["status"] == "active":
                return str(said["data"]["ip"])
            time.sleep(0.02)
        raise trouble("unknown")

    def _happen(self, phase: str) -> None:
        self.at.get(phase, lambda: None)()


@dataclass(frozen=True, slots=True)
class Watched:
    """An account, with things that happen when it is asked."""

    cloud: Lambda
    at: Mapping[str, Act]

    def instances(self) -> tuple[Instance, ...]:
        return self.cloud.instances()

    def instance(self, instance_id: str) -> Instance | None:
        self.at.get("look", lambda: None)()
        return self.cloud.instance(instance_id)

    def terminate(self, ids: Iterable[str]) -> tuple[str, ...]:
        self.at.get("end", lambda: None)()
        ended = self.cloud.terminate(ids)
        self.at.get("ended", lambda: None)()
        return ended


def trouble(kind: Trouble, may_be_left: bool = True) -> EngineError:
    return EngineError(kind, f"it went wrong ({kind})", "the log", "", may_be_left=may_be_left)


def main(url: str, folder: str, zero: str, phase: str) -> None:
    """Rent, and be killed."""

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def die_writing() -> None:
        with (Path(folder) / ledger.FILE).open("ab") as file:
            file.write(b'{"kind": "launched", "na')
        die()

    def fail() -> None:
        raise trouble("network")

    at: dict[str, Act] = {"ready": die_writing} if phase == "torn" else {phase: die}
    needs_own_end = phase in {"end", "ended"}
    sky = Sky(url, at={"down": fail, **at} if needs_own_end else at, has_ssh=not (needs_own_end or phase == "down"))
    shop = Shop(Watched(account(url), at), sky, Path(folder), hurried_clock(float(zero)))
    renting.rent(shop, offer(), Path("/runs/try"), print)
    at.get("rented", lambda: None)()


if __name__ == "__main__":
    main(*sys.argv[1:])
