from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from huggingface_hub import errors

from kanjiprep.publishing.hub import fault, words
from kanjiprep.publishing.hub.fault import Fault
from tests.fake_hub import FakeHub


def http_error(status: int, cls: Any = errors.HfHubHTTPError, message: str = "No.", **headers: str) -> Any:
    error = cls.__new__(cls)
    Exception.__init__(error, f"{status} Client Error for url: https://hub.test")
    error.response = SimpleNamespace(status_code=status, headers=headers)
    error.server_message, error.request_id = message, "Root=1"
    return error


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "refused"),
        (401, "unauthorized"),
        (402, "payment"),
        (403, "forbidden"),
        (404, "missing"),
        (408, "network"),
        (409, "conflict"),
        (412, "conflict"),
        (413, "too large"),
        (429, "busy"),
        (500, "server"),
        (503, "server"),
    ],
)
def test_a_status_has_a_kind(status: int, kind: str) -> None:
    found = fault.describe(http_error(status))
    assert (found.kind, found.status, found.what, found.request_id) == (kind, status, "No.", "Root=1")


@pytest.mark.parametrize(
    ("cls", "status", "kind"),
    [
        (errors.RepositoryNotFoundError, 404, "missing"),
        (errors.RepositoryNotFoundError, 401, "unauthorized"),
        (errors.RevisionNotFoundError, 404, "missing revision"),
        (errors.GatedRepoError, 403, "gated"),
    ],
)
def test_what_the_client_knows_better_than_the_status(cls: Any, status: int, kind: str) -> None:
    assert fault.describe(http_error(status, cls)).kind == kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.LocalTokenNotFoundError("none"), "no token"),
        (errors.OfflineModeIsEnabled("offline"), "offline"),
        (ConnectionError("Network error: 404 Not Found …/xet-write-token/main"), "no xet"),
        (ConnectionError("Network error: status: 403 for url"), "forbidden"),
        (ConnectionError("Network error: HTTP 503"), "server"),
        (ConnectionError("refused"), "network"),
        (PermissionError("denied"), "forbidden"),
        (TimeoutError(), "network"),
        (errors.HfHubHTTPError.__bases__[0]("closed"), "network"),
        (json.JSONDecodeError("Expecting value", "<html>", 0), "no hub"),
        (ValueError("Invalid metadata in README.md"), "invalid"),
        (RuntimeError("panic"), "broken"),
        (KeyError("name"), "broken"),
    ],
)
def test_an_error_without_a_reply_has_a_kind(error: BaseException, kind: str) -> None:
    assert fault.describe(error).kind == kind


def test_an_error_while_uploading_is_what_caused_it() -> None:
    error = RuntimeError("Error while uploading 'x'")
    error.__cause__ = http_error(403)
    assert fault.describe(error).kind == "forbidden"


def test_words_of_a_server_are_kept_to_one_line() -> None:
    found = fault.describe(http_error(500, message="a\n  b\n" + "x" * 900))
    assert found.what.startswith("a b xxx")
    assert len(found.what) < 310


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "55"}, 55),
        ({"RateLimit": '"api";r=0;t=12'}, 12),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({}, None),
    ],
)
def test_a_server_says_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert fault.retry_after_s(headers) == seconds


@pytest.mark.parametrize("kind", get_args(fault.Kind))
def test_every_kind_has_words_and_a_remedy(kind: Any) -> None:
    error = words.told(Fault(kind, "This and that.", 418, 3, "Root=1"), "me/kanji", FakeHub(), "All is well")
    assert error.exit_code == 5
    assert error.remedy
    assert str(error).startswith("me/kanji: ")
    assert ". All is well; " in str(error)
    assert "{" not in str(error)


def test_a_better_remedy_takes_the_place_of_the_usual_one() -> None:
    error = words.told(Fault("server", "Oops.", 500, None, "Root=1"), "x", FakeHub(), remedy="dance")
    assert str(error) == "x: the Hub has trouble (500): Oops, request Root=1; dance"
