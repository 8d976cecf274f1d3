"""Two sources to a dataset folder: read, join, draw aside, rename."""

from __future__ import annotations

import gc
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kanjiprep import __version__, metadata
from kanjiprep.dataset import (
    caption,
    card,
    characters,
    drawing,
    folder,
    join,
    kanjidic,
    kanjivg,
    selection,
    sources,
    standing,
)
from kanjiprep.dataset.aside import Aside
from kanjiprep.dataset.folder import CaptionRecord, Certificate, Counts, SourceRecord
from kanjiprep.dataset.kanjivg import KanjiVG
from kanjiprep.dataset.raster import Style, refuse_impossible, renderer
from kanjiprep.dataset.selection import Selection
from kanjiprep.errors import InputError
from kanjiprep.paths import resolved
from kanjiprep.progress import Progress

EXAMPLES: Final = 8
"""How many samples the dataset card shows."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What is asked of a build.

    Attributes:
        out: The dataset folder.
        kanjidic: Path or address of KANJIDIC2, or None to look for it.
        kanjivg: Path or address of KanjiVG, or None to look for it.
        caption: Name or path of the caption template.
        style: How the pictures look.
        selection: Which kanji.
        workers: How many threads draw; the result does not depend on it.
        replace: Whether another build of ours in ``out`` may be replaced.
    """

    out: Path
    kanjidic: str | None = None
    kanjivg: str | None = None
    caption: str = "published"
    style: Style = Style()
    selection: Selection = Selection()
    workers: int = 1
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a build finds things on this machine: environment variables and the cache of downloads."""

    environ: Mapping[str, str]
    cache: Path


@dataclass(frozen=True, slots=True)
class Built:
    """What a build has done.

    Attributes:
        folder: The dataset folder.
        certificate: Its birth certificate.
        was_there: Whether it stood there finished and was only verified.
        resumed: How many pictures an earlier, broken-off build had left.
        kanjidic: Where KANJIDIC2 was found.
        kanjivg: Where KanjiVG was found.
    """

    folder: Path
    certificate: Certificate
    was_there: bool
    resumed: int
    kanjidic: sources.Found
    kanjivg: sources.Found


@dataclass(frozen=True, slots=True)
class _Sources:
    """Both sources as found and as read, unparsed."""

    kanjidic: sources.Found
    kanjivg: sources.Found
    dictionary: bytes
    drawings: KanjiVG


@dataclass(frozen=True, slots=True)
class _Job:
    """What is to be drawn and written, and no more: the parsed sources are gone before the first picture."""

    recipe: Certificate
    drawings: tuple[drawing.Drawing, ...]
    captions: tuple[str, ...]
    characters: tuple[characters.Character, ...]
    skipped: tuple[join.Skipped, ...]
    disagreements: tuple[folder.Disagreement, ...]
    variants: int


def build(request: BuildRequest, place: Place, progress: Progress) -> Built:
    """The dataset folder that ``request`` describes: built, or verified where it stands already.

    The folder appears whole or not at all. A build that was killed is taken up where it stopped.

    Raises:
        UsageError: For a style or caption template that cannot be used.
        InputError: For a source that cannot be found, read or trusted.
        DatasetError: If the folder cannot be written, is not ours to replace, or was changed.
    """
    out = resolved(request.out)
    refuse_impossible(request.style)
    template = caption.load(request.caption)
    read = _read(request, place, progress)
    recipe = _recipe(request, template, read)
    aside = Aside(out)
    aside.recover()
    there = standing.finished(out, recipe, request.replace, progress)
    if there is not None:
        return Built(out, there, True, 0, read.kanjidic, read.kanjivg)
    with _collector_paused():
        job = _job(request, recipe, template, read)
    with aside.opened(folder.certificate_json(recipe)):
        there = standing.finished(out, recipe, request.replace, progress)  # another build may have ended meanwhile
        if there is not None:
            aside.drop()
            return Built(out, there, True, 0, read.kanjidic, read.kanjivg)
        resumed = aside.journal()
        drawn = _draw(job, aside, resumed, request.workers, progress)
        certificate = _write(job, aside, drawn)
    return Built(out, certificate, False, len(resumed), read.kanjidic, read.kanjivg)


def verify(built: Built, count: int, workers: int, progress: Progress) -> int:
    """How many pictures, spread evenly over the dataset, were compared with CairoSVG's rendering.

    Raises:
        DatasetError: If a picture differs in one pixel.
    """
    drawings = sources.read_kanjivg(built.kanjivg)
    glyphs = kanjivg.parse(drawings)
    names = [name for name in folder.listed(built.folder) if name.endswith(".png")]
    step = max(1, len(names) // count)
    chosen = [(name, glyphs[ord(name[0])]) for name in names[::step][:count]]
    documents = [(name, kanjivg.document(drawings, glyph)) for name, glyph in chosen]
    done = 0
    for compared in drawing.compare_all(documents, built.folder, built.certificate.style, workers):
        done += compared
        progress("compare with CairoSVG", done, len(documents))
    return done


def _read(request: BuildRequest, place: Place, progress: Progress) -> _Sources:
    kanjidic, kanjivg = (
        sources.find(upstream, option, place.environ, place.cache, progress)
        for upstream, option in ((sources.KANJIDIC, request.kanjidic), (sources.KANJIVG, request.kanjivg))
    )
    return _Sources(kanjidic, kanjivg, sources.read_kanjidic(kanjidic), sources.read_kanjivg(kanjivg))


def _recipe(request: BuildRequest, template: caption.CaptionTemplate, read: _Sources) -> Certificate:
    version, date = kanjidic.parse_header(read.dictionary, str(read.kanjidic.path))
    return Certificate(
        tool=f"kanjiprep {__version__}",
        renderer=renderer(),
        sources={
            "kanjidic": SourceRecord(
                sources.KANJIDIC.name, version, date, hashlib.sha256(read.dictionary).hexdigest()
            ),
            "kanjivg": SourceRecord(sources.KANJIVG.name, read.kanjivg.version, "", read.drawings.sha256),
        },
        style=request.style,
        caption=CaptionRecord(template.name, template.source),
        selection=request.selection,
    )


def _job(request: BuildRequest, recipe: Certificate, template: caption.CaptionTemplate, read: _Sources) -> _Job:
    dictionary = kanjidic.parse(read.dictionary, str(read.kanjidic.path))
    selection.refuse_unknown(request.selection.literals, dictionary.entries, "--literals")
    joined = join.join(dictionary.entries, kanjivg.parse(read.drawings), request.selection)
    if not joined.samples:
        raise InputError("no kanji meets the selection and has both strokes and a meaning", remedy="ask for more")
    content = read.drawings.content
    return _Job(
        recipe=recipe,
        drawings=tuple(drawing.drawing_of(sample.glyph) for sample in joined.samples),
        captions=tuple(caption.caption(template, sample) for sample in joined.samples),
        characters=tuple(map(characters.of_sample, joined.samples)),
        skipped=joined.skipped,
        disagreements=folder.disagreements(joined.samples),
        variants=0 if isinstance(content, bytes) else content.variants,
    )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Parsing makes a million objects and no cycles; looking for some costs a fifth of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _draw(job: _Job, aside: Aside, resumed: Mapping[str, str], workers: int, progress: Progress) -> dict[str, str]:
    """Digest by name of every picture, in the samples' order."""
    waiting = [one for one in job.drawings if one.name not in resumed]
    done = dict(resumed)
    progress("draw", len(done), len(job.drawings))
    for run in drawing.draw_all(waiting, aside.path, job.recipe.style, workers):
        new = {drawn.name: drawn.sha256 for drawn in run}
        aside.note(new)
        done |= new
        progress("draw", len(done), len(job.drawings))
    return {one.name: done[one.name] for one in job.drawings}


