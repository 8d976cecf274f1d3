"""Where tests push from: a small dataset, a Hub on loopback, and the command line with the settings of one user."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kanjiprep import metadata, receipt
from kanjiprep.dataset import build as building
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.dataset.raster import Style
from kanjiprep.progress import silent
from tests import hub_accounts, sources
from tests.hub_accounts import WRITE_TOKEN
from tests.hub_server import Hub
from tests.hub_store import Commit, Repo

Run = Callable[..., tuple[int, str, str]]
REPO = "me/kanji"
LITERALS = "亜唖娃阿哀愛挨姶逢葵茜穐悪握渥旭葦芦鯵梓"
CARD = b"---\nlicense: mit\ntags:\n- mine\n---\n\n# My kanji\n\nA word of mine.\n"
PARQUET = "data/train-00000-of-00001.parquet"
_HEEDING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
from kanjiprep.__main__ import main
main()
"""


def build(folder: Path, caption: str = "published") -> Path:
    """A dataset of twenty small pictures, all different, in a folder that is not there yet."""
    entries = [sources.Entry(one, (f"thing {number}", "pair")) for number, one in enumerate(LITERALS)]
    glyphs = {
        ord(one): sources.Group(one, (f"M12,{12 + 4 * number}L96,{90 - 3 * number}",))
        for number, one in enumerate(LITERALS)
    }
    upstream = folder.with_name(f"{folder.name}-sources")
    upstream.mkdir(parents=True)
    dictionary = sources.write_kanjidic(upstream / "kanjidic2.xml", sources.kanjidic(*entries))
    strokes = sources.write_kanjivg(upstream / "kanji", sources.svg_files(glyphs))
    request = BuildRequest(folder, str(dictionary), str(strokes), caption, Style(64))
    return building.build(request, Place({}, upstream / "cache"), silent).folder


class Said(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON of a command that succeeded without a word beside it."""
        assert (self.code, self.err) == (0, "")
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """The one line of a command that failed: what, where and what helps, and nobody's secret."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert line.startswith("error: ")
        assert "; " in line
        assert not [token for token in hub_accounts.ACCOUNTS if token in line]
        return line


class Desk(NamedTuple):
    """Where somebody pushes from: a dataset folder, a home, and the Hub that the settings name."""

    hub: Hub
    dataset: Path
    home: Path
    run: Run

    def push(self, *options: object, repo_id: str = REPO, dataset: Path | None = None) -> Said:
        """What came of kanjiprep push with --json, and so with nothing on stderr but an error."""
        return Said(*self.run("push", dataset or self.dataset, repo_id, "--json", *options))

    @property
    def repo(self) -> Repo:
        return self.hub.repo("dataset", REPO)

    @property
    def left_behind(self) -> list[Path]:
        """What is in the folder where pushes are laid out."""
        return list((self.home / "cache" / "kanjiprep" / "push").glob("**/*"))

    @property
    def receipt(self) -> receipt.Receipt | None:
        return receipt.read(self.dataset)


def desk(hub: Hub, built: Path, home: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk with a copy of a dataset, and with no settings but those of the Hub."""
    dataset = home / "dataset"
    shutil.copytree(built, dataset)
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING", "XDG_"))]:
        monkeypatch.delenv(name)
    for name, value in settings(hub, home).items():
        monkeypatch.setenv(name, value)
    return Desk(hub, dataset, home, run)


def settings(hub: Hub, home: Path, token: str | None = WRITE_TOKEN) -> dict[str, str]:
    """The environment variables of a desk."""
    folders = {"XDG_CACHE_HOME": str(home / "cache"), "XDG_DATA_HOME": str(home / "data")}
    return hub.environment(home / "hf", token) | folders


def start(*arguments: object) -> subprocess.Popen[str]:
    """The command line in a process of its own, which heeds Ctrl-C wherever the tests run."""
    command = [sys.executable, "-c", _HEEDING, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def await_true(happened: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until something has happened to a process that goes on."""
    while not happened():
        assert process.poll() is None, "it ended too early"
        time.sleep(0.005)


def state(hub: Hub) -> dict[Any, Any]:
    """All that a push may change on the Hub."""
    return {
        key: (repo.private, dict(repo.branches), dict(repo.tags), sorted(repo.commits_by_oid))
        for key, repo in hub.state.repos.items()
    }


def changes(repo: Repo, revision: str = "main") -> list[Commit]:
    """The commits after the first one that changed a file, the newest first."""
    commits = repo.commits(revision)
    return [one for one, before in itertools.pairwise(commits) if dict(one.tree) != dict(before.tree)]


def rows(folder: Path) -> list[tuple[str, str, bytes]]:
    """Name, caption and bytes of every picture of a dataset folder, in its order."""
    return [
        (name, caption, (folder / name).read_bytes()) for name, caption in metadata.read_rows(folder / metadata.NAME)
    ]


def rows_there(files: Mapping[str, bytes]) -> list[tuple[str, str, bytes]]:
    """The same of what stands in a repository, in either layout."""
    import pyarrow.parquet as pq

    tables = [
        pq.read_table(io.BytesIO(files[path])).to_pylist() for path in sorted(files) if path.endswith("parquet")
    ]
    if tables:
        return [(row["file_name"], row["text"], row["image"]["bytes"]) for table in tables for row in table]
    captions = list(_read(files[metadata.NAME]))
    return [(name, caption, files[name]) for name, caption in captions]


def _read(table: bytes) -> list[tuple[str, str]]:
    _, *found = csv.reader(io.StringIO(table.decode(), newline=""))
    return [(name, caption) for name, caption in found]
