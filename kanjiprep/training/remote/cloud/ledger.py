"""What we rented: one line of JSON for each thing that happened, kept before Lambda is asked for it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import MINYEAR, UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar, Final

import platformdirs

from kanjiprep import spec as tables
from kanjiprep.errors import RemoteError, os_reason
from kanjiprep.spec import Bounds
from kanjiprep.training import locks
from kanjiprep.training.remote.cloud.rental import Rental

FILE: Final = "rentals.jsonl"

_MOST_BYTES = 64 << 20
_LAST_YEAR = 9000
Positive = Annotated[float, Bounds(above=0, most=1e6)]


@dataclass(frozen=True, slots=True)
class Asked:
    """A machine is about to be asked for; from now on it may cost money.

    Attributes:
        name: Under which it is rented.
        at: ISO 8601, UTC.
        run: The run folder.
        instance_type: Lambda's name of it.
        usd_per_hour: Of one machine.
        max_hours: After so many hours it has to be gone.
        max_usd: What it may cost at most.
    """

    kind: ClassVar[str] = "asked"
    name: str
    at: str
    run: str
    instance_type: str
    usd_per_hour: Positive
    max_hours: Positive
    max_usd: Positive


@dataclass(frozen=True, slots=True)
class Launched:
    """Lambda has an instance of that name, with this id."""

    kind: ClassVar[str] = "launched"
    name: str
    at: str
    id: str


@dataclass(frozen=True, slots=True)
class Ending:
    """It is about to be ended."""

    kind: ClassVar[str] = "ending"
    name: str
    at: str


@dataclass(frozen=True, slots=True)
class Gone:
    """Lambda was asked and has nothing of that name any more."""

    kind: ClassVar[str] = "gone"
    name: str
    at: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody knows whether it is gone.

    Attributes:
        name: Under which it is rented.
        at: ISO 8601, UTC.
        id: Lambda's; empty where not even that is known.
        why: In one phrase.
    """

    kind: ClassVar[str] = "lost"
    name: str
    at: str
    id: str
    why: str


Event = Asked | Launched | Ending | Gone | Lost
_KINDS: Mapping[str, type[Event]] = {one.kind: one for one in (Asked, Launched, Ending, Gone, Lost)}


@dataclass(frozen=True, slots=True)
class Book:
    """All that a ledger tells.

    Attributes:
        rentals: Oldest first; a name that was rented again after it was gone is there again.
        unreadable: Lines that are not understood: torn ones, or of a newer version.
    """

    rentals: tuple[Rental, ...]
    unreadable: int

    @property
    def open_rentals(self) -> tuple[Rental, ...]:
        """Those that are not verified to be gone."""
        return tuple(rental for rental in self.rentals if rental.state != "gone")

    def of(self, name: str) -> Rental | None:
        """The last rental of that name."""
        return next((rental for rental in reversed(self.rentals) if rental.name == name), None)


def default_folder() -> Path:
    """Where the ledger of this user is."""
    return platformdirs.user_data_path("kanjiprep")


def stamp(at: datetime) -> str:
    """``at`` as the ledger writes it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def append(folder: Path, *events: Event) -> None:
    """Write down what happened; when this returns, it is on the disk.

    Raises:
        RemoteError: If it cannot be written, or not so that it can be read again.
    """
    if not events:
        return
    path = folder / FILE
    lines = [json.dumps({"kind": one.kind, **asdict(one)}).encode() for one in events]
    for one, line in zip(events, lines, strict=True):
        if _event(line) != one:
            raise RemoteError(f"{one!r:.200} would not be understood when it is read again", str(path))
    with _as_remote_error(path):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_new = not path.exists()
        with locks.held(path) as file:
            _write(file, _mend(file) + b"".join(line + b"\n" for line in lines))
        if is_new:
            _sync_folder(folder)


def read(folder: Path) -> Book:
    """What the ledger in ``folder`` tells; nothing if there is none.

    Raises:
        RemoteError: If it is there and cannot be read.
    """
    path = folder / FILE
    with _as_remote_error(path):
        try:
            found = path.stat()
        except FileNotFoundError:
            return Book((), 0)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:  # a pipe would be waited for
            what = f"is no file, or one that is larger than {_MOST_BYTES >> 20} MiB"
            raise RemoteError(what, str(path), "move it away and look at it")
        data = path.read_bytes()
    lines = [line for line in data.split(b"\n") if line]
    events = [event for line in lines if (event := _event(line))]
    return Book(fold(events), len(lines) - len(events))


def fold(events: list[Event]) -> tuple[Rental, ...]:
    """The rentals of which ``events`` tell, oldest first."""
    rentals: list[Rental] = []
    last: dict[str, int] = {}
    for event in events:
        index = last.get(event.name)
        if isinstance(event, Asked) and (index is None or rentals[index].state == "gone"):
            last[event.name] = len(rentals)
            rentals.append(_rental(event))
        elif index is not None:
            rentals[index] = _next(rentals[index], event)
    return tuple(rentals)


def _rental(event: Asked) -> Rental:
    return Rental(
        name=event.name,
        run=event.run,
        instance_type=event.instance_type,
        usd_per_hour=event.usd_per_hour,
        asked_at=datetime.fromisoformat(event.at),
        max_hours=event.max_hours,
        max_usd=event.max_usd,
    )


def _next(rental: Rental, event: Event) -> Rental:
    at = datetime.fromisoformat(event.at)
    if isinstance(event, Asked):  # asked again after a refusal, or elsewhere: the time of the first counts
        dearest = max(rental.usd_per_hour, event.usd_per_hour)
        return replace(_rental(event), asked_at=rental.asked_at, ids=rental.ids, usd_per_hour=dearest)
    if isinstance(event, Launched):
        return replace(rental, ids=tuple(dict.fromkeys((*rental.ids, event.id))), state="launched", gone_at=None)
    if isinstance(event, Ending):
        return rental if rental.state == "gone" else replace(rental, state="ending")
    if isinstance(event, Gone):
        return replace(rental, state="gone", gone_at=rental.gone_at or at, why="")
    return rental if rental.state == "gone" else replace(rental, state="lost", why=event.why)


def _event(line: bytes) -> Event | None:
    try:
        table = json.loads(line)
        kind = _KINDS[table["kind"]]
        known = {one.name for one in fields(kind)}  # what another version writes beside them makes no rental vanish
        event, problems = tables.read(kind, {key: value for key, value in table.items() if key in known})
        return None if problems or event is None or not _is_sane(event) else event
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _is_sane(event: Event) -> bool:
    """Whether its name is one that can be shown, and its time one that can be reckoned with."""
    at = datetime.fromisoformat(event.at)
    return event.name.isprintable() and at.tzinfo is not None and MINYEAR < at.year < _LAST_YEAR


def _mend(file: int) -> bytes:
    """What makes the torn last line of ``file`` a line, so that the next one can be read."""
    size = os.fstat(file).st_size
    return b"\n" if size and os.pread(file, 1, size - 1) != b"\n" else b""


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
    os.fsync(file)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _as_remote_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"the list of what is rented cannot be read or written: {os_reason(error)}"
        raise RemoteError(
            what, str(path), "free the space or fix the permissions before anything is rented"
        ) from error
