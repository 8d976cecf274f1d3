"""Renting's end of things against Lambda's API on loopback, over real HTTP, with every fault that it may have."""

from __future__ import annotations

import http.client
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kanjiprep.errors import RemoteError
from kanjiprep.training.lambda_http import Pace
from kanjiprep.training.remote.cloud import gone, ledger, leftovers
from kanjiprep.training.remote.cloud.api import Lambda
from kanjiprep.training.remote.cloud.asking import Clock
from kanjiprep.training.remote.cloud.gone import Gone, StillThere
from kanjiprep.training.remote.cloud.ledger import Asked, Launched, stamp
from tests.lambda_cloud import ALWAYS, KEY, LAUNCH, TERMINATE, Box, LambdaCloud

ROOT = Path(__file__).parents[2]
NAME = "kanjiprep-try-0a0a0a"
HEAD = f"{NAME}-12345678-head"
TYPE, REGION = "gpu_1x_a100_sxm4", "us-east-1"
QUICK = Clock(tick=lambda: time.monotonic() * 100, pause=lambda seconds: time.sleep(seconds / 100))
PATIENCE_S = 3000.0


@pytest.fixture
def cloud() -> Iterator[LambdaCloud]:
    with LambdaCloud() as cloud:
        cloud.ssh_keys["mine"] = {"id": "1", "name": "mine", "public_key": "ssh-ed25519 AAAA"}
        yield cloud


def account(cloud: LambdaCloud, **changes: Any) -> Lambda:
    return replace(Lambda(KEY, cloud.url, timeout_s=5, pause=lambda _: None), **changes)


