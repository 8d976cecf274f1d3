"""Where the two sources are: option, environment, cache, installed package, or upstream."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from kanjiprep.dataset import kanjivg, raw
from kanjiprep.errors import InputError
from kanjiprep.paths import expanded
from kanjiprep.progress import Progress


@dataclass(frozen=True, slots=True)
class Upstream:
    """What is known of a source before it is found.

    Attributes:
        name: As its makers write it.
        option: The command line option that names it.
        variable: The environment variable that names it.
        url: Upstream's file.
        package: Words for the installed package that holds it.
    """

    name: str
    option: str
    variable: str
    url: str
    package: str

    @property
    def remedy(self) -> str:
        """What to do when it is nowhere."""
        return f"install {self.package}, or give {self.option} PATH"


@dataclass(frozen=True, slots=True)
class Found:
    """A source that was found.

    Attributes:
        path: A file or folder.
        how: ``option``, ``environment``, ``cache``, ``package`` or ``download``.
        version: What the package says of its version; empty elsewhere.
    """

    path: Path
    how: str
    version: str = ""


KANJIDIC: Final = Upstream(
    "KANJIDIC2",
    "--kanjidic",
    "KANJIPREP_KANJIDIC",
    "https://www.edrdg.org/kanjidic/kanjidic2.xml.gz",
    "Debian's kanjidic-xml",
)
KANJIVG: Final = Upstream(
    "KanjiVG",
    "--kanjivg",
    "KANJIPREP_KANJIVG",
    "https://github.com/KanjiVG/kanjivg/releases/download/r20250816/kanjivg-20250816-main.zip",
    "PyPI's kanjivg",
)
DEBIAN_KANJIDIC: Final = Path("/usr/share/edict/kanjidic2.xml.gz")


def cache_folder() -> Path:
    """Where downloads are kept, honouring ``XDG_CACHE_HOME``."""
    return Path(platformdirs.user_cache_dir("kanjiprep")) / "sources"


def find(
    upstream: Upstream,
    option: str | None,
    environ: Mapping[str, str],
    cache: Path,
    progress: Progress,
    installed: Callable[[Upstream], Found | None] | None = None,
) -> Found:
    """The source, from the first of the five places that has it.

    Args:
        upstream: Which of the two.
        option: A path or web address that the user gave, or None.
        environ: The environment.
        cache: The folder of earlier downloads.
        progress: Hears a download, should one be needed.
        installed: How to look for a package; None for ``find_installed``.

    Raises:
        InputError: If a given path does not exist, or nothing was found and the download failed.
    """
    for how, given in (("option", option), ("environment", environ.get(upstream.variable))):
        if given == "" and how == "option":
            raise InputError(f"{upstream.option} is empty", remedy="give a path or leave the option out")
        if given:
            return Found(_given(given, upstream, how, cache, progress), how)
    cached = cache / upstream.url.rsplit("/", 1)[-1]
    if os.access(cached, os.R_OK):
        return Found(cached, "cache")
    if package := (installed or find_installed)(upstream):
        return package
    return Found(_download(upstream.url, cached, upstream, progress), "download")


def read_kanjidic(found: Found) -> bytes:
    """KANJIDIC2's document, gunzipped.

    Raises:
        InputError: If it cannot be read whole.
    """
    return raw.read_document(found.path)


def read_kanjivg(found: Found) -> kanjivg.KanjiVG:
    """KanjiVG's files or document, with their digest.

    Raises:
        InputError: If it cannot be read whole.
    """
    is_collection = raw.is_glyph_collection(found.path)
    content = raw.read_glyph_files(found.path) if is_collection else raw.read_document(found.path)
    return kanjivg.KanjiVG(str(found.path), kanjivg.digest(content), content)


def _given(given: str, upstream: Upstream, how: str, cache: Path, progress: Progress) -> Path:
    if "://" in given:
        # In a folder of its own, so that it never stands in for upstream's.
        digest = hashlib.sha256(given.encode()).hexdigest()[:16]
        return _download(
            given, cache / digest / given.split("?", maxsplit=1)[0].rsplit("/", 1)[-1], upstream, progress
        )
    path = expanded(Path(given))
    if not os.path.lexists(path):
        place = upstream.option if how == "option" else upstream.variable
        raise InputError(f"{place} names a file that does not exist", str(path), "check the path")
    return path


def _download(url: str, target: Path, upstream: Upstream, progress: Progress) -> Path:
    from kanjiprep.dataset.download import download  # with the web's whole library behind it

    return download(url, target, upstream.remedy, progress)


def find_installed(upstream: Upstream) -> Found | None:
    """The source inside an installed package: Debian's kanjidic-xml, PyPI's kanjivg; None where there is none."""
    if upstream is KANJIDIC:
        return Found(DEBIAN_KANJIDIC, "package") if DEBIAN_KANJIDIC.is_file() else None
    import importlib.metadata

    try:
        package = importlib.metadata.distribution("kanjivg")
    except importlib.metadata.PackageNotFoundError:
        return None
    folder = Path(str(package.locate_file("kanji")))
    return Found(folder, "package", package.version) if folder.is_dir() else None
