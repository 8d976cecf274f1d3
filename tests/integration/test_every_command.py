"""Every command as a user types it: a happy path, one bad input and ``--json``, held to its exit code and schema."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from kanjiprep import cli
from kanjiprep.cli import there
from kanjiprep.evaluation import reference
from kanjiprep.publishing.painting import model
from kanjiprep.training import presets
from kanjiprep.training.remote import shops
from kanjiprep.training.remote.attending import Attended
from kanjiprep.training.remote.returning import Shop
from kanjiprep.training.running.attempts import WEIGHTS
from tests import json_documents, judges, lora_files, painted_run, painting_models, pushes, run_folders
from tests.fake_trainer import Faults
from tests.hub_server import Hub
from tests.integration import every_command
from tests.integration.every_command import CASES, MEANINGS, Answer, Case
from tests.integration.test_running import Lab, is_at, until
from tests.lambda_cloud import KEY, LambdaCloud
from tests.painting_models import Fake
from tests.renting_shop import OTHER_REGION, REGION, SSH_KEY, TYPE, Sky, hurried_clock
from tests.test_training_judge import drawings, quickly

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "commands.md"
SCHEMAS: Final = ROOT / "docs" / "schemas"
PATIENCE_S: Final = 60.0


@dataclass(slots=True)
class World:
    """A user's folder, with a trainer, a Hub and a Lambda of its own.

    Attributes:
        folder: Where the commands are typed.
        lab: The trainer's.
        cloud: Lambda.
        seen: What came of the cases so far.
    """

    folder: Path
    lab: Lab
    cloud: LambdaCloud
    seen: dict[Case, Answer] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """Of a command in a process of its own."""
        return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    def words(self, case: Case) -> list[str]:
        """What is typed, with the name of what is rented in its place."""
        words = [*case.command.split(), *shlex.split(case.words)]
        return [self.rental if word == "NAME" else word for word in words]

    @property
    def rental(self) -> str:
        """The name under which something is, or was, rented."""
        one, *_ = self.cloud.instances.values()
        return one.name.removesuffix("-0a1b2c3d-head")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Made once; what one case makes, later ones look at."""
    folder = tmp_path_factory.mktemp("user")
    with (
        pytest.MonkeyPatch.context() as patch,
        Hub(folder / "hub") as hub,
        LambdaCloud() as cloud,
    ):
        for name in [
            one for one in os.environ if one.startswith(("HF_", "HUGGING", "XDG_", "KANJIPREP_", "LAMBDA_"))
        ]:
            patch.delenv(name)
        for name, value in pushes.settings(hub, folder).items():
            patch.setenv(name, value)
        lab = Lab(folder, pushes.build(folder / "dataset"))
        lab.go(patch)
        write_models(folder)
        write_runs(folder, tmp_path_factory.mktemp("painted"))
        replace_far_ends(patch, cloud)
        quickly(patch)
        drawings(folder / "kanji")
        judges.write_dataset(folder / "characters")
        yield World(folder, lab, cloud)
        lab.end()


def write_models(folder: Path) -> None:
    """LoRA files, a good one, one of a tiny model and one that is broken, and that model."""
    painting_models.base(folder / "tiny")
    painting_models.lora(folder / "mine.safetensors")
    said = lora_files.said(r=4, lora_alpha=4)
    lora_files.write(folder / "kanji.safetensors", lora_files.named(lora_files.weights(), "diffusers-peft"), said)
    (folder / "broken.safetensors").write_bytes(b"no LoRA")
    weights = {module: (down * float("nan"), up) for module, (down, up) in lora_files.weights().items()}
    lora_files.write(folder / "spoilt.safetensors", lora_files.named(weights, "diffusers-peft"), said)


def write_runs(folder: Path, elsewhere: Path) -> None:
    """A run with pictures, and one with LoRAs of the large model."""
    painting = dataclasses.replace(painted_run.SMALL, checkpoints=2, exploded=(2,), best=1, prompts=("a", "b"))
    painted_run.copied(painted_run.small(elsewhere, painting), folder)
    (elsewhere / "large").mkdir()
    run = run_folders.trained(elsewhere / "large", preset=presets.load("sd35-large-lora"))
    for step in (4, 8):
        path = run / f"output/checkpoint-{step}" / WEIGHTS
        tensors = lora_files.named(lora_files.weights(seed=step), "diffusers-peft")
        lora_files.write(path, tensors, lora_files.said(r=4, lora_alpha=4))
    shutil.copytree(run, folder / "runs" / "large", symlinks=True)
    (folder / "empty").mkdir()


