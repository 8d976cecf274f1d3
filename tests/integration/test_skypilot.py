"""SkyPilot: small scripts in its place, and then the real one against a Lambda on loopback.

The real one needs ``kanjiprep setup-remote`` before, in the folder that KANJIPREP_REMOTE_HOME names or the usual one.
No machine comes to life here: Lambda says that it is there, and nobody answers at its port 22.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kanjiprep.errors import RemoteError
from kanjiprep.progress import silent
from kanjiprep.training import gpus
from kanjiprep.training.remote import offers, renting
from kanjiprep.training.remote.cloud import api, ledger
from kanjiprep.training.remote.returning import Shop
from kanjiprep.training.remote.sky import child, engine, home, setup, setup_plan
from kanjiprep.training.remote.sky import task as tasks
from kanjiprep.training.remote.sky.answers import EngineError
from kanjiprep.training.remote.sky.child import Engine, NoAnswer
from kanjiprep.training.remote.sky.task import Task
from kanjiprep.training.remote.skypilot import SkyPilot
from kanjiprep.training.running import processes
from tests import lambda_cloud
from tests.lambda_cloud import KEY, LAUNCH, TERMINATE, LambdaCloud
from tests.renting_shop import hurried_clock

MANAGED: Final = home.managed_folder(os.environ)
TASK: Final = Task("kanji-lora", "gpu_1x_a100_sxm4", 2.5, int(time.time()) + 3600)
TWO: Final = dataclasses.replace(TASK, num_nodes=2, max_hourly_cost=5.0)


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n" + textwrap.dedent(body), "utf-8")
    path.chmod(0o755)
    return path


def engine_of(tmp_path: Path, body: str, **words: str) -> Engine:
    home.write(tmp_path / "home", KEY, "0a1b2c3d")
    return Engine(
        program(tmp_path / "env" / "bin" / "python", body), tmp_path / "home", tmp_path / "cache", words=words
    )


# The child ---------------------------------------------------------------------------------------------------------

ECHO: Final = """
    import json, os, sys
    asked = json.load(sys.stdin)
    print("a library talks")
    print(json.dumps({"done": {"asked": asked, "argv": sys.argv, "environ": dict(os.environ), "session": os.getsid(0),
                               "cwd": os.getcwd(), "umask": os.umask(0)}}))
