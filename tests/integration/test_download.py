"""Downloads from a real HTTP server on loopback, which fails in every way that servers fail."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from kanjiprep.dataset import download as downloading
from kanjiprep.dataset import sources as finding
from kanjiprep.errors import InputError
from kanjiprep.progress import silent
from tests import sources

GOOD = gzip.compress(sources.kanjidic(*sources.ENTRIES))


class Upstream(BaseHTTPRequestHandler):
    agents: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.agents.append(self.headers["User-Agent"])
        name = self.path.strip("/")
        if name == "error":
            self.send_error(503, "Busy")
            return
        body = b"<!doctype html><p>Please log in" if name == "page" else GOOD
        self.send_response(200)
        if name != "unsized":
            self.send_header("Content-Length", str(len(body) + (1000 if name == "short" else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["kanjidic2.xml.gz", "unsized"])
def test_a_download_is_kept_with_its_digest_and_heard(server: str, tmp_path: Path, name: str) -> None:
    heard: list[tuple[str, int, int | None]] = []
    target = tmp_path / "cache" / "kanjidic2.xml.gz"
    downloading.download(f"{server}/{name}", target, "do that", lambda *state: heard.append(state))
    assert target.read_bytes() == GOOD
    noted = (target.parent / "kanjidic2.xml.gz.sha256").read_text().split()
    assert (len(noted[0]), noted[1]) == (64, "kanjidic2.xml.gz")
    assert heard[-1] == ("download kanjidic2.xml.gz", len(GOOD), None if name == "unsized" else len(GOOD))
    assert Upstream.agents[-1].startswith("kanjiprep/")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("error", "error: could not be downloaded: HTTP 503 Busy; do that"),
        ("short", f"short: could not be downloaded: stopped after {len(GOOD):,} of {len(GOOD) + 1000:,} bytes"),
        ("page", "page: sent neither gzip, zip nor XML"),
    ],
)
def test_a_download_that_fails_leaves_nothing(server: str, tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        downloading.download(f"{server}/{name}", tmp_path / "x.gz", "do that", silent)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="could not be downloaded: .*refused"):
        downloading.download("http://127.0.0.1:9/x.gz", tmp_path / "x.gz", "do that", silent)


def test_secrets_in_an_address_are_not_repeated(tmp_path: Path) -> None:
    address = "http://me:hunter2@127.0.0.1:9/x.gz?token=hunter2"
    with pytest.raises(InputError, match="^http://127.0.0.1:9/x.gz: could not be downloaded") as caught:
        finding.find(finding.KANJIDIC, address, {}, tmp_path, silent)
    assert "hunter2" not in str(caught.value)


def test_a_flood_is_cut_off(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "MAX_DOCUMENT_BYTES", 10)
    with pytest.raises(InputError, match="sends more than 0 MiB"):
        downloading.download(f"{server}/x.gz", tmp_path / "x.gz", "do that", silent)


def test_a_cache_that_cannot_be_written_is_told(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written: file exists; do that"):
        downloading.download(f"{server}/x.gz", tmp_path / "file" / "x.gz", "do that", silent)


def test_a_source_may_be_given_as_an_address(server: str, tmp_path: Path) -> None:
    found = finding.find(finding.KANJIDIC, f"{server}/my.xml.gz", {}, tmp_path, silent)
    assert (found.path.name, found.how) == ("my.xml.gz", "option")
    assert found.path.parent.parent == tmp_path, "apart from what upstream gives"
    assert finding.find(finding.KANJIDIC, server.upper() + "/my.xml.gz", {}, tmp_path, silent).path != found.path
    assert finding.read_kanjidic(found) == sources.kanjidic(*sources.ENTRIES)


def test_what_is_nowhere_is_downloaded_into_the_cache(server: str, tmp_path: Path) -> None:
    elsewhere = finding.Upstream("X", "--x", "X", f"{server}/x.xml.gz", "x")
    uninstalled = finding.find(elsewhere, None, {}, tmp_path, silent, installed=lambda _: None)
    assert uninstalled == finding.Found(tmp_path / "x.xml.gz", "download")
    again = finding.find(elsewhere, None, {}, tmp_path, silent, installed=lambda _: None)
    assert again.how == "cache"