def replace_far_ends(patch: pytest.MonkeyPatch, cloud: LambdaCloud) -> None:
    """Put a painter, a SkyPilot and a box that cost nothing in the place of the real ones."""
    patch.setattr(reference, "LEAST", painted_run.TRAINING)
    patch.setattr(model, "opened", Fake().opened)
    patch.setattr(model, "refuse_without_diffusers", lambda: None)
    cloud.ssh_keys[SSH_KEY] = {"id": "1", "name": SSH_KEY, "public_key": "ssh-ed25519 AAAA"}
    cloud.capacity[TYPE] = (REGION, OTHER_REGION)
    sky, clock = Sky(cloud.url), hurried_clock(time.time())
    patch.setattr(shops.setup, "find", lambda *_: None)  # type: ignore[attr-defined]
    patch.setattr(shops, "SkyPilot", lambda _: sky)
    patch.setattr(shops, "Shop", functools.partial(Shop, clock=clock, patience_s=120.0))
    patch.setattr(there, "start", lambda *_: 1)
    patch.setattr(Attended, "pull", lambda *_: None)


def here(world: World, case: Case) -> Answer:
    """In this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run(world.words(case))
    return Answer(code, out.getvalue(), err.getvalue())


def started(world: World, case: Case, stdout: Any = subprocess.PIPE) -> subprocess.Popen[str]:
    """A process of its own, without a terminal."""
    line = [sys.executable, "-m", "kanjiprep", *world.words(case)]
    return subprocess.Popen(
        line,
        text=True,
        cwd=world.folder,
        env=world.environ,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


def in_process(world: World, case: Case) -> Answer:
    """In a process of its own, to its end."""
    with started(world, case) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    return Answer(process.returncode, out, err)


def interrupted(world: World, case: Case) -> Answer:
    """In a process that gets Ctrl-C as soon as it is at work."""
    with started(world, case) as process:
        assert process.stderr is not None
        said = ""
        while case.says and not re.search(f"^{case.says}", said, re.MULTILINE):
            line = process.stderr.readline()
            assert line, said
            said += line
        if not case.says:
            run = world.folder / "runs" / case.words.partition("--name ")[2].split()[0]
            until(lambda: is_at(run, 3), "the third step")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    return Answer(process.returncode, out, said + err)


def with_full_disk(world: World, case: Case) -> Answer:
    """In a process whose standard output takes nothing."""
    with Path("/dev/full").open("w") as full, started(world, case, full) as process:
        _, err = process.communicate(timeout=PATIENCE_S)
    return Answer(process.returncode, "", err)


HOW: Final = {"here": here, "process": in_process, "interrupted": interrupted, "full": with_full_disk}


def marked(case: Case) -> Any:
    return pytest.param(case, id=case.line.replace("/", "-"), marks=[pytest.mark.slow] if case.slow else [])


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_a_command_says_and_ends_as_it_should(world: World, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("KANJIPREP_LAMBDA_ENDPOINT", world.cloud.url)
    monkeypatch.setenv("KANJIPREP_KANJIVG", str(world.folder / "kanji"))
    if case.has_key:
        monkeypatch.setenv("LAMBDA_API_KEY", KEY)
    world.lab.faults(Faults(**dict(case.faults)))  # type: ignore[arg-type]
    answer = world.seen[case] = HOW[case.how](world, case)
    assert answer.code == case.code, answer.err
    assert "\x1b" not in answer.out + answer.err
    assert "Traceback" not in answer.err
    if case.says:
        assert answer.line(case.says), answer
    if "--json" in case.words.split():
        validate(case.command, answer)


def validate(command: str, answer: Answer) -> None:
    """One JSON document, in which nothing is that JSON has not, as its schema says."""
    document = json.loads(answer.out, parse_constant=pytest.fail)
    schema = json.loads((SCHEMAS / json_documents.file_of(command)).read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(document)


def test_every_command_is_tried() -> None:
    from tests.test_manners import LEAVES, TELLS_NOTHING

    for command in LEAVES:
        kinds = {case.kind for case in CASES if case.command == command}
        assert kinds >= {"happy", "bad"} | (set() if command in TELLS_NOTHING else {"json"}), command
    assert {case.code for case in CASES} == set(MEANINGS)


@pytest.mark.slow
def test_the_table_in_the_documentation_is_what_was_seen(world: World, request: pytest.FixtureRequest) -> None:
    if set(world.seen) != set(CASES):
        pytest.skip("only some of the commands were tried")
    text = every_command.page(world.seen, functools.partial(_settled, world))
    if request.config.getoption("--update-golden"):
        PAGE.write_text(text, "utf-8")
    assert PAGE.read_text("utf-8") == text, "run it with --update-golden, and look at the difference"


def _settled(world: World, line: str) -> str:
    return every_command.settled(line, world.folder, Path(sys.prefix))
