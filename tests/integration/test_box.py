"""A box over a real OpenSSH server on loopback: looked at, set up by uv, told secrets, and asked for JSON."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
import uv

import kanjiprep
from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.progress import silent
from kanjiprep.training.remote import wheel as wheels
from kanjiprep.training.remote.box import dataset, far, preflight, secrets, setup, steps
from kanjiprep.training.remote.box.over_ssh import OverSsh
from kanjiprep.training.remote.box.preflight import BoxGpu, Question
from kanjiprep.training.remote.box.scripts import ROOT
from kanjiprep.training.remote.box.setup import Order, Ready
from kanjiprep.training.remote.ssh import connection
from kanjiprep.training.remote.ssh.connection import Box
from tests.loopback import SSHD, Loopback, close

pytestmark = [pytest.mark.slow, pytest.mark.skipif(SSHD is None, reason="needs openssh-server")]

TOKEN = "hf_" + "kanjiSecret" * 3
ENV = "env-one.sh"
POLL_S = 0.05
SMI = "#!/bin/sh\necho 'NVIDIA A100-SXM4-40GB, 580.105.08, 40960'\n"


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def uv_with_cache() -> str:
    """uv as a box might have it, with this machine's cache and certificates."""
    own = {
        name: os.environ[name] for name in ("SSL_CERT_FILE", "UV_INDEX_URL", "UV_DEFAULT_INDEX") if name in os.environ
    }
    cache = (
        os.environ.get("UV_CACHE_DIR")
        or subprocess.run(
            [uv.find_uv_bin(), "cache", "dir"], capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    given = "".join(
        f"export {name}='{value}'\n"
        for name, value in {**own, "UV_CACHE_DIR": cache, "UV_PYTHON_DOWNLOADS": "never"}.items()
    )
    return f"#!/bin/sh\n{given}exec '{uv.find_uv_bin()}' \"$@\"\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    folder = tmp_path_factory.mktemp("box")
    tools = folder / "tools"
    tools.mkdir()
    script(tools / "uv", uv_with_cache())
    with Loopback(folder / "far", path=f"{tools}:/usr/bin:/bin") as one:
        yield one


@contextmanager
def reached(server: Loopback, state: Path) -> Iterator[OverSsh]:
    box = Box(server.address, state)
    try:
        yield OverSsh(box)
    finally:
        close(box)


@pytest.fixture(scope="module")
def box(server: Loopback, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverSsh]:
    with reached(server, tmp_path_factory.mktemp("state")) as one:
        yield one


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> Order:
    return Order(wheels.build(tmp_path_factory.mktemp("wheel")), "none")


@pytest.fixture(scope="module")
def ready(server: Loopback, box: OverSsh, order: Order) -> Ready:
    """A box whose connection was killed while our tool was being installed there."""
    killed: list[str] = []

    def hear(stage: str, done: int, total: int | None) -> None:
        if stage == "install kanjiprep" and not killed:
            killed.append(stage)
            server.kill_sessions()

    made = setup.setup(box, order, hear, poll_s=POLL_S)
    assert killed
    return made


class Watcher(threading.Thread):
    """Reads the process list as fast as it can, as another user of the box could."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.is_over = False

    def run(self) -> None:
        while not self.is_over:
            for process in psutil.process_iter(["cmdline"]):
                self.seen.add(" ".join(process.info["cmdline"] or ()))

    def __enter__(self) -> Watcher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over = True
        self.join()


class Hub(BaseHTTPRequestHandler):
    """Gives the model to the one account that accepted its licence, and not at once."""

    def do_HEAD(self) -> None:
        time.sleep(0.2)
        token = self.headers.get("Authorization", "")
        known = {f"Bearer {TOKEN}": 302, "Bearer hf_other": 403}.get(token, 401)
        self.send_response(known if self.path == "/stabilityai/sd/resolve/main/model_index.json" else 404)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as one:
        threading.Thread(target=one.serve_forever, args=(0.02,)).start()
        yield f"http://127.0.0.1:{one.server_address[1]}"
        one.shutdown()


def test_a_wheel_is_installed_by_pip_and_works_from_another_folder(order: Order, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    words = [str(python), "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(order.wheel)]
    subprocess.run(words, check=True, cwd=tmp_path)
    # what it depends on is taken from here; a .pth file there, that of a checkout, is not read
    places = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    environ = {**os.environ, "PYTHONPATH": places}

    def said(*arguments: str) -> str:
        command = tmp_path / "env" / "bin" / "kanjiprep"
        done = subprocess.run([command, *arguments], check=True, cwd=tmp_path, env=environ, capture_output=True)
        return done.stdout.decode()

    assert said("--version") == f"kanjiprep {kanjiprep.__version__}\n"
    assert "tiny-cpu" in said("presets")
    assert '"lora"' in said("presets", "sd35-large-lora", "--json")


def test_a_box_is_looked_at_and_left_as_it_was(server: Loopback, box: OverSsh, hub: str) -> None:
    before = sorted(server.home.rglob("*"))
    script(server.folder.parent / "tools" / "nvidia-smi", SMI)
    with Watcher() as watcher:
        found = preflight.survey(box, Question("stabilityai/sd", TOKEN, hub))
    (server.folder.parent / "tools" / "nvidia-smi").unlink()
    assert (found.system, found.machine, found.home) == ("Linux", os.uname().machine, str(server.home))
    assert found.uv.startswith("uv ")
    assert {"flock", "setsid", "rsync", "sha256sum", "tail"} <= found.tools
    assert found.gpus == (BoxGpu("NVIDIA A100-SXM4-40GB", "580.105.08", 40960 * 2**20),)
    assert found.free_bytes is not None
    assert abs(found.free_bytes - shutil.disk_usage(server.home).free) < 2**30
    assert found.memory_bytes == psutil.virtual_memory().total
    assert (found.hub, found.clock_off_s, found.writable) == ("open", 0.0, True)
    assert sorted(server.home.rglob("*")) == before
    assert any(line.startswith("curl -q --config -") for line in watcher.seen)
    assert not [line for line in watcher.seen if TOKEN in line]


@pytest.mark.parametrize(
    ("question", "gate"),
    [
        (("stabilityai/sd", "hf_other"), "closed"),
        (("stabilityai/sd", ""), "closed"),
        (("stabilityai/none", TOKEN), "no such model"),
    ],
)
def test_the_hub_is_asked_on_the_box(box: OverSsh, hub: str, question: tuple[str, str], gate: str) -> None:
    assert preflight.survey(box, Question(*question, hub)).hub == gate


def test_without_curl_python_asks_and_a_banner_does_not_disturb(tmp_path: Path, hub: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("awk", "cat", "cut", "date", "df", "dirname", "head", "python3", "sh", "tr", "true", "uname"):
        (tools / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or name)
    with Loopback(tmp_path / "far", path=str(tools)) as server, reached(server, tmp_path / "state") as box:
        enter = server.folder / "enter"
        script(enter, enter.read_text().replace("#!/bin/sh\n", "#!/bin/sh\necho 'Welcome!'\nprintf 'no newline'\n"))
        found = preflight.survey(box, Question("stabilityai/sd", TOKEN, hub))
        assert (found.hub, found.uv, "curl" in found.tools) == ("open", "", False)
        assert preflight.survey(box, Question("stabilityai/sd", "hf_other", hub)).hub == "closed"
        assert preflight.survey(box, Question("stabilityai/sd", TOKEN, "http://127.0.0.1:9")).hub == "unreachable"


def test_a_setup_goes_on_though_the_connection_is_killed(server: Loopback, box: OverSsh, ready: Ready) -> None:
    assert ready.version == f"kanjiprep {kanjiprep.__version__}"
    assert not ready.was_there
    assert (server.home / ROOT / "env").resolve().name == ready.digest
    assert [path.name for path in server.home.iterdir()] == [ROOT]
    assert stat.S_IMODE((server.home / ROOT).stat().st_mode) == 0o700
    assert preflight.survey(box).wheel == ready.digest


def test_a_second_setup_only_verifies(box: OverSsh, order: Order, ready: Ready) -> None:
    began = time.monotonic()
    again = setup.setup(box, order, lambda *_: pytest.fail("nothing is to be done"), poll_s=POLL_S)
    assert again == Ready(ready.digest, ready.version, ready.trainer, was_there=True)
    assert time.monotonic() - began < 5


def test_the_tool_there_makes_the_same_wheel_of_itself(server: Loopback, ready: Ready, tmp_path: Path) -> None:
    python = server.home / ROOT / "env" / "bin" / "python"
    code = (
        "import sys; from pathlib import Path; from kanjiprep.training.remote import wheel; "
        "print(wheel.digest_of(wheel.build(Path(sys.argv[1]))))"
    )
    words = [str(python), "-I", "-c", code, str(tmp_path)]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip() == ready.digest


def test_a_damaged_environment_is_made_again(server: Loopback, box: OverSsh, order: Order, ready: Ready) -> None:
    (server.home / ROOT / "env" / ".kanjiprep-complete").unlink()
    assert not setup.setup(box, order, silent, poll_s=POLL_S).was_there
    (server.home / ROOT / "bin" / "kanjiprep").write_text("#!/bin/sh\nexit 3\n")
    assert not setup.setup(box, order, silent, poll_s=POLL_S).was_there
    assert setup.setup(box, order, silent, poll_s=POLL_S).was_there


def test_a_trainer_that_cannot_be_set_up_is_one_line(box: OverSsh, order: Order, ready: Ready) -> None:
    wish = Order(order.wheel, "cuda")
    with pytest.raises(RemoteError) as caught:
        setup.setup(box, wish, silent, poll_s=POLL_S)
    assert "its setup failed: the trainer could not be set up (nvidia-smi: no NVIDIA driver answers" in str(
        caught.value
    )
    assert setup.setup(box, order, silent, poll_s=POLL_S).was_there


def test_a_wheel_that_is_none_leaves_nothing(
    server: Loopback, box: OverSsh, order: Order, ready: Ready, tmp_path: Path
) -> None:
    (tmp_path / "kanjiprep-1-py3-none-any.whl").write_bytes(b"no zip")
    with pytest.raises(RemoteError, match=r"its setup failed: kanjiprep could not be installed \(Failed to read"):
        setup.setup(box, Order(tmp_path / "kanjiprep-1-py3-none-any.whl", "none"), silent, poll_s=POLL_S)
    assert [path.name for path in (server.home / ROOT / "envs").iterdir()] == [ready.digest]
    assert setup.setup(box, order, silent, poll_s=POLL_S).was_there


def test_two_setups_do_not_meet(box: OverSsh, order: Order, ready: Ready) -> None:
    assert steps.detached(box, setup.STEP, "sleep 30 & echo $! >pid; wait", "0123 cuda") == ""
    with pytest.raises(RemoteError, match="another setup is at work there"):
        setup.setup(box, Order(order.wheel, "cpu"), silent, poll_s=POLL_S)
    connection.run(box.box, ["sh", "-c", "kill $(cat pid); rm pid"])
    ended = steps.follow(box, setup.STEP, lambda _: None, poll_s=POLL_S)
    assert (ended.state, ended.code) == ("ended", 0)


def test_uv_is_brought_by_pip(tmp_path: Path, order: Order) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    script(tmp_path / "uv", uv_with_cache())
    pip = f"""\
#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = --target ] && into=$2; shift; done
[ -z "$into" ] || {{ mkdir -p "$into/bin" && cp '{tmp_path}/uv' "$into/bin/uv"; }}
"""
    script(tools / "python3", pip)
    with Loopback(tmp_path / "far", path=f"{tools}:/usr/bin:/bin") as server, reached(server, tmp_path / "s") as box:
        found = preflight.survey(box)
        assert found.uv == ""
        assert steps.detached(box, setup.STEP, setup.script_of(order, "0" * 64), "x") == ""
        with pytest.raises(RemoteError, match=r"the wheel did not arrive whole"):
            setup.attend(box, ROOT, silent, poll_s=POLL_S)
        assert preflight.survey(box).uv.startswith("uv ")
        assert [path.name for path in (server.home / ROOT / "bin").iterdir()] == ["uv"]
        assert not (server.home / ROOT / ".uv.new").exists()


def test_secrets_are_in_one_file_that_nobody_else_reads(server: Loopback, box: OverSsh, ready: Ready) -> None:
    odd = "it's$(touch${IFS}x)"
    with Watcher() as watcher:
        for _ in range(5):
            secrets.write(box, {"HF_TOKEN": TOKEN, "WANDB_API_KEY": odd}, ENV)
        far.call(box, ["presets", "--json"])
    assert any("sh" in line for line in watcher.seen)
    assert not [line for line in watcher.seen if TOKEN in line]
    places = [path for path in server.folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    env = server.home / ROOT / ENV
    assert places == [env]
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    words = ["sh", "-c", f'. "./{ROOT}/{ENV}"; printf "%s %s" "$HF_TOKEN" "$WANDB_API_KEY"']
    assert connection.run(box.box, words).text == f"{TOKEN} {odd}"
    secrets.write(box, {"HF_TOKEN": TOKEN}, "env-two.sh")
    secrets.write(box, {"HF_TOKEN": TOKEN}, ENV)
    assert env.read_text() == f"export HF_TOKEN={TOKEN}\n"
    secrets.remove(box, ENV)
    secrets.remove(box, ENV)
    assert [path.name for path in (server.home / ROOT).iterdir() if path.suffix == ".sh"] == ["env-two.sh"]
    secrets.remove(box, "env-two.sh")
    assert not [path for path in (server.home / ROOT).iterdir() if "env-" in path.name]


def test_the_tool_there_sees_the_secrets_of_its_run_and_its_own_folder(
    server: Loopback, box: OverSsh, ready: Ready
) -> None:
    secrets.write(box, {"HF_TOKEN": TOKEN}, ENV)
    root = server.home / ROOT
    shown = root / "env" / "bin" / "kanjiprep"
    kept = shown.read_text()
    names = ("HF_TOKEN", "KANJIPREP_TRAINER_HOME", "HF_HOME", "LC_ALL", "PWD")
    lines = "".join(f'echo ",\\"${name}\\""\n' for name in names)
    script(shown, f"#!/bin/sh\necho '[0'\n{lines}echo ']'\n")
    ours = [f"{root}/trainer", f"{root}/cache/huggingface", "", f"{root}/work"]
    assert far.carried_out(box, "mine", ["see"], secrets=ENV, poll_s=POLL_S) == [0, TOKEN, *ours]
    assert far.carried_out(box, "other", ["see"], secrets="env-none.sh", poll_s=POLL_S) == [0, "", *ours]
    assert far.call(box, ["see"]) == [0, "", *ours]
    script(shown, kept)
    secrets.remove(box, ENV)


def test_a_command_there_gives_its_document_or_its_error(box: OverSsh, ready: Ready) -> None:
    planned = far.call(box, ["plan", "tiny-cpu", "--samples", "20", "--json"])
    assert planned["steps"]["total"] == 8
    with pytest.raises(UsageError, match=r"the box says: no preset 'none such'; give one of .*tiny-cpu"):
        far.call(box, ["plan", "none such", "--json"])
    with pytest.raises(
        UsageError, match=r"run.toml: 2 problems: --set a is not a key here; --set b is not a key here"
    ):
        far.call(box, ["plan", "tiny-cpu", "--samples", "9", "--set", "a=1", "--set", "b=2", "--json"])
    with pytest.raises(RemoteError, match="our tool is not set up there"):
        far.call(box, ["presets", "--json"], root=".elsewhere")


def test_a_step_goes_on_without_us_and_is_heard_to_its_end(server: Loopback, box: OverSsh, ready: Ready) -> None:
    counting = "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.05; done; printf end; exit 5"
    assert steps.detached(box, "count", counting, "ten") == ""
    heard: list[str] = []

    def hear(line: str) -> None:
        if not heard:
            server.kill_sessions()
        heard.append(line)

    ended = steps.follow(box, "count", hear, poll_s=POLL_S)
    assert (ended.state, ended.code) == ("ended", 5)
    assert heard == [*map(str, range(1, 11)), "end"]


def test_a_step_that_is_killed_is_lost_and_may_begin_again(server: Loopback, box: OverSsh, ready: Ready) -> None:
    assert steps.detached(box, "sleep", "sleep 300", "one") == ""
    assert steps.detached(box, "sleep", "sleep 300", "two") == "one"
    place = f"{server.home}/{ROOT}/steps/sleep"
    for process in server.far_processes():
        if process.cmdline() == ["sleep", "300"] or any(place in word for word in process.cmdline()):
            process.kill()
    assert steps.follow(box, "sleep", lambda _: None, poll_s=POLL_S).state == "lost"
    assert steps.detached(box, "sleep", 'exec "$1/bin/kanjiprep" --version', "three") == ""
    heard: list[str] = []
    assert steps.follow(box, "sleep", heard.append, poll_s=POLL_S).code == 0
    assert heard == [f"kanjiprep {kanjiprep.__version__}"]


def test_a_dataset_arrives_with_its_bytes_and_is_not_sent_twice(
    server: Loopback, box: OverSsh, ready: Ready, tmp_path: Path
) -> None:
    folder = tmp_path / "dataset"
    folder.mkdir()
    for name in ("metadata.csv", "亜_kanji_04e9c.png", "-x y.png"):
        (folder / name).write_bytes(name.encode() * 1000)
    (folder / ".hidden").write_text("stays here")
    digest, stages = "ab" * 32, []
    hear = lambda stage, *_: stages.append(stage)  # noqa: E731
    assert dataset.send_dataset(box, folder, digest, hear) == f"../datasets/{digest}"
    there = server.home / ROOT / "datasets" / digest
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".hidden"
    }
    assert "send" in stages
    stages.clear()
    dataset.send_dataset(box, folder, digest, hear)
    assert "send" not in stages
    (there / "metadata.csv").write_text("spoilt")
    dataset.send_dataset(box, folder, digest, hear)
    assert (there / "metadata.csv").read_bytes() == (folder / "metadata.csv").read_bytes()
    assert [path.name for path in there.parent.iterdir()] == [digest]


def test_a_command_is_carried_out_once_whatever_becomes_of_the_connection(
    server: Loopback, box: OverSsh, ready: Ready
) -> None:
    words = ["plan", "tiny-cpu", "--samples", "20", "--json"]
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        server.kill_sessions()

    assert far.carried_out(box, "plan", words, pause=pause)["steps"]["total"] == 8
    assert paused
    for _ in range(2):
        busy = steps.detached(box, "once", 'echo x >>"$1/work/count"', "label", once=True)
        steps.follow(box, "once", lambda _: None, poll_s=POLL_S)
    assert busy == "label"
    assert (server.home / ROOT / "work" / "count").read_text() == "x\n"
    with pytest.raises(UsageError, match="the box says: no preset 'nope'"):
        far.carried_out(box, "plan", ["plan", "nope", "--json"], poll_s=POLL_S)


def test_a_full_disk_is_one_line(server: Loopback, box: OverSsh, ready: Ready) -> None:
    root = f"{server.home}/taken"
    Path(root).write_text("")
    for attempt in (
        lambda: secrets.write(box, {"HF_TOKEN": TOKEN}, ENV, root),
        lambda: steps.detached(box, "x", "true", "x", root),
    ):
        with pytest.raises(RemoteError, match=r"(File exists|Not a directory); look at its disk") as caught:
            attempt()
        assert TOKEN not in str(caught.value)
    assert json.dumps(preflight.survey(box, root=root).writable) == "false"
    Path(root).unlink()
