"""Where a run is that goes on elsewhere: one small file in the folder of its copy."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from kanjiprep import spec as tables
from kanjiprep.errors import UsageError
from kanjiprep.paths import resolved
from kanjiprep.training.remote.box import scripts
from kanjiprep.training.remote.ssh import address
from kanjiprep.training.remote.ssh.address import Address
from kanjiprep.training.running import files

FILE: Final = "remote.json"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the run itself is.

    Attributes:
        address: Of the box, as ssh://user@host; empty while a rented one is not there yet.
        key: Path of the private key; empty for those that ssh finds by itself.
        name: Of the run, a folder in runs/ on the box.
        root: Folder of ours on the box.
        dataset: Folder of the dataset here, for whoever scores the run; empty if there is none.
        rental: Under which the box is rented; empty if it is the user's own.
    """

    address: str
    name: str
    key: str = ""
    root: str = scripts.ROOT
    dataset: str = ""
    rental: str = ""

    @property
    def run(self) -> str:
        """The run folder there, seen from the user's home."""
        return f"{self.root}/work/runs/{self.name}"

    def step(self, verb: str) -> str:
        """The name of what is done with the run there: not every name of a run is one of a step."""
        return f"{verb}-{hashlib.sha256(self.name.encode()).hexdigest()[:12]}"

    @property
    def secrets(self) -> str:
        """The file in the folder of ours there that holds the tokens of this run, and of no other."""
        return f"{self.step('env')}.sh"

    @property
    def host(self) -> Address:
        """How it is reached."""
        return address.parse(self.address, Path(self.key) if self.key else None)


def write(run: Path, place: Place) -> None:
    """Keep ``place`` in the folder ``run`` of the copy, which is made.

    Raises:
        UsageError: If the folder cannot be made.
        TrainerError: If the file cannot be written.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError("cannot be made", str(run), "give the run another --name") from error
    files.replace(run / FILE, (json.dumps(asdict(place), indent=2) + "\n").encode())


def read(run: Path) -> Place | None:
    """Where the run of the copy ``run`` is; None if it is no copy of ours.

    Raises:
        UsageError: If the file is there and is not understood.
    """
    try:
        table = json.loads((run / FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError):
        table = None
    place, problems = tables.read(Place, table) if table is not None else (None, ("it is no JSON",))
    if place is None or problems:
        what = f"does not say where the run is: {'; '.join(problems)}"
        raise UsageError(what, str(run / FILE), "remove the folder, and look on the box")
    return place


def find(run: str) -> tuple[Path, Place] | None:
    """The copy that ``run`` names, a path or a name in runs/, and where its run is; None if it is no copy of ours.

    Raises:
        UsageError: If its file is not understood.
    """
    with suppress(OSError, ValueError):  # a name too long for a file: then there is no such run either
        for candidate in (Path(run), Path("runs") / run):
            if run.strip() and (candidate / FILE).is_file():
                folder = resolved(candidate)
                found = read(folder)
                return (folder, found) if found else None
    return None
