from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training.remote.sky import child, engine
from kanjiprep.training.remote.sky.answers import EngineError
from kanjiprep.training.remote.sky.child import Engine, NoAnswer
from kanjiprep.training.remote.sky.task import Task

TASK = Task("kp", "gpu_1x_a100_sxm4", 2.5, 1_800_000_000)
CLUSTER = {
    "cluster": "kp", "ips": ["192.0.2.7"], "region": "us-east-1", "instance_ids": ["1"], "user": "ubuntu",
    "key_file": "/key", "usd_per_hour": 1.99, "state": "INIT", "autostop_minutes": -1, "to_down": False,
}  # fmt: skip


class Answers:
    """Says what it is told to, and keeps what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.answer: Any = None
        monkeypatch.setattr(child, "ask", self.ask)

    def ask(self, _: Engine, verb: str, limit_s: float, log: Path, **asked: Any) -> Any:
        self.asked.append((verb, asked))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def sky(monkeypatch: pytest.MonkeyPatch) -> Answers:
    return Answers(monkeypatch)


@pytest.fixture
def one(tmp_path: Path) -> Engine:
    return Engine(tmp_path / "python", tmp_path / "home", tmp_path / "cache")


def test_a_launch_asks_once_for_the_machine_and_the_price_of_the_task(sky: Answers, one: Engine) -> None:
    sky.answer = {"done": CLUSTER}
    assert engine.launch(one, TASK).logins[0].ip == "192.0.2.7"
    ((verb, asked),) = sky.asked
    wanted = (asked["cluster"], asked["instance_type"], asked["num_nodes"], asked["max_hourly_cost"])
    assert (verb, wanted) == ("launch", ("kp", "gpu_1x_a100_sxm4", 1, 2.5))


def test_other_questions_and_their_answers(sky: Answers, one: Engine) -> None:
    for ask, done, expected in (
        (lambda: engine.status(one, "kp"), None, None),
        (lambda: engine.autostop(one, "kp", 5), None, None),
        (lambda: engine.down(one, "kp"), True, True),
        (lambda: engine.uploads(one), {"~/a": "/a"}, {"~/a": "/a"}),
        (lambda: engine.build(one), "digest", "digest"),
    ):
        sky.answer = {"done": done}
        assert ask() == expected
    assert [verb for verb, _ in sky.asked] == ["status", "autostop", "down", "uploads", "build"]
    sky.answer = {"done": CLUSTER}
    standing = engine.status(one, "kp")
    assert standing is not None
    assert standing.state == "INIT"


def test_a_failure_and_a_silence_name_the_log(sky: Answers, one: Engine) -> None:
    log = str(one.home / "kanjiprep-logs" / "kp.log")
    sky.answer = NoAnswer("SkyPilot took more than 5 s")
    with pytest.raises(EngineError, match="and what became of it is not known") as silence:
        engine.launch(one, TASK)
    sky.answer = {"failed": {
        "kind": "price", "message": "too much", "types": [], "history": [], "begun": False, "refused": []
    }}  # fmt: skip
    with pytest.raises(EngineError, match="too much; raise the limit") as failure:
        engine.launch(one, TASK)
    assert silence.value.where == failure.value.where == log


@pytest.mark.parametrize("name", ["", "../x", "A", "a" * 41])
def test_no_question_about_what_can_be_no_cluster(sky: Answers, one: Engine, name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a cluster"):
        engine.down(one, name)
    assert sky.asked == []


@pytest.mark.parametrize("endpoint", ["http://lambda", "junk", "", "ftp://127.0.0.1"])
def test_the_key_is_sent_over_https_only(sky: Answers, one: Engine, endpoint: str) -> None:
    with pytest.raises(UsageError, match="the key is sent over https only"):
        engine.launch(dataclasses.replace(one, endpoint=endpoint), TASK)
    assert sky.asked == []


def test_nothing_of_the_users_surroundings_is_passed_on(one: Engine) -> None:
    user = {
        "HOME": "/home/me", "PATH": "/usr/bin", "HF_TOKEN": "hf_x", "AWS_ACCESS_KEY_ID": "x", "LAMBDA_API_KEY": "s",
        "RUNPOD_AI_API_KEY": "r", "SSH_AUTH_SOCK": "/a", "SKYPILOT_API_SERVER_ENDPOINT": "http://x", "LANG": "ja_JP",
        "PIP_INDEX_URL": "https://u:p@x", "https_proxy": "http://proxy",
    }  # fmt: skip
    given = child.variables(one, user, "token")
    assert given["HOME"] == str(one.home)
    assert given["PATH"] == f"{one.python.parent}:/usr/bin"
    assert given["https_proxy"] == "http://proxy"
    assert not set(given) & {name for name in user if name not in ("HOME", "PATH", "LANG", "https_proxy")}
    assert given["SKYPILOT_DISABLE_USAGE_COLLECTION"] == "1"