def _write(job: _Job, aside: Aside, drawn: Mapping[str, str]) -> Certificate:
    """Write all but the pictures, and rename the folder into place."""
    tables = {
        metadata.NAME: metadata.to_csv(zip(drawn, job.captions, strict=True)),
        folder.SKIPPED: folder.skipped_csv(job.skipped),
        characters.NAME: characters.to_jsonl(job.characters),
    }
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in tables.items()}
    listed = folder.sums({**digests, **drawn})
    picture_bytes = sum((aside.path / name).stat().st_size for name in drawn)
    certificate = _completed(job, picture_bytes, hashlib.sha256(listed).hexdigest())
    files = {
        **tables,
        folder.SUMS: listed,
        folder.CARD: card.card(certificate, _examples(job)),
        folder.CERTIFICATE: folder.certificate_json(certificate),
    }
    for name, data in files.items():
        (aside.path / name).write_bytes(data)
    aside.finish(keep=frozenset((*files, *drawn)))
    return certificate


def _completed(job: _Job, picture_bytes: int, digest: str) -> Certificate:
    return replace(
        job.recipe,
        counts=Counts(
            samples=len(job.drawings),
            strokes=sum(len(one.paths) for one in job.drawings),
            picture_bytes=picture_bytes,
            skipped=len(job.skipped),
            variants=job.variants,
        ),
        skipped=dict(sorted(Counter(str(one.reason) for one in job.skipped).items())),
        disagreements=job.disagreements,
        digest=digest,
    )


def _examples(job: _Job) -> tuple[card.Example, ...]:
    step = max(1, len(job.drawings) // EXAMPLES)
    shown = list(zip(job.drawings, job.captions, strict=True))[::step][:EXAMPLES]
    return tuple(card.Example(one.name[0], one.name, text) for one, text in shown)