"""


def test_a_question_goes_in_by_stdin_and_nothing_by_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("LAMBDA_API_KEY", KEY)
    told = child.ask(engine_of(tmp_path, ECHO), "down", 30, tmp_path / "log", cluster="kp")["done"]
    assert told["asked"] == {
        "verb": "down",
        "endpoint": child.ENDPOINT,
        "log": str(tmp_path / "log"),
        "cluster": "kp",
    }
    assert told["argv"] == [str(child.SCRIPT)] or told["argv"][-1] == str(child.SCRIPT)
    assert told["session"] != os.getsid(0)
    assert (told["cwd"], told["umask"]) == (str(tmp_path / "home"), 0o077)
    assert "hf_secret" not in json.dumps(told)
    assert KEY not in json.dumps(told)


def test_a_child_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    one = engine_of(tmp_path, """
        import os, subprocess, sys, time
        left = subprocess.Popen(["sleep", "60"], start_new_session=True)
        open(os.environ["PIDS"], "w").write(f"{os.getpid()} {left.pid}")
        time.sleep(60)
    """, PIDS=str(tmp_path / "pids"))  # fmt: skip
    with pytest.raises(NoAnswer, match="SkyPilot took more than 2 s"):
        child.ask(one, "launch", 2, tmp_path / "log")
    assert [processes.identify(int(pid)) for pid in (tmp_path / "pids").read_text().split()] == [None, None]


def test_what_a_child_leaves_in_the_background_is_ended(tmp_path: Path) -> None:
    one = engine_of(tmp_path, """
        import os, subprocess
        left = subprocess.Popen(["sleep", "60"], start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
        print(f'{{"done": {left.pid}}}')
    """)  # fmt: skip
    assert processes.identify(child.ask(one, "launch", 30, tmp_path / "log")["done"]) is None


def test_ctrl_c_ends_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine_of(tmp_path, """
        import os, time
        open(os.environ["PIDS"], "w").write(str(os.getpid()))
        time.sleep(60)
    """, PIDS=str(tmp_path / "pids"))  # fmt: skip

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            child.ask(one, "launch", 30, tmp_path / "log")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert processes.identify(int((tmp_path / "pids").read_text())) is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("import sys; sys.exit('Traceback\\nImportError: no sky')", "ended with code 1: ImportError: no sky"),
        ("", "ended with code 0: without a word"),
        ("print('not json')", "ended with code 0: without a word"),
        ("import os; os.kill(os.getpid(), 9)", "ended with code -9: without a word"),
    ],
)
def test_a_child_without_an_answer_is_told(tmp_path: Path, body: str, says: str) -> None:
    one = engine_of(tmp_path, body)
    with pytest.raises(EngineError) as caught:
        engine.launch(one, TASK)
    assert says in str(caught.value)
    assert (caught.value.trouble, caught.value.may_be_left) == ("unknown", True)


def test_a_child_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    one = engine_of(tmp_path, "")
    one.python.unlink()
    with pytest.raises(
        RemoteError, match="SkyPilot cannot be started: no such file or directory; run kanjiprep setup"
    ):
        engine.down(one, "kp")


# Setup -------------------------------------------------------------------------------------------------------------

UV: Final = """
    import os, sys
    from pathlib import Path
    assert "LAMBDA_API_KEY" not in os.environ
    with open(os.environ["SAID"], "a") as said:
        print(*sys.argv[1:3], file=said)
    if sys.argv[1] == os.environ.get("FAILS"):
        sys.exit("error: no network")
    if sys.argv[1] == "venv":
        python = Path(sys.argv[-1]) / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(os.environ["PYTHON"])
        python.chmod(0o755)
"""


def sky_of(uploads: dict[str, str]) -> str:
    return textwrap.dedent(f"""\
        #!{sys.executable}
        import json, sys
        verb = json.load(sys.stdin)["verb"]
        print(json.dumps({{"done": {uploads!r} if verb == "uploads" else "digest"}}))
    """)


def surroundings(tmp_path: Path, **words: str) -> dict[str, str]:
    for name in ("ssh", "rsync"):
        program(tmp_path / "bin" / name, "")
    own = {f"~/{home.KEY_FILE}": "here"}
    given = {"PATH": str(tmp_path / "bin"), "LAMBDA_API_KEY": KEY, "SAID": str(tmp_path / "said")}
    return {**given, "PYTHON": sky_of(own), **words}


def do_setup(tmp_path: Path, **words: str) -> Engine:
    uv = program(tmp_path / "uv", UV)
    return setup.setup(tmp_path / "remote", silent, surroundings(tmp_path, **words), lambda: str(uv))


def test_setup_makes_it_once_and_then_looks(tmp_path: Path) -> None:
    one = do_setup(tmp_path)
    assert one == setup.find(tmp_path / "remote")
    assert (one.home / home.KEY_FILE).read_text() == f"api_key = {KEY}\n"
    mark = (one.home / home.HASH_FILE).read_text()
    do_setup(tmp_path, LAMBDA_API_KEY="secret_new")
    do_setup(tmp_path, LAMBDA_API_KEY="")
    assert (tmp_path / "said").read_text().splitlines() == ["venv --no-project", "pip install"]
    assert (one.home / home.KEY_FILE).read_text() == "api_key = secret_new\n"
    assert (one.home / home.HASH_FILE).read_text() == mark
    assert (tmp_path / "remote").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("fails", "stage"), [("venv", "make the environment"), ("pip", "install SkyPilot")])
def test_a_setup_that_fails_leaves_nothing_and_can_be_done_again(tmp_path: Path, fails: str, stage: str) -> None:
    with pytest.raises(RemoteError, match=f"could not {stage}: error: no network; look at the network and the disk"):
        do_setup(tmp_path, FAILS=fails)
    assert not (tmp_path / "remote").exists()
    assert setup_plan.is_ready(do_setup(tmp_path).home.parent)


def test_other_clouds_keys_stop_a_setup(tmp_path: Path) -> None:
    planted = sky_of({f"~/{home.KEY_FILE}": "here", "~/.runpod/config.toml": "there"})
    with pytest.raises(RemoteError, match=r"SkyPilot would copy ~/\.runpod/config\.toml to machines; take it out of"):
        do_setup(tmp_path, PYTHON=planted)
    assert not (tmp_path / "remote").exists()


# The dead man's switch ---------------------------------------------------------------------------------------------


def switch(tmp_path: Path, task: Task, **words: str) -> subprocess.Popen[str]:
    """The job of ``task`` on a machine whose home is ``tmp_path``, where twenty seconds pass at once."""
    sleep = tmp_path / "bin" / "sleep"
    sleep.parent.mkdir(exist_ok=True)
    sleep.write_text("#!/bin/sh\nexec /bin/sleep 0.05\n")
    sleep.chmod(0o755)
    environ = {"PATH": f"{sleep.parent}:/usr/bin:/bin", "HOME": str(tmp_path), **words}
    line = ["sh", "-c", json.loads(tasks.render(task))["run"]]
    return subprocess.Popen(line, env=environ, stdout=subprocess.PIPE, encoding="utf-8")


def started(tmp_path: Path) -> Path:
    here = tmp_path / ".kanjiprep"
    deadline = time.monotonic() + 10
    while not (here / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return here


def age(path: Path, minutes: float) -> None:
    os.utime(path, (time.time() - 60 * minutes,) * 2)


def test_a_job_ends_at_its_deadline_whatever_else_is(tmp_path: Path) -> None:
    job = switch(tmp_path, dataclasses.replace(TASK, deadline=int(time.time()) + 2))
    here = started(tmp_path)
    (here / "alive").touch()
    assert here.stat().st_mode & 0o777 == 0o700
    assert job.communicate(timeout=10)[0] == "kanjiprep: the deadline has passed\n"


def test_a_job_ends_when_nobody_gives_a_sign_of_life(tmp_path: Path) -> None:
    job = switch(tmp_path, TASK)
    here = started(tmp_path)
    heartbeat = tmp_path / "heartbeat"
    heartbeat.touch()
    (here / "alive").symlink_to(heartbeat)
    age(here / "started", 31)
    time.sleep(0.3)
    assert job.poll() is None
    age(heartbeat, 31)
    assert job.communicate(timeout=10)[0] == "kanjiprep: no sign of life\n"


def test_each_of_several_machines_writes_its_words_and_only_the_head_stays(tmp_path: Path) -> None:
    words = {"SKYPILOT_NUM_NODES": "2", "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2", "SKYPILOT_NUM_GPUS_PER_NODE": "8"}
    worker = switch(tmp_path, TWO, SKYPILOT_NODE_RANK="1", **words)
    assert worker.communicate(timeout=10)[0] == ""
    assert worker.returncode == 0
    assert (tmp_path / ".kanjiprep" / "accelerate").read_text().split() == [
        "--num_machines", "2", "--machine_rank", "1", "--main_process_ip", "10.0.0.1", "--main_process_port", "29500",
        "--num_processes", "16",
    ]  # fmt: skip
    over = dataclasses.replace(TWO, deadline=1)
    head = switch(tmp_path, over, SKYPILOT_NODE_RANK="0", **words)
    assert head.communicate(timeout=10)[0] == "kanjiprep: the deadline has passed\n"


# The real SkyPilot -------------------------------------------------------------------------------------------------

real = pytest.mark.skipif(
    setup_plan.look(MANAGED, os.environ).standing != "finished",
    reason=f"no SkyPilot in {MANAGED}: run kanjiprep setup-remote, or set {home.VARIABLE}",
)


def seed(catalogs: Path, cloud: LambdaCloud) -> None:
    """SkyPilot's catalog of ``cloud``, which it else downloads."""
    rows = ["InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice"]
    for name, about in cloud.types.items():
        specs, usd = about["specs"], about["price_cents_per_hour"] / 100
        shape = f"{name},A100,{specs['gpus']}.0,{specs['vcpus']},{specs['memory_gib']},{usd}"
        rows.extend(f"{shape},{region},," for region in cloud.capacity.get(name, ()))
    for path, text in {
        "lambda/vms.csv": "\n".join(rows),
        "common/accelerators.csv": "AcceleratorName,Clouds\nA100,Lambda",
        "common/metadata.csv": "GPU,MemoryGB,Manufacturer\nA100,40,NVIDIA",
    }.items():
        (catalogs / path).parent.mkdir(parents=True, exist_ok=True)
        (catalogs / path).write_text(text + "\n")


@pytest.fixture
def cloud() -> Iterator[LambdaCloud]:
    with LambdaCloud() as fake:
        yield fake


@pytest.fixture
def sky(tmp_path: Path, cloud: LambdaCloud) -> Engine:
    """The real one, with a home of its own, in whose eyes ten minutes pass in two seconds."""
    home.write(tmp_path / "home", KEY, "0a1b2c3d")
    seed(tmp_path / "home" / ".sky" / "catalogs" / "v8", cloud)
    hasty = str(Path(lambda_cloud.__file__).parent / "sky_endpoint")
    words = {"PYTHONPATH": hasty, "KANJIPREP_TEST_SKY_SPEED": "300"}
    python = MANAGED / "env" / "bin" / "python"
    return Engine(python, tmp_path / "home", tmp_path / "cache", cloud.url, words)


def statuses(cloud: LambdaCloud) -> list[tuple[str, str, str]]:
    return [(box.name, box.region, box.status) for box in cloud.instances.values()]


SCHEMAS: Final = """
import json, sys, jsonschema
from sky.utils import schemas
task = json.load(sys.stdin)
try:
    jsonschema.validate(task, schemas.get_task_schema())
    jsonschema.validate(task["resources"], schemas.get_resources_schema())
except jsonschema.ValidationError as error:
    print(error.message, file=sys.stderr)
"""


def schema_problem(sky: Engine, task: str) -> str:
    """What SkyPilot's own schemas say against a rendered task; empty if nothing."""
    environ = child.variables(sky, os.environ, "schemas")
    sky.cache.mkdir(exist_ok=True)
    done = subprocess.run(
        [str(sky.python), "-c", SCHEMAS], input=task, env=environ, capture_output=True, text=True, check=True
    )
    return "".join(done.stderr.splitlines()[-1:])


@real
@pytest.mark.slow
@pytest.mark.parametrize("task", [TASK, TWO])
def test_a_task_passes_the_schemas_of_skypilot(sky: Engine, task: Task) -> None:
    assert schema_problem(sky, tasks.render(task)) == ""
    wrong = json.dumps({"name": "kp", "num_nodes": "two", "resources": {}})
    assert schema_problem(sky, wrong) == "'two' is not of type 'integer'"


@real
@pytest.mark.slow
def test_only_lambdas_key_would_be_copied_to_a_machine(
    sky: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "me"
    for path in (".runpod/config.toml", ".aws/credentials", ".lambda_cloud/lambda_keys"):
        (mine / path).parent.mkdir(parents=True)
        (mine / path).write_text("[default]\naws_access_key_id = x\naws_secret_access_key = y\n")
    monkeypatch.setenv("HOME", str(mine))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    assert engine.uploads(sky) == {"~/.lambda_cloud/lambda_keys": str(sky.home / home.KEY_FILE)}
    in_my_home = dataclasses.replace(sky, home=mine)
    (mine / home.LOGS).mkdir()
    assert "~/.runpod/config.toml" in engine.uploads(in_my_home)
    with pytest.raises(EngineError, match=r"SkyPilot would copy .*~/\.runpod/config\.toml to the machine"):
        engine.launch(in_my_home, TASK)


@real
@pytest.mark.slow
@pytest.mark.parametrize(("task", "usd_per_hour"), [(TASK, 1.99), (TWO, 3.98)])
def test_what_costs_more_than_was_agreed_is_not_rented(
    sky: Engine, cloud: LambdaCloud, task: Task, usd_per_hour: float
) -> None:
    less = usd_per_hour - 0.01
    with pytest.raises(EngineError, match=rf"{usd_per_hour} dollars an hour are more than the {less:.2f} that were"):
        engine.launch(sky, dataclasses.replace(task, max_hourly_cost=less))
    assert not cloud.asked("POST")


@real
@pytest.mark.slow
def test_a_launch_that_cannot_be_reached_leaks_until_it_is_ended(sky: Engine, cloud: LambdaCloud) -> None:
    """The first region has no room, the second has; nobody answers at the machine's door, and SkyPilot gives up."""
    cloud.full.add("us-east-1")
    with pytest.raises(
        EngineError, match=r"was launched and cannot be reached: Failed to SSH to 127\.0\.0\.1"
    ) as lost:
        engine.launch(sky, TASK)
    assert (lost.value.trouble, lost.value.may_be_left) == ("ssh", True)
    assert [seen.status for seen in cloud.asked(LAUNCH)] == [400, 200]
    name = f"{TASK.name}-0a1b2c3d-head"
    assert statuses(cloud) == [(name, "us-west-2", "active")]
    standing = engine.status(sky, TASK.name)
    assert standing is not None
    assert (standing.state, standing.ends_by_itself) == ("UP", False)  # so SkyPilot says
    with pytest.raises(EngineError, match="SkyPilot has a cluster kanji-lora already; end it first"):
        engine.launch(sky, TASK)
    assert engine.down(sky, TASK.name)
    assert statuses(cloud) == [(name, "us-west-2", "terminated")]
    assert not engine.down(sky, TASK.name)
    assert engine.status(sky, TASK.name) is None
    assert_no_secret(sky)


@real
@pytest.mark.slow
def test_such_a_launch_is_ended_by_us_and_seen_to_be_gone(sky: Engine, cloud: LambdaCloud, tmp_path: Path) -> None:
    """The same, rented as ``--on lambda`` rents: nothing is left, and the list of what is rented says so."""
    account = api.Lambda(KEY, cloud.url)
    shop = Shop(account, SkyPilot(sky), tmp_path / "ledger", hurried_clock(time.time()))
    wanted = offers.offer(account, gpus.load(), offers.Wish("a100-40gb-sxm", 1, 2.0, None))
    heard: list[str] = []
    with pytest.raises(EngineError, match="was launched and cannot be reached"):
        renting.rent(shop, wanted, tmp_path / "runs" / "mine", heard.append)
    assert [status for _, _, status in statuses(cloud)] == ["terminated"]
    assert ledger.read(shop.folder).open_rentals == ()
    assert any("could not be rented, and is given back now" in line for line in heard)


def assert_no_secret(sky: Engine) -> None:
    holders = [path for path in sky.home.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert holders == [sky.home / home.KEY_FILE]
    open_to_all = [path for path in sky.home.rglob("*") if path.is_file() and path.stat().st_mode & 0o007]
    assert [path for path in open_to_all if path.suffix not in {".pub", ".csv"}] == []
    assert "Launching on Lambda us-west-2" in child.log_of(sky, TASK.name).read_text()


@real
@pytest.mark.slow
def test_no_room_anywhere_is_told_with_the_regions(sky: Engine, cloud: LambdaCloud) -> None:
    cloud.full |= {"us-east-1", "us-west-2"}
    with pytest.raises(EngineError, match="no such machine to rent now; tried us-east-1, us-west-2; try later"):
        engine.launch(sky, TASK)
    cloud.full.clear()
    cloud.most = 0
    with pytest.raises(EngineError, match="Lambda refuses: global/quota-exceeded: Quota exceeded; tried us-east-1"):
        engine.launch(sky, TASK)
    assert cloud.instances == {}


@real
@pytest.mark.slow
def test_a_wrong_key_is_told_before_anything(sky: Engine, cloud: LambdaCloud) -> None:
    cloud.key = "secret_of_others"
    with pytest.raises(EngineError, match="Lambda does not take the API key; set LAMBDA_API_KEY") as caught:
        engine.launch(sky, TASK)
    assert not caught.value.may_be_left


@real
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["worked", "worked_drop"])
def test_a_launch_of_unknown_outcome_is_not_tried_elsewhere(sky: Engine, cloud: LambdaCloud, kind: Any) -> None:
    cloud.fail(kind, LAUNCH)
    with pytest.raises(EngineError, match="Lambda did not say whether it launched") as caught:
        engine.launch(sky, TASK)
    assert (caught.value.trouble, caught.value.may_be_left) == ("unknown", True)
    assert [box.status for box in cloud.instances.values()] == ["active"]
    assert engine.down(sky, TASK.name)
    assert [box.status for box in cloud.instances.values()] == ["terminated"]


@real
@pytest.mark.slow
def test_a_launch_that_takes_too_long_is_ended_and_its_outcome_unknown(sky: Engine, cloud: LambdaCloud) -> None:
    cloud.boot_s = 600
    with pytest.raises(
        EngineError, match="SkyPilot took more than 25 s, and what became of it is not known"
    ) as caught:
        engine.launch(sky, TASK, limit_s=25)
    assert caught.value.may_be_left
    count = len(cloud.requests)
    assert [box.status for box in cloud.billing()] == ["booting"]
    time.sleep(3)
    assert len(cloud.requests) == count
    assert engine.down(sky, TASK.name)
    assert cloud.billing() == []


@real
@pytest.mark.slow
def test_a_down_that_lambda_refuses_is_told(sky: Engine, cloud: LambdaCloud) -> None:
    with pytest.raises(EngineError, match="cannot be reached"):
        engine.launch(sky, TASK)
    cloud.fail("status", TERMINATE, code=500)
    with pytest.raises(EngineError, match="SkyPilot failed: .*global/internal-error") as caught:
        engine.down(sky, TASK.name)
    assert caught.value.may_be_left
    assert engine.down(sky, TASK.name)
    assert cloud.billing() == []
