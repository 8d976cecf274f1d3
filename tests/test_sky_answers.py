"""Answers of inside/ask.py that were recorded from SkyPilot 0.14.1 against a Lambda of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from kanjiprep.training.remote.sky import answers
from kanjiprep.training.remote.sky.answers import Launched, Login, Standing

NO_ROOM: Final = "instance-operations/launch/insufficient-capacity: Not enough capacity to fulfill launch request."
WANTED: Final = "{Lambda(gpu_1x_a100_sxm4, mem=220.0, {'A100': 1}, max_cost=$3.0/hr)}"
REFUSED: Final = "Error: ConnectionRefusedError: [Errno 111] Connection refused"
SSH: Final = f"Failed to SSH to 127.0.0.1 after timeout 600s, with {REFUSED}"
NOWHERE: Final = (
    "HTTPConnectionPool(host='127.0.0.1', port=1): Max retries exceeded with url: /api/v1/instance-types (Caused by "
    "NewConnectionError(\"HTTPConnection(host='127.0.0.1', port=1): Failed to establish a new connection: "
    '[Errno 111] Connection refused"))'
)


def failed(message: str, *types: str, **more: Any) -> dict[str, Any]:
    kinds = [*(types or ("RuntimeError",)), "Exception", "BaseException"]
    return {"kind": "", "types": kinds, "message": message, "history": [], "begun": True, "refused": [], **more}


def no_room(region: str) -> dict[str, Any]:
    message = f"Failed to acquire resources in all zones in {region} for {WANTED}. "
    return {
        "kind": "",
        "types": ["ResourcesUnavailableError", "Exception", "BaseException"],
        "message": message,
        "history": [],
    }


def unavailable(*refused: str) -> dict[str, Any]:
    message = (
        "\x1b[31mFailed to provision all possible launchable resources.\x1b[0m Relax the task's resource "
        "requirements: 1x Lambda(gpu_1x_a100_sxm4, mem=220.0, {'A100': 1}, max_cost=$3.0/hr)\n"
        "To keep retrying until the cluster is up, use the `--retry-until-up` flag.\n"
        "Reasons for provision failures (for details, please check the log above):\n"
        "Provision failures (tried 2 infra):\n\n✗ Lambda (us-east-1) — (gpus=A100:1, gpu_1x_a100_sxm..., ...)\n"
        f"  Failed to acquire resources in all zones in us-east-1 for {WANTED}. \n\n"
        "✗ Lambda (us-west-2) — (gpus=A100:1, gpu_1x_a100_sxm..., ...)\n"
        f"  Failed to acquire resources in all zones in us-west-2 for {WANTED}.\n"
    )
    history = [no_room("us-east-1"), no_room("us-west-2")]
    return failed(message, "ResourcesUnavailableError", history=history, refused=list(refused))


@pytest.mark.parametrize(
    ("answer", "trouble", "says"),
    [
        (unavailable(NO_ROOM, NO_ROOM), "capacity",
         "log: Lambda has no such machine to rent now; tried us-east-1, us-west-2; "
         "try later, or another instance type or region"),
        (unavailable("global/quota-exceeded: Quota exceeded."), "refused",
         "log: Lambda refuses: global/quota-exceeded: Quota exceeded; tried us-east-1, us-west-2"),
        (failed("No launchable resource", "ResourcesUnavailableError"), "capacity", "tried no region"),
        (failed(SSH), "ssh", f"the machine was launched and cannot be reached: {SSH}; end it, and try again"),
        (failed("global/invalid-api-key: API key was invalid, expired, or deleted.", "LambdaCloudError", begun=False),
         "key", "Lambda does not take the API key; set LAMBDA_API_KEY and run kanjiprep setup-remote again"),
        (failed("Cloud access is not set up. Run: \x1b[1msky check\x1b[0m", "NoCloudAccessError", begun=False),
         "key", "Lambda does not take the API key"),
        (failed(NOWHERE, "ConnectionError", "RequestException", "OSError", begun=False), "network",
         "SkyPilot has no way to a server: 127.0.0.1, connection refused; look at the network"),
        (failed("Read timed out.", "ReadTimeout", "RequestException"), "network", "a server: Read timed out; look"),
        (failed("No module named 'sky'", "ModuleNotFoundError", "ImportError", begun=False), "setup",
         "log: SkyPilot is not whole: No module named 'sky'; run kanjiprep setup-remote"),
        (failed("Credentials not found", "AssertionError", begun=False), "setup", "run kanjiprep setup-remote"),
        (failed("(sqlite3.DatabaseError) file is not a database\n[SQL: PRAGMA]\n(Background on this error at: https://sqlalche.me/e)"),
         "other", "SkyPilot failed: (sqlite3.DatabaseError) file is not a database"),
        (failed("Cluster 'kp-a' has been stopped or not properly set up. Please re-launch it with `sky start`."),
         "other", "SkyPilot failed: Cluster 'kp-a' has been stopped or not properly set up"),
        (failed("", "AssertionError"), "other", "SkyPilot failed: without a word"),
        (failed("SkyPilot has a cluster kp-a already", "Refusal", kind="exists", begun=False), "exists",
         "log: SkyPilot has a cluster kp-a already; end it first"),
        (failed("Lambda did not say whether it launched: HTTP 500", "Unknown", kind="unknown"), "unknown",
         "log: Lambda did not say whether it launched: HTTP 500; look at what Lambda has running"),
    ],
)  # fmt: skip
def test_each_failure_is_told_in_one_line(answer: dict[str, Any], trouble: str, says: str) -> None:
    error = answers.refusal(answer, "log")
    assert says in str(error)
    assert error.trouble == trouble
    assert "\n" not in str(error)
    assert "\x1b" not in str(error)
    assert error.exit_code == 7


def test_a_failure_before_anything_was_rented_says_so() -> None:
    assert not answers.refusal(failed("x", begun=False), "log").may_be_left
    assert answers.refusal(failed("x"), "log").may_be_left
    assert answers.refusal(failed("x", begun=False, kind="exists"), "log").may_be_left


def test_an_endless_message_is_cut() -> None:
    assert len(str(answers.refusal(failed("word " * 1000), "log"))) < 400


def test_silence_is_told_as_what_it_is() -> None:
    error = answers.unknown("SkyPilot took more than 5 s", "log")
    assert str(error).startswith("log: SkyPilot took more than 5 s, and what became of it is not known; look at what")
    assert (error.trouble, error.may_be_left) == ("unknown", True)


CLUSTER: Final = {
    "cluster": "kp-a", "name_on_cloud": "kp-a-0a1b2c3d", "ips": ["192.0.2.7", "192.0.2.8"], "region": "us-east-1",
    "instance_ids": ["1" * 32, "2" * 32], "user": "ubuntu", "key_file": "/h/.sky/clients/0a1b2c3d/ssh/sky-key",
}  # fmt: skip
LOGINS: Final = tuple(Login("ubuntu", ip, Path(str(CLUSTER["key_file"]))) for ip in CLUSTER["ips"])


def test_machines_are_told_with_the_way_to_each() -> None:
    done = answers.launched({**CLUSTER, "usd_per_hour": 3.98})
    assert done == Launched("kp-a", LOGINS, "us-east-1", ("1" * 32, "2" * 32), 3.98)


@pytest.mark.parametrize(("minutes", "to_down", "ends"), [(5, True, True), (-1, False, False), (5, False, False)])
def test_only_a_cluster_with_autodown_ends_by_itself(minutes: int, to_down: bool, ends: bool) -> None:
    """The second is what SkyPilot said of a machine whose launch had failed: UP."""
    told = {**CLUSTER, "ips": [], "state": "UP", "autostop_minutes": minutes, "to_down": to_down}
    assert answers.standing(told) == Standing("UP", ends, "us-east-1", (), ("1" * 32, "2" * 32))
