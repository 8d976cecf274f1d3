from __future__ import annotations

from pathlib import Path

import pytest

from kanjiprep.errors import RemoteError
from kanjiprep.progress import silent
from kanjiprep.training.remote import wheel as wheels
from kanjiprep.training.remote.box import setup
from kanjiprep.training.remote.box.setup import Order, Ready
from tests.fake_box import FakeBox, said

READY = said(b"version=kanjiprep 1\ntrainer=/x\n")
NOTHING = said(b"")
NO_STEP = said(b"none 0 0\n")
STARTED = said(b"started\n")


@pytest.fixture
def order(tmp_path: Path) -> Order:
    path = tmp_path / "kanjiprep-1-py3-none-any.whl"
    path.write_bytes(b"wheel")
    return Order(path, "cpu")


def test_a_box_that_is_ready_is_left_alone(order: Order) -> None:
    box = FakeBox([READY])
    ready = setup.setup(box, order, silent)
    assert ready == Ready(wheels.digest_of(order.wheel), "kanjiprep 1", "/x", was_there=True)
    assert len(box.asked) == 1
    assert not box.sent


def test_a_new_box_gets_the_wheel_and_is_set_up(order: Order) -> None:
    log = b"@stage find uv\n@stage install\n a\n b\n@stage done\n"
    box = FakeBox([NOTHING, NO_STEP, STARTED, said(b"over 0 %d\n%s" % (len(log), log)), READY])
    told: list[tuple[str, int]] = []
    ready = setup.setup(box, order, lambda stage, done, _: told.append((stage, done)))
    assert not ready.was_there
    assert box.sent == [(order.wheel, f".kanjiprep/wheels/{ready.digest}/{order.wheel.name}")]
    assert told == [("send", 100), ("find uv", 0), ("install", 0), ("install", 1), ("install", 2), ("done", 0)]
    script = setup.script_of(order, ready.digest)
    assert f"kanjiprep_digest={ready.digest}\n" in script
    assert "kanjiprep_accelerator=cpu\n" in script


def test_a_setup_that_is_at_work_is_waited_for(order: Order) -> None:
    label = f"{wheels.digest_of(order.wheel)} cpu"
    box = FakeBox(
        [NOTHING, said(b"running - 0\n"), said(b"busy " + label.encode() + b"\n"), said(b"over 0 0\n"), READY]
    )
    assert setup.setup(box, order, silent).version == "kanjiprep 1"
    assert not box.sent


def test_a_setup_of_somebody_else_is_not_disturbed(order: Order) -> None:
    box = FakeBox([NOTHING, said(b"running - 0\n"), said(b"busy 0123 cuda\n")])
    with pytest.raises(RemoteError, match="another setup is at work there"):
        setup.setup(box, order, silent)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (b"over - 0\n", "its setup was killed, or the box went down; run the same command again"),
        (b"none 0 0\n", "no setup was begun there"),
        (b"over 1 99\n@stage x\n", r"its setup failed: exit code 1"),
        (
            b"over 1 99\nerror: no space\n@failed it could not be installed\n",
            r"it could not be installed \(no space\)",
        ),
        (b"over 1 99\n@failed uv could not be brought\n", "its setup failed: uv could not be brought; run"),
        (b"over 2 99\nsh: 3: oh\n", "its setup failed: sh: 3: oh"),
        (b"over 1 99\na\n@stage x\n x failed\n\n  cause: y\n@failed no z\n", r"no z \(x failed cause: y\)"),
    ],
)
def test_a_setup_that_fails_says_why(order: Order, state: bytes, message: str) -> None:
    head, _, log = state.partition(b"\n")
    whole = head.replace(b"99", str(len(log)).encode()) + b"\n" + log
    box = FakeBox([NOTHING, NO_STEP, STARTED, said(whole)])
    with pytest.raises(RemoteError, match=message):
        setup.setup(box, order, silent)


def test_a_box_that_does_not_answer_after_its_setup_is_not_ready(order: Order) -> None:
    box = FakeBox([NOTHING, NO_STEP, STARTED, said(b"over 0 0\n"), NOTHING])
    with pytest.raises(RemoteError, match="was set up, and yet our tool or the trainer does not answer there"):
        setup.setup(box, order, silent)
