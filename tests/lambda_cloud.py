"""Lambda's API on loopback: it keeps everything in memory, lets time pass, and fails on demand.

As a program, ``python -m tests.lambda_cloud --port 8080`` prints its url and serves until Ctrl-C. Another process
sees what it holds with GET /_fake/state, and plans faults with POST /_fake/faults; neither needs a key.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal, NamedTuple, get_args

from tests.local_server import LocalServer

KEY: Final = "secret_kanji_0123456789.abcdef"
ROOT: Final = "/api/v1"
LAUNCH: Final = "POST .*/instance-operations/launch"
TERMINATE: Final = "POST .*/instance-operations/terminate"
ALWAYS: Final = 10**9
NO_REPLY: Final = 0

Kind = Literal[
    "status",  # nothing is done, and the answer is another: code, error, headers, body
    "worked",  # it is done, and the answer is another: code, error, headers, body
    "hang",  # nothing is done and nothing is said: seconds
    "worked_hang",  # it is done, and nothing is said: seconds
    "drop",  # nothing is done, and the connection ends
    "worked_drop",  # it is done, and the connection ends
    "lie",  # the answer says that it is done, and it is not
]
_OPTIONS: Final = frozenset({"code", "error", "headers", "body", "seconds"})
_STATUSES = frozenset({"booting", "active", "unhealthy", "terminating", "terminated", "preempted"})
_LAUNCH_KEYS = frozenset(
    {
        "region_name", "instance_type_name", "ssh_key_names", "name", "file_system_names", "file_system_mounts",
        "image", "user_data", "tags", "hostname", "firewall_rulesets", "quantity",
    }
)  # fmt: skip
_TAG_KEY = re.compile(r"[a-z][a-z0-9-:]{1,54}")
_SHAPES: Mapping[str, tuple[str, int, int, int, int, int]] = {
    "gpu_1x_rtx6000": ("Quadro RTX 6000 (24 GB)", 69, 1, 14, 46, 512),
    "gpu_1x_a10": ("A10 (24 GB PCIe)", 129, 1, 30, 200, 1408),
    "gpu_1x_a6000": ("A6000 (48 GB)", 109, 1, 14, 100, 200),
    "gpu_1x_a100": ("A100 (40 GB PCIe)", 199, 1, 30, 225, 512),
    "gpu_1x_a100_sxm4": ("A100 (40 GB SXM4)", 199, 1, 30, 220, 512),
    "gpu_8x_a100_80gb_sxm4": ("A100 (80 GB SXM4)", 2232, 8, 240, 1800, 19968),
    "gpu_1x_h100_pcie": ("H100 (80 GB PCIe)", 329, 1, 26, 225, 1024),
    "gpu_1x_h100_sxm5": ("H100 (80 GB SXM5)", 429, 1, 26, 225, 2816),
    "gpu_2x_h100_sxm5": ("H100 (80 GB SXM5)", 838, 2, 52, 450, 5632),
    "gpu_8x_h100_sxm5": ("H100 (80 GB SXM5)", 3192, 8, 208, 1800, 22528),
    "gpu_1x_gh200": ("GH200 (96 GB)", 229, 1, 64, 432, 4096),
}
_REGIONS: Mapping[str, tuple[str, ...]] = {
    "gpu_1x_a10": ("us-east-1", "us-west-1"),
    "gpu_1x_a100_sxm4": ("us-east-1", "us-west-2"),
    "gpu_1x_h100_pcie": ("us-west-3",),
    "gpu_1x_h100_sxm5": ("us-east-1", "us-south-2"),
    "gpu_2x_h100_sxm5": ("us-south-2",),
}


class Seen(NamedTuple):
    """A request that came, with the status of the answer or NO_REPLY; its headers, and so the key, are not kept."""

    method: str
    path: str
    body: Any
    status: int
    at: float


@dataclass(slots=True)
class Fault:
    """A planned fault of requests whose "METHOD path" a pattern matches: skip so many, then spoil so many."""

    kind: Kind
    where: str
    skip: int = 0
    times: int = 1
    how: Mapping[str, Any] = field(default_factory=dict)
    met: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Box:
    """An instance. Its history holds every status with the time since which it had it."""

    id: str
    name: str
    region: str
    type: str
    ip: str
    ssh_key: str
    tags: list[dict[str, str]]
    hostname: str
    history: list[tuple[float, str]]
    vanished: bool = False

    @property
    def status(self) -> str:
        """What it is now, as of the last look."""
        return self.history[-1][1]

    @property
    def bills(self) -> bool:
        """Whether Lambda still charges for it."""
        return not self.vanished and self.status not in {"terminated", "preempted"}


class Refusal(Exception):
    """An answer of Lambda's that is an error."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"error": {"code": code, "message": message}, **more}


