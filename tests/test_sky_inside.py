"""The script that runs under SkyPilot's Python, with a SkyPilot of a few lines in the place of the real one."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kanjiprep.training.remote.sky.inside import ask

LOGGER = "sky.provision.lambda_cloud.instance"
ASKED = {
    "cluster": "kp", "task": '{"name": "kp"}', "endpoint": "https://lambda",
    "instance_type": "gpu_1x", "num_nodes": 2, "max_hourly_cost": 4.0, "idle_minutes": 5,
}  # fmt: skip
HANDLE = SimpleNamespace(
    cluster_name="kp", cluster_name_on_cloud="kp-0a1b2c3d", cached_external_ips=["192.0.2.1"], cluster_yaml="kp.yml",
    launched_resources=SimpleNamespace(region="us-east-1"),
    cached_cluster_info=SimpleNamespace(
        head_instance_id="b", instances={one: [SimpleNamespace(instance_id=one)] for one in "ab"}
    ),
)  # fmt: skip


class Sky:
    """What is asked of SkyPilot, and what it says."""

    def __init__(self) -> None:
        self.did: list[Any] = []
        self.credentials = {ask.KEYS: "here"}
        self.cents, self.record = 199, None
        self.error: BaseException | None = None

    def module(self, name: str) -> Any:
        """The attributes of all modules in one."""
        return SimpleNamespace(
            get_cloud_credential_file_mounts=lambda _: self.credentials,
            LambdaCloudClient=lambda: self,
            get_cluster_from_name=lambda _: self.record,
            Task=SimpleNamespace(from_yaml_config=lambda task: task),
            launch=self.launch, down=self.did.append,
            ssh_credential_from_yaml=lambda _: {"ssh_user": "ubuntu", "ssh_private_key": "/key"},
            refresh_cluster_record=lambda *_, **__: self.record,
            ClusterStatus=(), AutostopWaitFor=SimpleNamespace(JOBS="jobs"),
            autostop=lambda *words, **more: self.did.append((words, more)),
            User=lambda **_: None, get_user_hash=lambda: "0a1b2c3d", add_or_update_user=lambda _: None,
            build_sky_wheel=lambda: (self.did[0], "digest"),
        )  # fmt: skip

    def list_catalog(self) -> Any:
        return {"gpu_1x": {"instance_type": {"price_cents_per_hour": self.cents}}}

    def launch(self, task: Any, **options: Any) -> Any:
        if self.error:
            raise self.error
        self.did.append((task, options))
        return None, HANDLE


@pytest.fixture
def sky(monkeypatch: pytest.MonkeyPatch) -> Sky:
    fake = Sky()
    monkeypatch.setattr(ask, "_sky", fake.module)
    monkeypatch.setattr(ask, "_refused", [])
    ask._begun.clear()
    logging.getLogger(LOGGER).handlers.clear()
    return fake


def test_a_launch_tells_where_the_machines_are_head_first(sky: Sky) -> None:
    assert ask.launch(ASKED) == {
        "usd_per_hour": 3.98, "cluster": "kp", "name_on_cloud": "kp-0a1b2c3d", "ips": ["192.0.2.1"],
        "region": "us-east-1", "instance_ids": ["b", "a"], "user": "ubuntu", "key_file": "/key",
    }  # fmt: skip
    assert ask._begun.is_set()


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        (
            lambda sky: sky.credentials.update({"~/.aws/credentials": "x"}),
            "credentials",
            "copy ~/.aws/credentials to",
        ),
        (lambda sky: setattr(sky, "cents", 201), "price", "4.02 dollars an hour are more than the 4.00"),
        (lambda sky: setattr(sky, "list_catalog", dict), "type", "Lambda has no instance type gpu_1x"),
        (lambda sky: setattr(sky, "record", {}), "exists", "SkyPilot has a cluster kp already"),
    ],
)
def test_what_must_not_be_launched_is_not(sky: Sky, change: Callable[[Sky], Any], kind: str, says: str) -> None:
    change(sky)
    with pytest.raises(ask.Refusal, match=says) as caught:
        ask.launch(ASKED)
    assert (caught.value.kind, sky.did, ask._begun.is_set()) == (kind, [], False)


def test_status_tells_whether_a_cluster_ends_by_itself(sky: Sky) -> None:
    assert ask.status(ASKED) is None
    sky.record = {"status": SimpleNamespace(value="UP"), "autostop": 5, "to_down": 1, "handle": HANDLE}  # type: ignore[assignment]
    told = ask.status(ASKED)
    assert told is not None
    assert (told["state"], told["autostop_minutes"], told["to_down"]) == ("UP", 5, True)


def test_a_cluster_that_is_gone_at_lambda_is_none(sky: Sky, monkeypatch: pytest.MonkeyPatch) -> None:
    class Once:
        def __init__(self) -> None:
            self.left: list[Any] = [{}, None]

        def module(self, _: str) -> Any:
            take = lambda *_, **__: self.left.pop(0)  # noqa: E731
            return SimpleNamespace(get_cluster_from_name=take, refresh_cluster_record=take, ClusterStatus=())

    monkeypatch.setattr(ask, "_sky", Once().module)
    assert ask.status(ASKED) is None


def test_down_can_be_said_twice(sky: Sky) -> None:
    assert not ask.down(ASKED)
    sky.record = {}  # type: ignore[assignment]
    assert ask.down(ASKED)
    assert sky.did == ["kp"]


def test_autostop_waits_for_jobs_and_not_for_sessions(sky: Sky) -> None:
    ask.autostop(ASKED)
    assert sky.did == [(("kp", 5), {"wait_for": "jobs", "down": True})]


def test_the_copy_of_the_wheel_is_removed(sky: Sky, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    sky.did = [tmp_path / "copy"]
    assert ask.build({}) == "digest"
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_told_with_what_led_to_it(sky: Sky) -> None:
    sky.error = RuntimeError("all full")
    sky.error.failover_history = [ValueError("full")]  # type: ignore[attr-defined]
    ask._refused.append("no room")
    failed = ask._answer({**ASKED, "verb": "launch"})["failed"]
    assert (failed["message"], failed["begun"], failed["refused"]) == ("all full", True, ["no room"])
    assert failed["types"] == ["RuntimeError", "Exception", "BaseException"]
    assert failed["history"][0]["message"] == "full"


def test_why_lambda_refuses_is_heard(sky: Sky) -> None:
    ask._prepare("https://lambda")
    logger = logging.getLogger(LOGGER)
    for text in ("run_instances error: global/quota-exceeded: Quota exceeded.", "something else"):
        logger.warning(text)
    assert ask._refused == ["global/quota-exceeded: Quota exceeded."]


class Requests:
    """The library's two names that are used."""

    class RequestException(OSError):
        """As the library has it."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.sent: list[Any] = []

    def request(self, *words: Any, **options: Any) -> Any:
        self.sent.append((words, options))
        reply = self.replies.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        code, told = reply if isinstance(reply, tuple) else (reply, {"data": {"instance_ids": ["1"]}})
        return SimpleNamespace(status_code=code, json=lambda: told)


def line(monkeypatch: pytest.MonkeyPatch, *replies: Any) -> tuple[ask.Line, Requests, list[float]]:
    library, slept = Requests(*replies), list[float]()
    monkeypatch.setattr("importlib.import_module", lambda _: library)
    clock = SimpleNamespace(sleep=slept.append, monotonic=lambda: 100.0)
    monkeypatch.setattr(ask, "time", clock)
    return ask.Line(), library, slept


def test_lambda_is_asked_once_a_second_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    way, library, slept = line(monkeypatch, 200, 200)
    way.get("https://lambda/instances", headers={})
    way.post("https://lambda/ssh-keys", headers={}, data="{}")
    assert slept == [0.0, pytest.approx(ask.PACE_S)]
    assert library.sent[1] == (
        ("post", "https://lambda/ssh-keys"), {"timeout": 60.0, "allow_redirects": False, "headers": {}, "data": "{}"}
    )  # fmt: skip


def test_two_launches_are_twelve_seconds_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    way, _, slept = line(monkeypatch, 200, 200, 200)
    way.post("https://lambda/api/v1/instance-operations/launch")
    way.get("https://lambda/instances")
    way.post("https://lambda/api/v1/instance-operations/launch")
    assert slept == [0.0, pytest.approx(ask.PACE_S), pytest.approx(ask.LAUNCH_PACE_S)]


@pytest.mark.parametrize(
    "reply", [500, 503, (200, None), (200, {"data": {"instance_ids": []}}), Requests.RequestException("timed out")]
)
def test_a_launch_of_unknown_outcome_ends_everything(monkeypatch: pytest.MonkeyPatch, reply: Any) -> None:
    way, _, _ = line(monkeypatch, reply)
    with pytest.raises(ask.Unknown, match="Lambda did not say whether it launched"):
        way.post("https://lambda/api/v1/instance-operations/launch")
    assert not issubclass(ask.Unknown, Exception)


def test_another_request_fails_as_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    way, _, _ = line(monkeypatch, 500, Requests.RequestException("timed out"), 400)
    assert way.get("https://lambda/instances").status_code == 500
    with pytest.raises(Requests.RequestException):
        way.get("https://lambda/instances")
    assert way.post("https://lambda/api/v1/instance-operations/launch").status_code == 400


def test_a_log_holds_no_key_and_no_noise(tmp_path: Path) -> None:
    said = (
        b'<sky-payload>"<rich_update>Launching</rich_update>"</sky-payload>\n'
        b"\x1b[31mkey secret_1\x1b[0m\nnext <sky-payload>x</sky-payload>\n"
    )
    ask._keep(io.BytesIO(said), tmp_path / "log", (b"secret_1",))
    assert (tmp_path / "log").read_bytes() == b"key [secret]\nnext "


def test_the_key_is_read_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ask._secrets() == ()
    (tmp_path / ".lambda_cloud").mkdir()
    (tmp_path / ".lambda_cloud" / "lambda_keys").write_text("api_key = secret_1\nother = x\nnone = \n")
    assert ask._secrets() == (b"secret_1",)
