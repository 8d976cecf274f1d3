from __future__ import annotations

import pytest

from kanjiprep.training import lambda_http
from kanjiprep.training.lambda_http import NoAnswerError, Pace, Question

KEY = "secret_kanji_0123456789"


class Time:
    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(round(seconds, 6))
        self.now += seconds


def test_requests_are_a_second_apart() -> None:
    time = Time()
    pace = Pace(1.0, lambda: time.now, time.pause)
    pace.wait()
    time.now += 0.25
    pace.wait()
    pace.wait()
    time.now += 5
    pace.wait()
    assert time.pauses == [0.75, 1.0]


def test_only_a_server_on_this_machine_is_asked_without_pauses() -> None:
    assert lambda_http._pace_of(lambda_http.ENDPOINT) is lambda_http.LAMBDAS_PACE
    assert lambda_http.LAMBDAS_PACE.least_s == 1.0
    assert lambda_http._pace_of("http://127.0.0.1:8080").least_s == 0.0


def test_a_question_does_not_show_its_key() -> None:
    assert KEY not in repr(Question(KEY, "/instances"))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_may_not_be_sent_is_not_sent(method: str) -> None:
    with pytest.raises(NoAnswerError, match="https only"):
        lambda_http.ask(Question(KEY, "/x", method, {}, endpoint="http://cloud.lambda.ai"))  # type: ignore[arg-type]
    with pytest.raises(NoAnswerError, match="no key has") as caught:
        lambda_http.ask(Question(f"{KEY}\n", "/x", method, {}))  # type: ignore[arg-type]
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"7", b"[" * 100_000, b'{"page_token": null}'])
def test_an_answer_without_data_is_told(body: bytes) -> None:
    with pytest.raises(NoAnswerError, match="another shape"):
        lambda_http.data_of(body)


def test_half_a_list_is_not_taken_for_a_whole_one() -> None:
    assert lambda_http.data_of(b'{"data": [1], "page_token": null}') == [1]
    with pytest.raises(NoAnswerError, match="first page"):
        lambda_http.data_of(b'{"data": [1], "page_token": "next"}')