class LambdaCloud(LocalServer):
    """Lambda, open while it is a context; a mistake of its own is raised when it closes.

    Attributes:
        url: Its address, without a path.
        instances: Every instance that ever was, by id.
        requests: What it was asked, in order.
        faults: What it will do wrong, the first that matches first; see ``fail``.
        types: ``instance_type`` by name; take one out and Lambda no longer has it.
        capacity: Regions by name of a type, as GET /instance-types tells them.
        full: Regions where a launch finds no capacity, whatever ``capacity`` says.
        boot_s, end_s: How long an instance boots, and how long its end takes.
        keep_s: How long one that is terminated is still listed.
        pace_s: Requests sooner than so many seconds after the one before are answered with 429; 0 lets all pass.
        launch_pace_s: The same for launches. Lambda's are 1 and 12.
        most: Quota of instances.
        ip: Address of the next instance.
        refuses_second_end: Whether to terminate what is terminating is an error, as it was seen to be.
        firewall: The account-wide rules.
        ssh_keys: By name.
    """

    def __init__(
        self,
        *,
        key: str = KEY,
        port: int = 0,
        ip: str = "127.0.0.1",
        boot_s: float = 0.0,
        end_s: float = 0.0,
        keep_s: float = 0.0,
        pace_s: float = 0.0,
        launch_pace_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.cloud = self
        super().__init__(self._server, "lambda cloud")
        self.key, self.ip, self.clock = key, ip, clock
        self.boot_s, self.end_s, self.keep_s = boot_s, end_s, keep_s
        self.pace_s, self.launch_pace_s = pace_s, launch_pace_s
        self.most, self.refuses_second_end = 100, False
        self.instances: dict[str, Box] = {}
        self.requests: list[Seen] = []
        self.faults: list[Fault] = []
        self.types: dict[str, dict[str, Any]] = {name: _type(name) for name in _SHAPES}
        self.capacity: dict[str, tuple[str, ...]] = dict(_REGIONS)
        self.full: set[str] = set()
        self.firewall: list[dict[str, Any]] = [_rule("tcp", [22, 22]), _rule("icmp", None)]
        self.ssh_keys: dict[str, dict[str, str]] = {}
        self._last = {"any": float("-inf"), "launch": float("-inf")}
        self._made = 0

    def fail(self, kind: Kind, where: str = ".", *, skip: int = 0, times: int = 1, **how: Any) -> Fault:
        """Plan a fault: ``cloud.fail("worked", LAUNCH, code=500)`` launches, and says that it did not."""
        if kind not in get_args(Kind):
            raise ValueError(f"unknown kind of fault: {kind}")
        if unknown := set(how) - _OPTIONS:
            raise ValueError(f"a fault has no option {', '.join(sorted(unknown))}")
        fault = Fault(kind, where, skip, times, how)
        with self.lock:
            self.faults.append(fault)
        return fault

    def add(self, name: str, status: str = "active", type_name: str = "gpu_1x_a100_sxm4", **more: Any) -> Box:
        """An instance that somebody launched, perhaps long ago."""
        with self.lock:
            return self._create(name, type_name, more.get("region", "us-east-1"), more.get("ssh_key", "mine"), status)

    def vanish(self, instance_id: str) -> None:
        """Have an instance be there no more, and no longer charged for."""
        self.instances[instance_id].vanished = True

    def turn(self, instance_id: str, status: str) -> None:
        """Give an instance another status: unhealthy, preempted, or any."""
        if status not in _STATUSES:
            raise ValueError(status)
        self.instances[instance_id].history.append((self.clock(), status))

    def billing(self) -> list[Box]:
        """The instances that cost money now."""
        with self.lock:
            return [box for box in self._looked_at() if box.bills]

    def asked(self, where: str) -> list[Seen]:
        """The requests whose "METHOD path" ``where`` matches."""
        return [seen for seen in self.requests if re.search(where, f"{seen.method} {seen.path}")]

    def state(self) -> dict[str, Any]:
        """All of it, for another process."""
        with self.lock:
            boxes = [asdict(box) | {"status": box.status, "bills": box.bills} for box in self._looked_at()]
            return {"instances": boxes, "requests": [seen._asdict() for seen in self.requests]}

    def meet(self, line: str) -> Fault | None:
        """The fault that spoils the request ``line``, counted down."""
        for fault in self.faults:
            if not re.search(fault.where, line):
                continue
            if fault.skip > 0:
                fault.skip -= 1
            elif fault.times > 0:
                fault.times -= 1
                fault.met.append(line)
                return fault
        return None

    def answer(self, method: str, path: str, body: Any, authorization: str, agent: str) -> tuple[int, Any]:
        """Status and body of Lambda's answer, with what was asked done."""
        if agent.startswith("Python-urllib"):
            return 403, "error code: 1010"
        with self.lock:
            self._looked_at()
            try:
                self._check(authorization)
                self._keep_pace(f"{method} {path}")
                return 200, {"data": self._route(method, path, body)}
            except Refusal as refusal:
                return refusal.status, refusal.body

    def lie(self, path: str, body: Any) -> tuple[int, Any]:
        """The answer to a request that is not heeded."""
        if path.endswith("/launch"):
            return 200, {"data": {"instance_ids": ["f" * 32]}}
        with self.lock:
            self._looked_at()
            boxes = [self._shown(self._box(one)) | {"status": "terminating"} for one in body["instance_ids"]]
        return 200, {"data": {"terminated_instances": boxes}}

    def _check(self, authorization: str) -> None:
        basic = base64.b64encode(f"{self.key}:".encode()).decode()
        if authorization not in {f"Bearer {self.key}", f"Basic {basic}"}:
            raise Refusal(401, "global/invalid-api-key", "API key was invalid, expired, or deleted.")

    def _keep_pace(self, line: str) -> None:
        now, is_launch = self.clock(), bool(re.search(LAUNCH, line))
        is_early = now - self._last["any"] < self.pace_s
        if is_early or (is_launch and now - self._last["launch"] < self.launch_pace_s):
            raise Refusal(429, "global/unknown", "Your API requests are being rate limited.")
        self._last["any"] = now
        if is_launch:
            self._last["launch"] = now

    def _route(self, method: str, path: str, body: Any) -> Any:
        routes: dict[str, Callable[..., Any]] = {
            "GET /instance-types": self._types,
            "GET /instances": lambda: [self._shown(box) for box in self.instances.values() if self._is_listed(box)],
            "GET /instances/([^/]+)": lambda one: self._shown(self._box(one)),
            "POST /instance-operations/launch": lambda: self._launch(body),
            "POST /instance-operations/terminate": lambda: self._terminate(body),
            "GET /ssh-keys": lambda: list(self.ssh_keys.values()),
            "POST /ssh-keys": lambda: self._add_key(body),
            "DELETE /ssh-keys/([^/]+)": self._delete_key,
            "GET /firewall-rules": lambda: self.firewall,
            "PUT /firewall-rules": lambda: self._set_firewall(body),
            "GET /file-?systems": list,
            "GET /images": list,
        }
        line = f"{method} {path.partition('?')[0].removeprefix(ROOT)}"
        for pattern, work in routes.items():
            if path.startswith(ROOT) and (found := re.fullmatch(pattern, line)):
                return work(*found.groups())
        raise Refusal(404, "global/not-found", "Not found.")

    def _types(self) -> dict[str, Any]:
        return {
            name: {
                "instance_type": about,
                "regions_with_capacity_available": [_place(region) for region in self.capacity.get(name, ())],
            }
            for name, about in self.types.items()
        }

    def _launch(self, body: Any) -> dict[str, list[str]]:
        wrong = _wrong(body, self)
        if wrong:
            raise Refusal(400, "global/invalid-parameters", "Invalid request data.", field_errors=wrong)
        if len([box for box in self.instances.values() if box.bills]) >= self.most:
            raise Refusal(400, "global/quota-exceeded", "Quota exceeded.")
        name, region = body["instance_type_name"], body["region_name"]
        if region in self.full or region not in self.capacity.get(name, ()):
            code = "instance-operations/launch/insufficient-capacity"
            raise Refusal(400, code, "Not enough capacity to fulfill launch request.")
        key, tags = body["ssh_key_names"][0], body.get("tags") or []
        box = self._create(body.get("name") or "", name, region, key, "booting", tags)
        box.hostname = body.get("hostname") or box.hostname
        self._looked_at()
        return {"instance_ids": [box.id]}

    def _create(
        self, name: str, type_name: str, region: str, key: str, status: str, tags: list[dict[str, str]] | None = None
    ) -> Box:
        self._made += 1
        one = f"{self._made:032x}"
        host = f"{self.ip.replace('.', '-')}.cloud.lambda.ai"
        box = Box(one, name, region, type_name, self.ip, key, tags or [], host, [(self.clock(), status)])
        self.instances[one] = box
        return box

    def _terminate(self, body: Any) -> dict[str, list[Any]]:
        ids = body.get("instance_ids") if isinstance(body, dict) else None
        if not isinstance(ids, list):
            raise Refusal(400, "global/invalid-parameters", "Invalid request data.")
        boxes = [self._box(one) for one in ids]
        if self.refuses_second_end and any(box.status in {"terminating", "terminated"} for box in boxes):
            raise Refusal(400, "global/unknown", "Some of the instances are terminating.")
        for box in boxes:
            if box.status not in {"terminating", "terminated"}:
                box.history.append((self.clock(), "terminating"))
        ended = {"terminated_instances": [self._shown(box) for box in boxes]}
        self._looked_at()
        return ended

    def _box(self, one: str) -> Box:
        box = self.instances.get(one)
        if box is None or not self._is_listed(box):
            raise Refusal(404, "global/object-does-not-exist", "Specified instance does not exist.")
        return box

    def _is_listed(self, box: Box) -> bool:
        is_old = box.status == "terminated" and self.clock() >= box.history[-1][0] + self.keep_s
        return not (box.vanished or is_old)

    def _looked_at(self) -> list[Box]:
        for box in self.instances.values():
            since, status = box.history[-1]
            takes_s, then = {"booting": (self.boot_s, "active"), "terminating": (self.end_s, "terminated")}.get(
                status, (float("inf"), "")
            )
            if self.clock() >= since + takes_s:
                box.history.append((since + takes_s, then))
        return list(self.instances.values())

    def _shown(self, box: Box) -> dict[str, Any]:
        is_up = box.status not in {"booting", "terminated"}
        return {
            "id": box.id,
            "name": box.name,
            "status": box.status,
            "ip": box.ip if is_up else None,
            "private_ip": "10.19.0.7" if is_up else None,
            "hostname": box.hostname,
            "region": _place(box.region),
            "instance_type": self.types.get(box.type) or _type(box.type),
            "ssh_key_names": [box.ssh_key],
            "file_system_names": [],
            "file_system_mounts": [],
            "tags": box.tags,
            "is_reserved": False,
            "actions": {name: {"available": True} for name in ("migrate", "rebuild", "restart", "terminate")},
            "jupyter_token": "0" * 32,
            "jupyter_url": f"https://{box.hostname}/?token={'0' * 32}",
        }

    def _add_key(self, body: Any) -> dict[str, str]:
        if not isinstance(body, dict) or not body.get("name") or not body.get("public_key"):
            raise Refusal(400, "global/invalid-parameters", "Invalid request data.")
        if body["name"] in self.ssh_keys:
            raise Refusal(400, "global/duplicate", "An SSH key of that name exists.")
        one = {"id": f"{0xAAAA + len(self.ssh_keys):032x}", "name": body["name"], "public_key": body["public_key"]}
        self.ssh_keys[body["name"]] = one
        return one

    def _delete_key(self, one: str) -> dict[str, list[str]]:
        key = next((key for key in self.ssh_keys.values() if key["id"] == one), None)
        if key is None:
            raise Refusal(404, "global/object-does-not-exist", "Specified SSH key does not exist.")
        if any(box.ssh_key == key["name"] and box.bills for box in self.instances.values()):
            raise Refusal(400, "ssh-keys/key-in-use", "The SSH key is in use.")
        del self.ssh_keys[key["name"]]
        return {"deleted_ssh_keys": [one]}

    def _set_firewall(self, body: Any) -> list[dict[str, Any]]:
        if not isinstance(body, dict) or not isinstance(body.get("data"), list):
            raise Refusal(400, "global/invalid-parameters", "Invalid request data.")
        self.firewall = body["data"]
        return self.firewall


def _type(name: str) -> dict[str, Any]:
    gpu, cents, gpus, vcpus, memory, storage = _SHAPES[name]
    return {
        "name": name,
        "description": f"{gpus}x {gpu}",
        "gpu_description": gpu,
        "price_cents_per_hour": cents,
        "specs": {"vcpus": vcpus, "memory_gib": memory, "storage_gib": storage, "gpus": gpus},
        "architecture": "arm64" if "gh200" in name else "x86_64",
    }


def _place(region: str) -> dict[str, str]:
    return {"name": region, "description": f"Somewhere in {region}"}


def _rule(protocol: str, ports: list[int] | None) -> dict[str, Any]:
    return {"protocol": protocol, "port_range": ports, "source_network": "0.0.0.0/0", "description": ""}


def _wrong(body: Any, cloud: LambdaCloud) -> dict[str, dict[str, str]]:
    """What Lambda would not accept in a launch, by field."""
    if not isinstance(body, dict):
        return {"body": _field("is no object")}
    keys, tags = body.get("ssh_key_names"), body.get("tags") or []
    checks = {
        "region_name": isinstance(body.get("region_name"), str),
        "instance_type_name": body.get("instance_type_name") in cloud.types,
        "ssh_key_names": isinstance(keys, list) and len(keys) == 1 and keys[0] in cloud.ssh_keys,
        "name": body.get("name") is None or (isinstance(body["name"], str) and len(body["name"]) <= 64),
        "quantity": body.get("quantity", 1) == 1,
        "tags": all(_TAG_KEY.fullmatch(tag["key"]) and len(tag["value"]) <= 128 for tag in tags),
        **{name: name in _LAUNCH_KEYS for name in body if name not in _LAUNCH_KEYS},
    }
    return {name: _field("is not accepted") for name, is_right in checks.items() if not is_right}


def _field(message: str) -> dict[str, str]:
    return {"code": "global/invalid-parameters", "message": message}


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64
    cloud: LambdaCloud

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep a mistake of the fake's; a client that went away is none."""
        import sys

        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.cloud.mistakes.append(error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _handle(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        if self.path.startswith("/_fake/"):
            self._reply(200, self._control(body), {})
            return
        cloud = self.server.cloud
        with cloud.lock:
            fault = cloud.meet(f"{self.command} {self.path}")
            index = len(cloud.requests)
            cloud.requests.append(Seen(self.command, self.path, body, NO_REPLY, cloud.clock()))
        status, said, headers = self._work(body, fault)
        cloud.requests[index] = cloud.requests[index]._replace(status=status)
        if status != NO_REPLY:
            self._reply(status, said, headers)

    def _control(self, body: Any) -> Any:
        if self.path.endswith("/faults"):
            self.server.cloud.fail(body.pop("kind"), body.pop("where", "."), **body)
        return self.server.cloud.state()

    def _work(self, body: Any, fault: Fault | None) -> tuple[int, Any, Mapping[str, str]]:
        cloud, how = self.server.cloud, fault.how if fault else {}
        kind = fault.kind if fault else ""
        if kind == "lie":
            return *cloud.lie(self.path, body), {}
        status, said = NO_REPLY, None
        if not fault or kind.startswith("worked"):
            credentials = self.headers.get("Authorization", ""), self.headers.get("User-Agent", "")
            status, said = cloud.answer(self.command, self.path, body, *credentials)
        if kind.endswith("hang"):
            cloud.closing.wait(how.get("seconds", 3600))
        if kind.endswith(("hang", "drop")):
            return NO_REPLY, None, {}
        if kind in {"status", "worked"}:
            status = how.get("code", 500)
            code = how.get("error", "global/internal-error" if status >= 500 else "global/unknown")
            said = how.get("body", {"error": {"code": code, "message": "As the test wants it."}})
        return status, said, how.get("headers", {})

    def _reply(self, status: int, said: Any, headers: Mapping[str, str]) -> None:
        data = said if isinstance(said, bytes) else (said if isinstance(said, str) else json.dumps(said)).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def main(words: list[str] | None = None) -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.lambda_cloud", description="Lambda's API on loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--ip", default="127.0.0.1")
    for name in ("--boot-s", "--end-s", "--keep-s", "--pace-s", "--launch-pace-s"):
        parser.add_argument(name, type=float, default=0.0)
    with LambdaCloud(**vars(parser.parse_args(words))) as cloud:
        print(cloud.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("closed", flush=True)


if __name__ == "__main__":
    main()
