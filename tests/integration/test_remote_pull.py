"""What a run on a box has made, pulled over a real OpenSSH server on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep.cli import there as commands
from kanjiprep.errors import RemoteError
from kanjiprep.progress import Progress, silent
from kanjiprep.training.remote import place as places
from kanjiprep.training.remote.attending import Attended
from kanjiprep.training.remote.box.over_ssh import OverSsh
from kanjiprep.training.remote.place import Place
from kanjiprep.training.remote.pull import Pulled, finish, pull
from kanjiprep.training.remote.ssh.connection import Box
from tests.loopback import SSHD, Loopback, close
from tests.test_remote_there import job_of

pytestmark = pytest.mark.skipif(SSHD is None, reason="needs openssh-server")

NAME = "水 and fire's"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with Loopback(tmp_path_factory.mktemp("box") / "far") as one:
        yield one


@pytest.fixture(scope="module")
def far(server: Loopback, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverSsh]:
    box = Box(server.address, tmp_path_factory.mktemp("state"))
    yield OverSsh(box)
    close(box)


@pytest.fixture
def there(server: Loopback) -> Iterator[Path]:
    """A run folder on the box with two checkpoints and one that is not whole yet."""
    folder = server.home / ".kanjiprep/work/runs" / NAME
    for name in ("run.toml", "trainer.log", "output/pictures/one 火.png", "output/cache/latent.pt", ".hidden"):
        write(folder / name)
    write(folder / "stop.json")
    checkpoint(folder, 4)
    checkpoint(folder, 10)
    write(folder / "output/checkpoint-12/optimizer.bin")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "runs" / NAME


@pytest.fixture
def place(server: Loopback) -> Place:
    return Place(str(server.address), NAME, str(server.key))


def write(path: Path, data: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data or os.urandom(5_000))


def checkpoint(folder: Path, step: int, output: str = "output") -> Path:
    made = folder / output / f"checkpoint-{step}"
    for name in ("weights of 漢字.bin", "assets/image 0.png", "random_states_0.pkl"):
        write(made / name)
    write(made / ".guard", b"complete")
    return made


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def known(here: Path) -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = json.loads((here / "pulled.json").read_text("utf-8"))
    return table


def during(number: int, act: Callable[[], object], moment: int = 100) -> Progress:
    """Hears of rsync, and acts once when the fetch of that number, from 0, has come to that per cent."""
    fetches, acted = [-1], list[bool]()

    def hear(stage: str, done: int, total: int | None) -> None:
        fetches[0] += stage == "fetch" and done == 0
        if (stage, done, fetches[0]) == ("fetch", moment, number) and not acted:
            acted.append(True)
            act()

    return hear


def test_what_is_whole_comes_with_its_bytes_and_only_once(
    far: OverSsh, place: Place, there: Path, here: Path
) -> None:
    assert pull(far, place, here, silent) == Pulled(("output/checkpoint-4", "output/checkpoint-10"), 2)
    for name in ("run.toml", "trainer.log", "output/pictures/one 火.png"):
        assert (here / name).read_bytes() == (there / name).read_bytes()
    assert {path.name for path in here.iterdir()} == {".pulling", "output", "pulled.json", "run.toml", "trainer.log"}
    assert {path.name for path in (here / "output").iterdir()} == {"checkpoint-4", "checkpoint-10", "pictures"}
    for name, sums in known(here).items():
        assert digests(here / name) == digests(there / name) == sums

    before = {path: (path.stat().st_ino, path.stat().st_ctime_ns) for path in here.rglob("*") if path.is_file()}
    assert pull(far, place, here, silent) == Pulled((), 2)
    assert {path: (path.stat().st_ino, path.stat().st_ctime_ns) for path in before} == before

    write(there / "output/checkpoint-12/.guard", b"complete")
    shutil.rmtree(there / "output/checkpoint-4")
    with (there / "trainer.log").open("ab") as log:
        log.write(b"one more line\n")
    assert pull(far, place, here, silent) == Pulled(("output/checkpoint-12",), 3)
    assert (here / "trainer.log").read_bytes() == (there / "trainer.log").read_bytes()


def test_a_checkpoint_that_changes_while_it_is_fetched_is_fetched_again(
    far: OverSsh, place: Place, there: Path, here: Path
) -> None:
    changed = there / "output/checkpoint-4/random_states_0.pkl"

    def change() -> None:
        write(changed)
        write(changed.parent / "late.json")

    assert pull(far, place, here, during(1, change)).kept == 2
    assert digests(here / "output/checkpoint-4") == digests(changed.parent) == known(here)["output/checkpoint-4"]


@pytest.mark.parametrize("moment", [0, 100])
def test_a_checkpoint_that_is_removed_while_it_is_fetched_is_left_out(
    far: OverSsh, place: Place, there: Path, here: Path, moment: int
) -> None:
    hear = during(1, lambda: shutil.rmtree(there / "output/checkpoint-4"), moment)
    assert pull(far, place, here, hear) == Pulled(("output/checkpoint-10",), 1)
    assert {path.name for path in (here / "output").iterdir()} == {"checkpoint-10", "pictures"}


def test_a_connection_that_is_killed_in_the_middle_is_made_again(
    server: Loopback, far: OverSsh, place: Place, there: Path, here: Path
) -> None:
    killed: list[int] = []

    def hear(stage: str, done: int, total: int | None) -> None:
        if not killed and stage == "fetch" and done == 0 and (here / "run.toml").exists():
            killed.append(done)  # small files are here, and the first checkpoint is about to come
            server.kill_sessions()

    assert pull(far, place, here, hear).kept == 2
    assert killed
    assert digests(here / "output/checkpoint-4") == digests(there / "output/checkpoint-4")


def test_the_end_finds_what_was_spoilt_here_and_fetches_it_again(
    far: OverSsh, place: Place, there: Path, here: Path
) -> None:
    pull(far, place, here, silent)
    for name in ("output/checkpoint-10/random_states_0.pkl", "output/checkpoint-4/random_states_0.pkl", "run.toml"):
        about = (here / name).stat()
        write(here / name)
        os.utime(here / name, ns=(about.st_atime_ns, about.st_mtime_ns))  # rsync alone would not see it
    (here / "output/pictures/one 火.png").unlink()
    (here / "output/checkpoint-10/assets/image 0.png").unlink()
    shutil.rmtree(there / "output/checkpoint-4")
    assert finish(far, place, here, silent) == Pulled(("output/checkpoint-10",), 1)
    assert list(known(here)) == ["output/checkpoint-10"]
    assert digests(here / "output/checkpoint-10") == digests(there / "output/checkpoint-10")
    for name in ("run.toml", "output/pictures/one 火.png"):
        assert (here / name).read_bytes() == (there / name).read_bytes()


def test_what_never_is_the_same_is_refused(far: OverSsh, place: Place, there: Path, here: Path) -> None:
    def restless(stage: str, done: int, total: int | None) -> None:
        if (stage, done) == ("fetch", 100):
            write(there / "output/checkpoint-4/random_states_0.pkl")
            write(there / "trainer.log")

    with pytest.raises(RemoteError, match=r"output/checkpoint-4 does not arrive as it is on the box"):
        pull(far, place, here, restless)
    pull(far, place, here, silent)
    with pytest.raises(RemoteError, match=r"trainer.log is not here as it is on the box"):
        finish(far, place, here, restless)


def test_a_checkpoint_that_comes_at_the_very_end_is_not_left_there(
    far: OverSsh, place: Place, there: Path, here: Path
) -> None:
    pull(far, place, here, silent)
    with pytest.raises(RemoteError, match=r"attempt-2/output/checkpoint-2 is not here yet"):
        finish(far, place, here, during(0, lambda: checkpoint(there, 2, "attempt-2/output")))
    assert finish(far, place, here, silent).checkpoints == ("attempt-2/output/checkpoint-2",)


def test_a_run_that_is_not_there_or_a_copy_that_cannot_be_written_is_one_line(
    far: OverSsh, place: Place, there: Path, here: Path
) -> None:
    other = Place(place.address, "none such", place.key)
    with pytest.raises(RemoteError, match=r"there is no run 'none such'; launch it again"):
        pull(far, other, here, silent)
    write(here / "output/checkpoint-4")
    with pytest.raises(RemoteError, match=r"checkpoint-4: cannot be written: not a directory"):
        pull(far, place, here, silent)
    with pytest.raises(RemoteError, match=r"run.toml: cannot be written: file exists"):
        pull(far, place, here / "run.toml", silent)
    (here / "output/checkpoint-4").unlink()
    write(here / "output/.checkpoint-10.pulling")
    with pytest.raises(RemoteError, match=r"\.checkpoint-10\.pulling: cannot be made: file exists"):
        pull(far, place, here, silent)
    assert list(known(here)) == ["output/checkpoint-4"], "what came before is kept"


def test_two_that_pull_at_the_same_time_do_not_meet(far: OverSsh, place: Place, there: Path, here: Path) -> None:
    made: list[Pulled] = []
    both = [threading.Thread(target=lambda: made.append(pull(far, place, here, silent))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(len(one.checkpoints) for one in made) == [0, 2]
    assert digests(here / "output/checkpoint-4") == digests(there / "output/checkpoint-4")


def test_the_pictures_of_the_run_are_links_to_the_dataset_here(
    far: OverSsh, place: Place, there: Path, here: Path, tmp_path: Path
) -> None:
    line = {"file_name": "水.png", "text": "water", "width": 64, "height": 64}
    write(there / "config/captions.jsonl", (json.dumps(line, ensure_ascii=False) + "\n").encode())
    write(tmp_path / "dataset/水.png")
    mine = Place(place.address, NAME, place.key, dataset=str(tmp_path / "dataset"))
    places.write(here, mine)
    for _ in range(2):
        pull(far, mine, here, silent)
    assert (here / "pictures/水.png").readlink() == tmp_path / "dataset/水.png"
    assert places.read(here) == mine
    shutil.rmtree(here / "pictures")
    (here / "pictures").symlink_to(tmp_path / "gone")
    with pytest.raises(RemoteError, match=r"pictures: cannot be written: file exists"):
        pull(far, mine, here, silent)


def test_what_came_is_told_and_at_the_end_no_token_is_left_there(
    server: Loopback, far: OverSsh, place: Place, there: Path, here: Path
) -> None:
    heard: list[str] = []
    run = Attended(far, place, here, heard.append)
    env = server.home / ".kanjiprep" / place.secrets
    of_another = env.with_name(replace(place, name="another").secrets)
    write(env)
    write(of_another)
    assert run.pull(silent).kept == 2
    assert heard == [
        f"pulled: output/checkpoint-{step}, every file with the bytes that it has on the box" for step in (4, 10)
    ]
    assert env.exists()
    assert run.finish(silent) == Pulled((), 2)
    assert (env.exists(), of_another.exists()) == (False, True)


def test_an_address_at_which_nobody_answers_is_not_asked_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    job = job_of(run=tmp_path / "mine")
    with pytest.raises(RemoteError, match="nothing answers at this port"):
        commands.launch(job, commands.place_of(job, "ssh://me@127.0.0.1:1", None), True, True)
    assert not job.run.exists()
