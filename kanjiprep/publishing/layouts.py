"""A dataset laid out as it is to stand on the Hub: tables with the pictures inside, or the files as they are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from kanjiprep import metadata
from kanjiprep.dataset import characters, folder
from kanjiprep.dataset.card import Example
from kanjiprep.dataset.check import Checked
from kanjiprep.errors import DatasetError, HubError, KanjiprepError, os_reason
from kanjiprep.progress import Progress
from kanjiprep.publishing import dataset_card, merging, shards, staging
from kanjiprep.publishing.dataset_card import DatasetFacts, Info
from kanjiprep.publishing.destination import Destination

Layout = Literal["parquet", "files"]

SAMPLES: Final = "samples"
BESIDE: Final = (folder.CERTIFICATE, folder.SUMS, folder.SKIPPED)
_EARLIER: Final = re.compile(
    r"data/train-\d+-of-\d+\.parquet|samples/(?:[0-9a-f]{5}|\d)\.\w+|[^/]+_kanji_[0-9a-f]{5}\.png"
)
_BUILT: Final = "Digest of the whole: `"
"""Stands in every card that a build writes; the first ones had no marks."""
_MOST_ENTRIES: Final = 10_000
"""Of a folder. Source: https://huggingface.co/docs/hub/storage-limits."""
_MOST_SHOWN: Final = 500
_SLACK_BYTES: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class LaidOut:
    """What is to be sent.

    Attributes:
        folders: Each sent after the one before.
        digest: Of the dataset, by its birth certificate; empty if that is none or holds no more.
        notes: What became of certificate and card.
    """

    folders: tuple[Path, ...]
    digest: str
    notes: tuple[str, ...]


def needed_bytes(checked: Checked) -> int:
    """What laying out takes on the disk, at most."""
    return checked.statistics.picture_bytes * 11 // 10 + _SLACK_BYTES


def lay_out(checked: Checked, there: Destination, layout: Layout, out: Path, progress: Progress) -> LaidOut:
    """The dataset laid out in folders inside ``out``.

    Args:
        checked: The dataset, judged.
        there: Where it is to go; its card is merged with ours.
        layout: Which.
        out: A folder that is made.
        progress: Hears pictures.

    Raises:
        DatasetError: If the dataset cannot be read, or is too large for the layout.
        HubError: If the card there cannot be merged, or ``out`` cannot be written.
    """
    at = checked.folder
    folders, info, shown = _pictures(at, layout, out, progress)
    certificate, notes = _certificate(checked)
    facts = DatasetFacts(
        repo_id=there.wish.repo_id,
        layout=layout,
        statistics=checked.statistics,
        certificate=certificate,
        info=info,
        examples=shown,
        beside=_beside(at, layout, certificate, folders[-1]),
    )
    merged, of_card = _card(facts, there.card, at)
    (folders[-1] / folder.CARD).write_text(merged.text, "utf-8")
    return LaidOut(folders, certificate.digest if certificate else "", (*notes, *of_card, *merged.notes))


def _pictures(
    at: Path, layout: Layout, out: Path, progress: Progress
) -> tuple[tuple[Path, ...], Info | None, tuple[Example, ...]]:
    """The pictures laid out; the folders to be sent, what is in their tables, and the examples of the card."""
    rows = metadata.read_rows(at / metadata.NAME)
    if layout == "files":
        _link_pictures(at, rows, out / "first")
        return (out / "first", out / "last"), None, _spread(at, rows)
    made = shards.write(at, out, progress)
    info = Info(tuple(shards.features()), made.rows, made.table_bytes, made.file_bytes)
    return (out,), info, _samples(at, rows, out)


def _beside(at: Path, layout: Layout, certificate: folder.Certificate | None, out: Path) -> tuple[str, ...]:
    """What goes along with the pictures, laid out in ``out``; names of those files that are as they were built."""
    is_whole = certificate is not None and certificate.digest != ""
    beside = [name for name in (BESIDE if is_whole else (folder.SKIPPED,)) if (at / name).is_file()]
    for name in (*beside, *(() if layout == "parquet" else texts(at))):
        staging.link(at / name, out / name)
    if certificate is not None and not is_whole:
        (out / folder.CERTIFICATE).write_bytes(folder.certificate_json(certificate))
    return tuple(beside)


def texts(at: Path) -> list[str]:
    """The tables of a dataset, whose words are in what is sent whatever the layout."""
    return [name for name in (metadata.NAME, characters.NAME) if (at / name).is_file()]


def sources(at: Path) -> list[str]:
    """The files of a dataset that go along in one way or another."""
    rows = dict.fromkeys(name for name, _ in metadata.read_rows(at / metadata.NAME))
    return [name for name in (*texts(at), *BESIDE, folder.CARD, *rows) if (at / name).is_file()]