def send(
    url: str, method: str, path: str, body: object = None, key: str = KEY, agent: str = "curl/8", timeout_s: float = 5
) -> tuple[int, Any]:
    """Status and answer of a request as another client sends it."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout_s)
    headers = {"Authorization": f"Bearer {key}", "User-Agent": agent}
    data = json.dumps(body) if body is not None else None
    with closing(connection):
        connection.request(method, path, data, headers)
        reply = connection.getresponse()
        said = reply.read()
        return reply.status, json.loads(said) if said.startswith((b"{", b"[")) else said.decode()


def call(cloud: LambdaCloud, method: str, path: str, body: object = None, **how: Any) -> tuple[int, Any]:
    return send(cloud.url, method, f"/api/v1{path}", body, **how)


def launch(cloud: LambdaCloud, timeout_s: float = 5, **changes: object) -> tuple[int, Any]:
    body = {"region_name": REGION, "instance_type_name": TYPE, "ssh_key_names": ["mine"], "name": HEAD} | changes
    return call(cloud, "POST", "/instance-operations/launch", body, timeout_s=timeout_s)


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["code"]


def rented(folder: Path, *boxes: Box, ago: timedelta = timedelta(hours=1)) -> None:
    at = stamp(datetime.now(UTC) - ago)
    ledger.append(folder, Asked(NAME, at, "/runs/try", TYPE, 1.99, 10, 19.9))
    ledger.append(folder, *(Launched(NAME, at, box.id) for box in boxes))


# The fake itself: what the real SkyPilot is shown has to be as the documentation says.


def test_an_instance_boots_and_ends_in_its_time(cloud: LambdaCloud) -> None:
    now = [0.0]
    cloud.clock = lambda: now[0]
    cloud.boot_s, cloud.end_s, cloud.keep_s = 180, 60, 30
    one = launch(cloud)[1]["data"]["instance_ids"][0]
    seen = []
    for seconds in (1, 181):
        now[0] = seconds
        seen.append(call(cloud, "GET", f"/instances/{one}")[1]["data"])
    assert [(box["status"], box["ip"], box["name"]) for box in seen] == [
        ("booting", None, HEAD),
        ("active", "127.0.0.1", HEAD),
    ]
    ended = call(cloud, "POST", "/instance-operations/terminate", {"instance_ids": [one]})[1]["data"]
    assert [box["status"] for box in ended["terminated_instances"]] == ["terminating"]
    assert [box.id for box in cloud.billing()] == [one]
    now[0] += 60
    assert [box["status"] for box in call(cloud, "GET", "/instances")[1]["data"]] == ["terminated"]
    assert cloud.billing() == []
    now[0] += 30
    assert call(cloud, "GET", "/instances")[1]["data"] == []
    assert code(call(cloud, "GET", f"/instances/{one}")) == (404, "global/object-does-not-exist")
    history = [(0, "booting"), (180, "active"), (181, "terminating"), (241, "terminated")]
    assert cloud.instances[one].history == history


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ssh_key_names": []}, "ssh_key_names"),
        ({"ssh_key_names": ["mine", "mine"]}, "ssh_key_names"),
        ({"ssh_key_names": ["unknown"]}, "ssh_key_names"),
        ({"quantity": 2}, "quantity"),
        ({"name": "x" * 65}, "name"),
        ({"instance_type_name": "gpu_1x_none"}, "instance_type_name"),
        ({"region_name": None}, "region_name"),
        ({"tags": [{"key": "Upper", "value": ""}]}, "tags"),
        ({"idempotency_token": "x"}, "idempotency_token"),
    ],
)
def test_a_wrong_launch_is_refused(cloud: LambdaCloud, changes: dict[str, Any], field: str) -> None:
    answer = launch(cloud, **changes)
    assert code(answer) == (400, "global/invalid-parameters")
    assert list(answer[1]["field_errors"]) == [field]
    assert cloud.instances == {}


def test_a_launch_is_not_idempotent_and_echoes_its_tags(cloud: LambdaCloud) -> None:
    tags = [{"key": "run", "value": "try"}]
    ids = [launch(cloud, tags=tags, quantity=1)[1]["data"]["instance_ids"][0] for _ in range(2)]
    assert len(set(ids)) == 2
    assert [box["tags"] for box in call(cloud, "GET", "/instances")[1]["data"]] == [tags, tags]


def test_capacity_and_quota_are_limits(cloud: LambdaCloud) -> None:
    cloud.full.add(REGION)
    assert code(launch(cloud)) == (400, "instance-operations/launch/insufficient-capacity")
    assert launch(cloud, region_name="us-west-2")[0] == 200
    assert code(launch(cloud, region_name="us-north-9"))[1].endswith("insufficient-capacity")
    cloud.most = 1
    assert code(launch(cloud, region_name="us-west-2")) == (400, "global/quota-exceeded")


def test_keys_rules_and_unknown_paths_answer_as_lambda_does(cloud: LambdaCloud) -> None:
    assert call(cloud, "POST", "/ssh-keys", {"name": "k", "public_key": "ssh-rsa A"})[1]["data"]["name"] == "k"
    assert code(call(cloud, "POST", "/ssh-keys", {"name": "k", "public_key": "ssh-rsa B"})) == (
        400,
        "global/duplicate",
    )
    assert code(call(cloud, "POST", "/ssh-keys", {"name": "k"})) == (400, "global/invalid-parameters")
    launch(cloud)
    assert code(call(cloud, "DELETE", "/ssh-keys/1")) == (400, "ssh-keys/key-in-use")
    one = cloud.ssh_keys["k"]["id"]
    assert call(cloud, "DELETE", f"/ssh-keys/{one}")[0] == 200
    assert code(call(cloud, "DELETE", f"/ssh-keys/{one}"))[0] == 404
    assert [rule["protocol"] for rule in call(cloud, "GET", "/firewall-rules")[1]["data"]] == ["tcp", "icmp"]
    assert call(cloud, "PUT", "/firewall-rules", {"data": []})[1] == {"data": []}
    assert code(call(cloud, "PUT", "/firewall-rules", []))[0] == 400
    assert code(call(cloud, "GET", "/nothing")) == (404, "global/not-found")
    assert code(call(cloud, "GET", "/instances", key="other")) == (401, "global/invalid-api-key")
    assert code(call(cloud, "POST", "/instance-operations/terminate", {"instance_ids": ["x"]}))[0] == 404


def test_lambdas_own_limits_can_be_switched_on(cloud: LambdaCloud) -> None:
    now = [100.0]
    cloud.clock, cloud.pace_s, cloud.launch_pace_s = lambda: now[0], 1, 12
    assert [call(cloud, "GET", "/instances")[0] for _ in range(2)] == [200, 429]
    now[0] += 1
    assert launch(cloud)[0] == 200
    now[0] += 2
    assert launch(cloud)[0] == 429
    now[0] += 10
    assert launch(cloud)[0] == 200


def test_a_client_without_a_name_of_its_own_is_sent_away(cloud: LambdaCloud) -> None:
    answer = call(cloud, "GET", "/instances", agent="Python-urllib/3.11")
    assert answer == (403, "error code: 1010")


def test_a_fault_that_would_spoil_nothing_is_a_mistake(cloud: LambdaCloud) -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        cloud.fail("explode")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no option second"):
        cloud.fail("hang", second=1)
    with pytest.raises(ValueError, match="asleep"):
        cloud.turn("x", "asleep")


def test_the_fake_is_a_program_too() -> None:
    line = [sys.executable, "-m", "tests.lambda_cloud", "--boot-s", "100"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        send(url, "POST", "/_fake/faults", {"kind": "status", "where": "GET .*/instances", "code": 503, "times": 9})
        with pytest.raises(RemoteError, match="HTTP 503"):
            Lambda(KEY, url, pause=lambda _: None).instances()
        requests = send(url, "GET", "/_fake/state")[1]["requests"]
        assert [seen["status"] for seen in requests] == [503, 503, 503]
        assert KEY not in json.dumps(requests)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


# Our client


def test_types_and_instances_are_read_from_the_account(cloud: LambdaCloud) -> None:
    price = account(cloud).types()["gpu_1x_h100_sxm5"]
    assert (price.usd_per_hour, price.regions) == (4.29, ("us-east-1", "us-south-2"))
    del cloud.types["gpu_1x_h100_sxm5"]
    assert "gpu_1x_h100_sxm5" not in account(cloud).types()
    box = cloud.add(HEAD)
    (one,) = account(cloud).instances()
    assert (one.id, one.name, one.status, one.ip) == (box.id, HEAD, "active", "127.0.0.1")
    assert (one.region, one.type, one.usd_per_hour) == (REGION, TYPE, 1.99)
    box.ip = "198.51.100.7"
    assert account(cloud).instance(box.id) == replace(one, ip="198.51.100.7")
    cloud.turn(box.id, "unhealthy")
    assert account(cloud).instances()[0].status == "unhealthy"
    cloud.vanish(box.id)
    assert account(cloud).instance(box.id) is None
    assert account(cloud).instances() == ()


def test_one_process_asks_once_a_second(cloud: LambdaCloud) -> None:
    now = [100.0]
    cloud.clock, cloud.pace_s = lambda: now[0], 1

    def wait(seconds: float) -> None:
        now[0] += seconds

    paced = account(cloud, pace=Pace(1.0, lambda: now[0], wait))
    for _ in range(3):
        assert paced.instances() == ()
    assert [seen.status for seen in cloud.requests] == [200, 200, 200]
    assert now[0] == 102


@dataclass(frozen=True)
class Case:
    """A fault, and the words that tell of it when instances are listed and when one is ended."""

    kind: str
    how: dict[str, Any]
    listing: str
    ending: str


SHAPE = "Lambda's answer has another shape than its documentation says"
FAULTS = {
    "429": Case("status", {"code": 429}, "busy or broken (HTTP 429", "busy or broken (HTTP 429"),
    "500": Case("status", {"code": 500}, "busy or broken (HTTP 500, global/internal-error)", "busy or broken"),
    "503 page": Case("status", {"code": 503, "body": "<html>"}, "busy or broken (HTTP 503)", "HTTP 503"),
    "hang": Case("hang", {}, "could not be reached: timed out", "could not be reached: timed out"),
    "worked 500": Case("worked", {"code": 500}, "busy or broken", "busy or broken"),
    "worked hang": Case("worked_hang", {}, "timed out", "timed out"),
    "drop": Case("drop", {}, "could not be reached", "could not be reached"),
    "worked drop": Case("worked_drop", {}, "could not be reached", "could not be reached"),
    "capacity": Case(
        "status",
        {"code": 400, "error": "instance-operations/launch/insufficient-capacity"},
        "refuses (HTTP 400, instance-operations/launch/insufficient-capacity)",
        "insufficient-capacity",
    ),
    "invalid key": Case(
        "status",
        {"code": 401, "error": "global/invalid-api-key"},
        "does not know the API key (HTTP 401, global/invalid-api-key); make a key",
        "does not know the API key",
    ),
    "forbidden": Case(
        "status", {"code": 403, "error": "global/account-inactive"}, "forbids it (HTTP 403, global/account", "forbids"
    ),
    "404": Case("status", {"code": 404, "body": "{}"}, "refuses (HTTP 404)", "refuses (HTTP 404)"),
    "redirect": Case(
        "status", {"code": 301, "headers": {"Location": "/elsewhere"}}, "redirects (HTTP 301", "redirects"
    ),
    "308": Case("status", {"code": 308, "headers": {"Location": "/elsewhere"}}, "redirects (HTTP 308", "redirects"),
    "html": Case("status", {"code": 200, "body": "<!doctype html>"}, SHAPE, SHAPE),
    "shape": Case("status", {"code": 200, "body": {"data": {"instances": 1}}}, SHAPE, SHAPE),
    "page": Case("status", {"code": 200, "body": {"data": [], "page_token": "x"}}, "first page", "first page"),
    "flood": Case("status", {"code": 200, "body": b" " * (5 << 20)}, "sent more than 4 MiB", "sent more than 4 MiB"),
    "short": Case(
        "status", {"code": 200, "body": "{", "headers": {"Content-Length": "9"}}, "stopped 8 bytes early", "early"
    ),
    "key echo": Case("status", {"code": 400, "error": KEY}, "refuses (HTTP 400)", "refuses (HTTP 400)"),
}
REPEATED = {"429", "500", "503 page", "hang", "worked 500", "worked hang", "drop", "worked drop", "short"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_clear_line_and_a_post_is_never_repeated(
    cloud: LambdaCloud, fault: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    case, box = FAULTS[fault], cloud.add(HEAD)
    cloud.fail(case.kind, times=ALWAYS, **case.how)  # type: ignore[arg-type]
    asks: list[tuple[Callable[[Lambda], object], str, str]] = [
        (lambda one: one.instances(), "the instances", case.listing),
        (lambda one: one.terminate([box.id]), f"the end of {box.id}", case.ending),
    ]
    for ask, what, words in asks:
        with caplog.at_level(logging.DEBUG), pytest.raises(RemoteError) as caught:
            ask(account(cloud, timeout_s=0.1 if "hang" in case.kind else 5))
        said = str(caught.value)
        assert said.startswith(f"{what} at Lambda: Lambda")
        assert words in said
        assert "\n" not in said
        assert KEY not in said + caplog.text + "".join(capfd.readouterr()) + repr(caught.value)
        assert caught.value.exit_code == 7
    assert len(cloud.asked("GET")) == (3 if fault in REPEATED else 1)
    assert len(cloud.asked(TERMINATE)) == 1
    assert cloud.asked("elsewhere") == []


def test_a_busy_account_answers_in_the_end(cloud: LambdaCloud) -> None:
    cloud.fail("status", "GET", code=429, times=2)
    assert account(cloud).instances() == ()


# Giving back: whatever happens on the way, a machine that bills is either ended or told of loudly.


@dataclass(frozen=True)
class Trouble:
    """What happens while a machine is given back, and whether it is known to be gone at last."""

    ends: str = "gone"
    kind: str = ""
    where: str = "."
    times: int = ALWAYS
    how: Mapping[str, Any] = field(default_factory=dict)
    turn: str = ""
    vanish: bool = False
    cloud: Mapping[str, Any] = field(default_factory=dict)
    box: Mapping[str, Any] = field(default_factory=dict)

    def befall(self, cloud: LambdaCloud, box: Box) -> None:
        if self.kind:
            cloud.fail(self.kind, self.where, times=self.times, **self.how)  # type: ignore[arg-type]
        if self.turn:
            cloud.turn(box.id, self.turn)
        if self.vanish:
            cloud.vanish(box.id)
        for thing, changes in ((cloud, self.cloud), (box, self.box)):
            for name, value in changes.items():
                setattr(thing, name, value)


BACK = {
    "nothing": Trouble(),
    "slow": Trouble(cloud={"end_s": 0.1}),
    "still listed": Trouble(cloud={"keep_s": 9}),
    "booting": Trouble(turn="booting", cloud={"boot_s": 9}),
    "unhealthy": Trouble(turn="unhealthy"),
    "preempted": Trouble(turn="preempted"),
    "vanished": Trouble(vanish=True),
    "other ip": Trouble(box={"ip": "198.51.100.9"}),
    "terminated by hand": Trouble(turn="terminated"),
    "ending already": Trouble(turn="terminating", cloud={"end_s": 0.1, "refuses_second_end": True}),
    "list broken at first": Trouble(kind="status", where="GET", times=4),
    "key refused at first": Trouble(kind="status", times=3, how={"code": 401}),
    "end busy once": Trouble(kind="status", where=TERMINATE, times=1, how={"code": 429}),
    "end broken once": Trouble(kind="status", where=TERMINATE, times=1),
    "end dropped once": Trouble(kind="drop", where=TERMINATE, times=1),
    "end worked and said no": Trouble(kind="worked", where=TERMINATE),
    "end worked and hung": Trouble(kind="worked_hang", where=TERMINATE, how={"seconds": 0.1}),
    "end lied once": Trouble(kind="lie", where=TERMINATE, times=1),
    "end always lies": Trouble("lost", kind="lie", where=TERMINATE),
    "end is never accepted": Trouble("lost", kind="status", where=TERMINATE, how={"code": 400}),
    "ends for ever": Trouble("lost", cloud={"end_s": 999}),
    "account never answers": Trouble("lost", kind="status", how={"code": 503}),
    "account hangs": Trouble("lost", kind="hang", how={"seconds": 0.1}),
    "key revoked": Trouble("lost", cloud={"key": "other"}),
    "wrong shape": Trouble("lost", kind="status", where="GET", how={"code": 200, "body": "[]"}),
    "redirect": Trouble("lost", kind="status", how={"code": 302, "headers": {"Location": "/x"}}),
    "renamed by hand": Trouble("lost", box={"name": "mine"}),
}


@pytest.mark.parametrize("fault", BACK)
def test_no_machine_bills_without_a_loud_word(cloud: LambdaCloud, tmp_path: Path, fault: str) -> None:
    trouble, box, foreign = BACK[fault], cloud.add(HEAD), cloud.add("somebody-elses")
    rented(tmp_path, box)
    trouble.befall(cloud, box)
    told: list[str] = []
    patience_s = PATIENCE_S if trouble.ends == "gone" else 40.0
    said = gone.give_back(account(cloud), tmp_path, NAME, patience_s, tell=told.append, clock=QUICK)
    (rental,) = ledger.read(tmp_path).rentals
    assert rental.state == trouble.ends
    assert all(KEY not in line and "\n" not in line for line in (*told, str(said)))
    assert foreign.status == "active"
    if isinstance(said, StillThere):
        assert "may still be running and cost money" in str(said)
        assert "https://cloud.lambda.ai/instances" in str(said)
        assert said.ids == (box.id,)
    else:
        assert [one.id for one in cloud.billing()] == [foreign.id]
    if trouble.ends == "lost":  # and when the fault is over, the next start ends it
        cloud.faults.clear()
        cloud.key, cloud.end_s, box.name = KEY, 0, HEAD
        said = gone.give_back(account(cloud), tmp_path, NAME, PATIENCE_S, tell=told.append, clock=QUICK)
        assert isinstance(said, Gone)
        assert ledger.read(tmp_path).open_rentals == ()


@pytest.mark.parametrize("kind", ["worked", "worked_hang", "worked_drop"])
def test_a_launch_with_an_unknown_outcome_is_found_adopted_and_ended(
    cloud: LambdaCloud, tmp_path: Path, kind: Any
) -> None:
    rented(tmp_path)
    cloud.fail(kind, LAUNCH, **({"code": 500} if kind == "worked" else {}))
    with suppress(OSError, http.client.HTTPException):
        assert launch(cloud, timeout_s=0.2)[0] == 500
    assert len(cloud.billing()) == 1
    (leftover,) = leftovers.find_leftovers(account(cloud), tmp_path)
    assert leftover.whose == "adopted"
    assert ledger.read(tmp_path).rentals[0].ids == (leftover.instance.id,)
    told: list[str] = []
    assert isinstance(gone.give_back(account(cloud), tmp_path, NAME, PATIENCE_S, tell=told.append, clock=QUICK), Gone)
    assert cloud.billing() == []


def test_a_machine_of_another_ledger_is_told_of_and_left_alone(cloud: LambdaCloud, tmp_path: Path) -> None:
    rented(tmp_path)
    cloud.add("kanjiprep-other-0b0b0b-12345678-head")
    (leftover,) = leftovers.find_leftovers(account(cloud), tmp_path)
    assert (leftover.whose, leftover.rental) == ("unknown", None)
    assert isinstance(gone.give_back(account(cloud), tmp_path, NAME, PATIENCE_S, tell=print, clock=QUICK), Gone)
    assert len(cloud.billing()) == 1
    assert cloud.asked(TERMINATE) == []
