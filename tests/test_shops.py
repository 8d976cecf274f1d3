from __future__ import annotations

from pathlib import Path

import pytest

from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.training.lambda_http import NoAnswerError, Question
from kanjiprep.training.remote import shops
from kanjiprep.training.remote.cloud.api import Lambda
from kanjiprep.training.remote.shops import ENDPOINT_VARIABLE, Missing
from kanjiprep.training.remote.sky import home, setup_plan
from kanjiprep.training.remote.sky.task import Task
from kanjiprep.training.remote.skypilot import SkyPilot

KEY = "secret_kanji_0123456789"


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return {"LAMBDA_API_KEY": KEY, "KANJIPREP_REMOTE_HOME": str(tmp_path / "remote")}


def set_up(where: Path) -> None:
    """What a finished setup leaves, without a SkyPilot."""
    (where / "env/bin").mkdir(parents=True)
    (where / "env/bin/python").touch()
    home.write(where / "home", KEY, "0a1b2c3d")
    (where / setup_plan.MARKER).write_text(setup_plan.written())


@pytest.mark.parametrize("to_rent", [True, False])
def test_without_a_key_there_is_no_shop(environ: dict[str, str], to_rent: bool) -> None:
    with pytest.raises(UsageError, match="LAMBDA_API_KEY is not set"):
        shops.open_shop({**environ, "LAMBDA_API_KEY": ""}, to_rent=to_rent)


def test_nothing_is_rented_without_a_skypilot_that_is_set_up(environ: dict[str, str]) -> None:
    with pytest.raises(RemoteError, match="SkyPilot is not set up; run kanjiprep setup-remote"):
        shops.open_shop(environ, to_rent=True)


def test_a_shop_is_of_the_user_and_asks_lambda(environ: dict[str, str], tmp_path: Path) -> None:
    set_up(tmp_path / "remote")
    shop = shops.open_shop(environ, to_rent=True)
    assert isinstance(shop.engine, SkyPilot)
    assert isinstance(shop.cloud, Lambda)
    assert (shop.engine.engine.home, shop.engine.engine.endpoint) == (
        tmp_path / "remote/home",
        "https://cloud.lambda.ai",
    )
    assert (shop.cloud.key, shop.cloud.endpoint) == (KEY, "https://cloud.lambda.ai")
    assert shop.folder == tmp_path / "data/kanjiprep"
    assert KEY not in repr(shop)


def test_another_endpoint_is_both_asked_and_rented_at(environ: dict[str, str], tmp_path: Path) -> None:
    set_up(tmp_path / "remote")
    url = "http://127.0.0.1:8080"
    shop = shops.open_shop({**environ, ENDPOINT_VARIABLE: url}, tmp_path / "list", to_rent=True)
    assert isinstance(shop.engine, SkyPilot)
    assert isinstance(shop.cloud, Lambda)
    assert (shop.engine.engine.endpoint, shop.cloud.endpoint, shop.folder) == (url, url, tmp_path / "list")


def test_what_is_rented_can_be_given_back_without_skypilot(environ: dict[str, str]) -> None:
    engine = shops.open_shop(environ, to_rent=False).engine
    assert isinstance(engine, Missing)
    assert not engine.cut_off("one")
    with pytest.raises(RemoteError, match="SkyPilot is not set up"):
        engine.down("one")
    with pytest.raises(RemoteError, match="SkyPilot is not set up"):
        engine.launch(Task("one", "gpu_1x_a10", 1.0, 1))
    with pytest.raises(RemoteError, match="SkyPilot is not set up"):
        engine.arm("one")


def test_the_switch_is_tried_at_the_host_that_the_machine_will_ask() -> None:
    asked: list[Question] = []

    def ask(question: Question) -> bytes:
        asked.append(question)
        return b""

    assert shops.switch_problem({"LAMBDA_API_KEY": KEY}, ask) == ""
    assert shops.switch_problem({"LAMBDA_API_KEY": KEY, ENDPOINT_VARIABLE: "http://localhost:1"}, ask) == ""
    assert [one.endpoint for one in asked] == ["https://cloud.lambdalabs.com", "http://localhost:1"]
    assert {(one.method, one.path) for one in asked} == {("GET", "/instance-types")}


def test_a_switch_that_would_not_work_says_why() -> None:
    def ask(_: Question) -> bytes:
        raise NoAnswerError("Lambda's server redirects (HTTP 301), and a key does not follow")

    said = shops.switch_problem({"LAMBDA_API_KEY": KEY}, ask)
    assert said == (
        "https://cloud.lambdalabs.com, which it would ask, does not answer as it should: "
        "Lambda's server redirects (HTTP 301), and a key does not follow"
    )
    with pytest.raises(UsageError, match="LAMBDA_API_KEY is not set"):
        shops.switch_problem({}, ask)
