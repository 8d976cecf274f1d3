from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from kanjiprep.errors import RemoteError
from kanjiprep.training.lambda_http import NoAnswerError, Pace, Question
from kanjiprep.training.remote.cloud.api import Instance, Lambda

KEY = "secret_kanji_0123456789"
ENTRY: dict[str, Any] = {
    "id": "0920582c7ff041399e34823a0be62549",
    "name": "kanjiprep-try-0a1b2c-12345678-head",
    "status": "active",
    "ip": "198.51.100.2",
    "region": {"name": "us-east-1", "description": "Virginia"},
    "instance_type": {"name": "gpu_1x_a100_sxm4", "price_cents_per_hour": 199},
}
READ = Instance(ENTRY["id"], ENTRY["name"], "active", "198.51.100.2", "us-east-1", "gpu_1x_a100_sxm4", 1.99)
SHAPE = "Lambda's answer has another shape than its documentation says"


class Wire:
    """Stands for the network: answers in turn, and keeps what was asked."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked: list[Question] = []

    def __call__(self, question: Question, *, pause: Callable[[float], None], pace: Pace | None) -> bytes:
        self.asked.append(question)
        answer = self.answers.pop(0)
        if isinstance(answer, NoAnswerError):
            raise answer
        return answer if isinstance(answer, bytes) else json.dumps({"data": answer}).encode()


def account(*answers: object) -> tuple[Lambda, Wire]:
    wire = Wire(*answers)
    return Lambda(KEY, ask=wire), wire


def without(*names: str, **changes: object) -> dict[str, Any]:
    return {name: value for name, value in {**ENTRY, **changes}.items() if name not in names}


def test_an_account_does_not_show_its_key() -> None:
    assert KEY not in repr(Lambda(KEY))


def test_prices_and_places_are_read() -> None:
    types = {"a": {"instance_type": ENTRY["instance_type"], "regions_with_capacity_available": [{"name": "x"}]}}
    cloud, wire = account(types)
    one = cloud.types()["a"]
    assert (one.usd_per_hour, one.regions, wire.asked[0].path) == (1.99, ("x",), "/instance-types")


def test_instances_are_read() -> None:
    cloud, wire = account([ENTRY, without("ip", "name", status="booting"), without(ip=None, name=None)])
    first, booting, nameless = cloud.instances()
    assert first == READ
    assert (booting.ip, booting.name, booting.status) == ("", "", "booting")
    assert (nameless.ip, nameless.name) == ("", "")
    assert [(asked.method, asked.path) for asked in wire.asked] == [("GET", "/instances")]


def test_only_what_is_terminated_is_gone() -> None:
    statuses = ("booting", "active", "unhealthy", "terminating", "terminated", "preempted", "alert")
    cloud, _ = account([without(status=status) for status in statuses])
    assert [one.status for one in cloud.instances() if one.is_gone] == ["terminated"]


def test_a_name_of_somebody_elses_does_no_harm() -> None:
    cloud, _ = account([without(name="\x1b[31m\n" + "x" * 1000)])
    name = cloud.instances()[0].name
    assert name.isprintable()
    assert len(name) == 128


@pytest.mark.parametrize(
    "entry",
    [
        {},
        [],
        7,
        without("id"),
        without(id=""),
        without(id="../x"),
        without(id=7),
        without("status"),
        without(status=None),
        without(name=7),
        without(ip="-oProxyCommand=x"),
        without(ip="fe80::1%-x"),
        without(ip=12345),
        without(region="us-east-1"),
        without(instance_type={"name": "a", "price_cents_per_hour": 0}),
        without(instance_type={"name": "a", "price_cents_per_hour": float("inf")}),
    ],
    ids=range(16),
)
def test_an_instance_of_another_shape_is_told(entry: object) -> None:
    for cloud, ask in ((account([ENTRY, entry])[0], "list"), (account(entry)[0], "one")):
        with pytest.raises(RemoteError, match=SHAPE):
            cloud.instances() if ask == "list" else cloud.instance("x")


@pytest.mark.parametrize("answer", [b"<html>", b"", b"{}", b"null", None, {}, 7, "x"], ids=range(8))
def test_a_list_of_another_shape_is_told(answer: object) -> None:
    with pytest.raises(RemoteError, match=f"the instances at Lambda: {SHAPE}"):
        account(answer)[0].instances()


def test_one_instance_is_read_by_its_id() -> None:
    cloud, wire = account(ENTRY, NoAnswerError("Lambda refuses (HTTP 404)", None, 404))
    assert cloud.instance(ENTRY["id"]) == READ
    assert cloud.instance("b") is None
    assert [asked.path for asked in wire.asked] == [f"/instances/{ENTRY['id']}", "/instances/b"]


@pytest.mark.parametrize("one", ["", "a/../b", "a?x", "x" * 65, "a\n"])
def test_what_cannot_be_an_id_is_not_asked_for(one: str) -> None:
    cloud, wire = account()
    for ask in (cloud.instance, lambda name: cloud.terminate(["a", name])):
        with pytest.raises(RemoteError, match="is no id of an instance"):
            ask(one)
    assert wire.asked == []


def test_an_instance_that_is_not_told_of_is_not_taken_for_one_that_is_gone() -> None:
    cloud, _ = account(NoAnswerError("Lambda is busy or broken (HTTP 500)", 0.0, 500))
    with pytest.raises(RemoteError, match=r"the instance x at Lambda: Lambda is busy or broken"):
        cloud.instance("x")


def test_instances_are_ended_in_one_question() -> None:
    cloud, wire = account({"terminated_instances": [without(id="b"), without(id="a")]})
    assert cloud.terminate(["b", "a", "b"]) == ("b", "a")
    asked = wire.asked[0]
    assert (asked.method, asked.path) == ("POST", "/instance-operations/terminate")
    assert asked.body == {"instance_ids": ["a", "b"]}


def test_nothing_is_ended_without_a_question() -> None:
    cloud, wire = account()
    assert cloud.terminate([]) == ()
    assert wire.asked == []


@pytest.mark.parametrize("answer", [[], {}, {"terminated_instances": [{}]}, {"terminated_instances": [{"id": "/"}]}])
def test_an_end_of_another_shape_is_told(answer: object) -> None:
    with pytest.raises(RemoteError, match=f"the end of a, b at Lambda: {SHAPE}"):
        account(answer)[0].terminate(["b", "a"])


def test_an_unknown_key_has_a_remedy_and_the_exit_code_of_a_remote_failure() -> None:
    cloud, _ = account(NoAnswerError("Lambda does not know the API key (HTTP 401)", None, 401))
    with pytest.raises(RemoteError) as caught:
        cloud.types()
    assert caught.value.exit_code == 7
    assert str(caught.value) == (
        "the instance types at Lambda: Lambda does not know the API key (HTTP 401); "
        "make a key at https://cloud.lambda.ai/api-keys and set LAMBDA_API_KEY to it"
    )