def _certificate(checked: Checked) -> tuple[folder.Certificate | None, tuple[str, ...]]:
    """The birth certificate, without its digest if the files are no longer those that it was written for."""
    certificate = folder.read_certificate(checked.folder)
    details = [item.detail for problem in checked.problems if problem.kind == "changed" for item in problem.items]
    changed = [one for one in details if not one.endswith(" was not built") and not one.startswith(folder.CARD)]
    if certificate is None or not changed:
        return certificate, ()
    note = f"it was changed since it was built ({changed[0]}), so it goes without {folder.SUMS} and digest"
    return replace(certificate, digest=""), (note,)


def _card(facts: DatasetFacts, theirs: str | None, at: Path) -> tuple[merging.Merged, tuple[str, ...]]:
    """Our card, merged with the one on the Hub, or else with what somebody wrote into the folder's own."""
    kind: type[KanjiprepError] = HubError
    where = f"README.md of {facts.repo_id}"
    notes: tuple[str, ...] = ()
    if theirs is None:
        kind, where = DatasetError, str(at / folder.CARD)
        theirs, notes = _own_card(at)
    return merging.merge(dataset_card.hub_card(facts), theirs, kind, where), notes


def _own_card(at: Path) -> tuple[str, tuple[str, ...]]:
    """The folder's own card, and what there is to say of it."""
    path = at / folder.CARD
    if path.exists() and not path.is_file():
        raise DatasetError("is no file", str(path), "move it away")
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return "", ()
    except UnicodeDecodeError as error:
        raise DatasetError(f"not UTF-8 text at byte {error.start}", str(path), "save it as UTF-8") from error
    except OSError as error:
        raise DatasetError(f"cannot be read: {os_reason(error)}", str(path), "check its permissions") from error
    if merging.BEGIN not in text and _BUILT in text:
        return "", ("README.md of the folder is an earlier build's, and another goes in its place",)
    return text, ()


def refuse_strangers(there: Destination, force: bool) -> None:
    """Refuse to push over a dataset that is not of an earlier push.

    Raises:
        HubError: If there is one, and nobody forces us.
    """
    # Pictures alone are of a push with --layout files that broke off, which may go on.
    found = [path for path in there.remote.files if is_earlier(path) and not path.endswith(".png")]
    if found and merging.BEGIN not in (there.card or "") and not force:
        shown = ", ".join(found[:3]) + (" ..." if len(found) > 3 else "")  # noqa: PLR2004
        what = f"holds a dataset that kanjiprep did not push ({shown}). Nothing was sent"
        raise HubError(what, there.wish.repo_id, "give another repository, or --force to replace it")


def is_earlier(path: str) -> bool:
    """Whether ``path`` of a repository is what an earlier push of ours put there."""
    return path in (*BESIDE, metadata.NAME, characters.NAME) or _EARLIER.fullmatch(path) is not None


def _spread(at: Path, rows: Iterable[tuple[str, str]]) -> tuple[Example, ...]:
    """Samples evenly spread over the dataset."""
    known = [(name, text) for name, text in rows if (at / name).is_file()]
    step = max(1, len(known) // dataset_card.MOST_EXAMPLES)
    chosen = known[::step][: dataset_card.MOST_EXAMPLES]
    about = characters.read(at, [name for name, _ in chosen])
    return tuple(
        Example(one.character or name, name, shortened(text)) for one, (name, text) in zip(about, chosen, strict=True)
    )


def shortened(text: str) -> str:
    """``text`` as far as a card shows it."""
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} ..."


def _samples(at: Path, rows: Iterable[tuple[str, str]], out: Path) -> tuple[Example, ...]:
    """The samples as files of their own, under names that every system takes."""
    found: list[Example] = []
    for number, example in enumerate(_spread(at, rows)):
        suffix = Path(example.file_name).suffix.lower()
        name = f"{ord(example.literal):05x}" if len(example.literal) == 1 else f"{number}"
        taken = {one.file_name for one in found}
        path = next(one for one in (f"{SAMPLES}/{name}{suffix}", f"{SAMPLES}/{number}{suffix}") if one not in taken)
        staging.link(at / example.file_name, out / path)
        found.append(Example(example.literal, path, example.caption))
    return tuple(found)


def _link_pictures(at: Path, rows: Iterable[tuple[str, str]], out: Path) -> None:
    names = [name for name, _ in rows]
    if len(names) > _MOST_ENTRIES - 100:
        what = f"has {len(names):,} pictures, and the Hub takes {_MOST_ENTRIES:,} files in a folder"
        raise DatasetError(what, str(at), "push it with --layout parquet")
    shards.refuse_unfit(names, str(at / metadata.NAME))
    for name in names:
        staging.link(at / name, out / name)
