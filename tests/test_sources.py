import gzip
import os
from pathlib import Path

import pytest

from kanjiprep.dataset import sources as finding
from kanjiprep.errors import InputError
from kanjiprep.progress import silent
from tests import sources


def find(upstream: finding.Upstream, option: str | None, environ: dict[str, str], cache: Path) -> finding.Found:
    return finding.find(upstream, option, environ, cache, silent)


def test_the_option_comes_before_the_environment_before_the_cache(tmp_path: Path) -> None:
    given, named = sources.write_kanjidic(tmp_path / "a"), sources.write_kanjidic(tmp_path / "b")
    cached = sources.write_kanjidic(tmp_path / "kanjidic2.xml.gz")
    environ = {"KANJIPREP_KANJIDIC": str(named)}
    assert find(finding.KANJIDIC, str(given), environ, tmp_path) == finding.Found(given, "option")
    assert find(finding.KANJIDIC, None, environ, tmp_path) == finding.Found(named, "environment")
    assert find(finding.KANJIDIC, None, {}, tmp_path) == finding.Found(cached, "cache")


def test_an_installed_package_is_found_with_its_version(tmp_path: Path) -> None:
    found = find(finding.KANJIVG, None, {}, tmp_path)
    assert found.how == "package"
    assert found.version.isdigit()
    assert (found.path / "04e00.svg").is_file()


def test_debians_dictionary_is_found(tmp_path: Path) -> None:
    assert find(finding.KANJIDIC, None, {}, tmp_path) == finding.Found(finding.DEBIAN_KANJIDIC, "package")


@pytest.mark.parametrize(
    ("option", "environ", "says"),
    [
        ("", {}, "--kanjidic is empty; give a path or leave the option out"),
        ("http://[bad/x", {}, "http://.bad/x: could not be downloaded: Invalid IPv6 URL"),
        ("gone.xml", {}, "gone.xml: --kanjidic names a file that does not exist"),
        (None, {"KANJIPREP_KANJIDIC": "gone.xml"}, "KANJIPREP_KANJIDIC names a file that does not exist"),
        (
            "ftp://x/y.gz",
            {},
            "only http and https are fetched; install Debian's kanjidic-xml, or give --kanjidic PATH",
        ),
    ],
)
def test_a_source_that_is_named_and_not_there_is_an_error(
    tmp_path: Path, option: str | None, environ: dict[str, str], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        find(finding.KANJIDIC, option, environ, tmp_path)


def test_kanjivg_is_read_from_a_folder_a_zip_and_the_single_file(tmp_path: Path) -> None:
    folder = finding.read_kanjivg(finding.Found(sources.write_kanjivg(tmp_path / "k"), "option"))
    zipped = finding.read_kanjivg(finding.Found(sources.write_zip(tmp_path / "k.zip"), "option"))
    single = finding.read_kanjivg(
        finding.Found(sources.write_kanjidic(tmp_path / "k.xml.gz", sources.single_xml()), "option")
    )
    assert folder.sha256 == zipped.sha256
    assert single.content == sources.single_xml()


def test_a_pipe_is_read(tmp_path: Path) -> None:
    ends = os.pipe()
    os.write(ends[1], gzip.compress(sources.kanjidic(*sources.ENTRIES)))
    os.close(ends[1])
    found = find(finding.KANJIDIC, f"/dev/fd/{ends[0]}", {}, tmp_path)
    assert finding.read_kanjidic(found) == sources.kanjidic(*sources.ENTRIES)
    os.close(ends[0])


def test_the_cache_is_the_users() -> None:
    assert finding.cache_folder().parts[-2:] == ("kanjiprep", "sources")
