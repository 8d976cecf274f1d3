"""The dataset folder's files: their names, their bytes, and whether they are still what was built."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from kanjiprep import receipt, spec
from kanjiprep.dataset.join import Sample, Skipped
from kanjiprep.dataset.raster import Style
from kanjiprep.dataset.selection import Selection
from kanjiprep.errors import DatasetError, os_reason
from kanjiprep.progress import Progress

SKIPPED: Final = "skipped.csv"
CARD: Final = "README.md"
CERTIFICATE: Final = receipt.CERTIFICATE
SUMS: Final = receipt.SUMS
PICTURE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One source as the birth certificate names it; version and date are empty where it tells none."""

    name: str
    version: str
    date: str
    sha256: str


@dataclass(frozen=True, slots=True)
class CaptionRecord:
    """The caption template, whole: a name alone would not rebuild the dataset."""

    name: str
    template: str


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A kanji whose drawing has a number of strokes that KANJIDIC2 does not know."""

    literal: str
    drawn: int
    known: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals of the dataset.

    Attributes:
        samples: Pictures, which is also rows of metadata.csv.
        strokes: Strokes drawn over all pictures.
        picture_bytes: Size of all pictures together.
        skipped: Rows of skipped.csv.
        variants: Variant drawings of KanjiVG, none of which is used.
    """

    samples: int
    strokes: int
    picture_bytes: int
    skipped: int
    variants: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """A dataset's birth certificate, ``build.json``: what it was made from, how, and what came out.

    Attributes:
        tool: ``kanjiprep`` and its version.
        renderer: cairo and its version, since one version's pixels are not quite another's.
        sources: By ``kanjidic`` and ``kanjivg``.
        style: Size, stroke width and margin.
        caption: The template.
        selection: Which kanji were asked for.
        counts: Totals; None until the build is done.
        skipped: Characters left out, by reason.
        disagreements: Stroke counts that match none of KANJIDIC2's.
        digest: SHA-256 of ``SHA256SUMS``, and so of every picture, metadata.csv, skipped.csv and
            characters.jsonl (which builds before it do not have).
    """

    tool: str
    renderer: str
    sources: Mapping[str, SourceRecord]
    style: Style
    caption: CaptionRecord
    selection: Selection
    counts: Counts | None = None
    skipped: Mapping[str, int] | None = None
    disagreements: tuple[Disagreement, ...] = ()
    digest: str = ""

    def recipe(self) -> Certificate:
        """The part that decides the bytes: everything known before the build."""
        return replace(self, counts=None, skipped=None, disagreements=(), digest="")


def picture_name(literal: str) -> str:
    """``亜_kanji_04e9c.png``."""
    return f"{literal}_kanji_{ord(literal):05x}.png"


def skipped_csv(skipped: Iterable[Skipped]) -> bytes:
    """skipped.csv: literal, code point as in file names, reason."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("literal", "codepoint", "reason"))
    writer.writerows((one.literal, f"{one.codepoint:05x}", str(one.reason)) for one in skipped)
    return text.getvalue().encode()


def sums(digests: Mapping[str, str]) -> bytes:
    """SHA256SUMS in the form that ``sha256sum --check`` reads, in the order given."""
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()


def parse_sums(text: str) -> dict[str, str]:
    """File name to digest, from whole lines of ``sums``; a torn last line is passed over."""
    whole = text[: text.rfind("\n") + 1]
    pairs = (line.split("  ", 1) for line in whole.splitlines() if "  " in line)
    return {name: digest for digest, name in pairs}


def disagreements(samples: Iterable[Sample]) -> tuple[Disagreement, ...]:
    """The samples drawn with a number of strokes that KANJIDIC2 gives neither as accepted nor as miscount."""
    return tuple(
        Disagreement(sample.entry.literal, len(sample.glyph.strokes), sample.entry.stroke_counts)
        for sample in samples
        if len(sample.glyph.strokes) not in sample.entry.stroke_counts
    )


def certificate_json(certificate: Certificate) -> bytes:
    """build.json's bytes."""
    return (json.dumps(asdict(certificate), ensure_ascii=False, indent=2) + "\n").encode()


def read_certificate(folder: Path) -> Certificate | None:
    """The birth certificate of ``folder``, or None where there is none.

    Raises:
        DatasetError: If build.json is there and is not a certificate.
    """
    path = folder / CERTIFICATE
    try:
        return _parse_certificate(path.read_bytes(), str(path))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError, spec.SpecError) as error:
        reason = "; ".join(error.problems) if isinstance(error, spec.SpecError) else f"not JSON: {error}"
        raise DatasetError(reason, str(path), "restore the file or build into another folder") from error
    except OSError as error:
        raise DatasetError(f"cannot be read: {os_reason(error)}", str(path), "check its permissions") from error


def _parse_certificate(data: bytes, where: str) -> Certificate:
    certificate = spec.from_table(Certificate, json.loads(data), where)
    if any(len(one.literal) != 1 for one in certificate.disagreements):
        raise spec.SpecError(where, ("a literal of disagreements is not one character",))
    return certificate


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def differences(folder: Path, certificate: Certificate, progress: Progress) -> tuple[str, ...]:
    """What in ``folder`` is no longer what ``certificate`` says, one phrase a file; none if all is right."""
    try:
        if sha256_of(folder / SUMS) != certificate.digest:
            return (f"{SUMS} is not the one that {CERTIFICATE} names",)
    except OSError as error:
        return (f"{SUMS} cannot be read: {os_reason(error)}",)
    expected = listed(folder)
    found = []
    for done, (name, digest) in enumerate(expected.items(), 1):
        progress("verify", done, len(expected))
        if (difference := _difference(folder / name, digest)) is not None:
            found.append(difference)
    if not (folder / CARD).is_file():
        found.append(f"{CARD} is missing")
    return (*found, *(f"{name} was not built" for name in foreign_files(folder, expected)))


def listed(folder: Path) -> dict[str, str]:
    """Digest by name from the folder's SHA256SUMS; empty where there is none that can be read."""
    try:
        return parse_sums((folder / SUMS).read_text("utf-8", "replace"))
    except OSError:  # differences() tells it, and nothing is replaced then
        return {}


def foreign_files(folder: Path, built: Mapping[str, str]) -> list[str]:
    """Names in ``folder`` that a build with these sums did not write, sorted."""
    ours = {*built, CERTIFICATE, SUMS, CARD, receipt.NAME}
    return sorted(entry.name for entry in folder.iterdir() if entry.name not in ours)


def _difference(path: Path, digest: str) -> str | None:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
            return f"{path.name} is no file"
        return None if sha256_of(path) == digest else f"{path.name} was changed"
    except FileNotFoundError:
        return f"{path.name} is missing"
    except OSError as error:
        return f"{path.name} cannot be read: {os_reason(error)}"
