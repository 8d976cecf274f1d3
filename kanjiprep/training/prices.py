"""Lambda's prices of this minute, if there is a key: one read-only question, and never an exception."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kanjiprep.training import lambda_http
from kanjiprep.training.lambda_http import NoAnswerError, Question
from kanjiprep.training.provenance import Figure, exact

ENDPOINT: Final = lambda_http.ENDPOINT
TIMEOUT_S: Final = lambda_http.TIMEOUT_S
PATH: Final = "/instance-types"

_MOST_CENTS = 10**8


@dataclass(frozen=True, slots=True)
class LivePrice:
    """What one instance type costs now.

    Attributes:
        name: Lambda's name.
        usd_per_hour: Of the whole machine.
        regions: Where there is one to be had now; perhaps nowhere.
    """

    name: str
    usd_per_hour: float
    regions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prices:
    """Every instance type by name, and when that was so (ISO, UTC)."""

    read_at: str
    by_name: Mapping[str, LivePrice]


@dataclass(frozen=True, slots=True)
class NoPrices:
    """Why there is no live price; the plan goes on with the table's."""

    reason: str


def fetch(
    key: str,
    endpoint: str = ENDPOINT,
    *,
    timeout_s: float = TIMEOUT_S,
    pause: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Prices | NoPrices:
    """Lambda's prices, or why not. Busy or broken servers are asked up to three times, a second or more apart.

    Args:
        key: A Lambda API key. It goes nowhere but to ``endpoint``, and into no message.
        endpoint: The server: https, or http on this machine.
        timeout_s: Longest silence that is waited for, and longest answer.
        pause: Sleeps; another for tests.
        now: The clock; another for tests.
    """
    try:
        body = lambda_http.ask(Question(key, PATH, endpoint=endpoint, timeout_s=timeout_s), pause=pause, now=now)
        return Prices(now().isoformat(timespec="seconds"), read(body))
    except NoAnswerError as problem:
        return NoPrices(problem.reason)


def live_price(prices: Prices, name: str) -> Figure | None:
    """What the instance type ``name`` costs an hour now; None if Lambda no longer has it."""
    if name not in prices.by_name:
        return None
    source = f"Lambda's API, read {prices.read_at}"
    return exact(prices.by_name[name].usd_per_hour, "USD/h", "published", source)


def read(body: bytes) -> dict[str, LivePrice]:
    """Lambda's instance types by name, from the bytes of its answer.

    Raises:
        NoAnswerError: If it has another shape.
    """
    try:
        return {str(name): _price(str(name), entry) for name, entry in lambda_http.data_of(body).items()}
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
        raise NoAnswerError(lambda_http.OTHER_SHAPE) from None


def usd_per_hour(about: Any) -> float:
    """The price in an ``instance_type`` of Lambda's.

    Raises:
        ValueError: If it is none that a machine can have.
    """
    cents = int(about["price_cents_per_hour"])
    if not 0 < cents < _MOST_CENTS:
        raise ValueError(cents)
    return cents / 100


def _price(name: str, entry: Any) -> LivePrice:
    return LivePrice(
        name=name,
        usd_per_hour=usd_per_hour(entry["instance_type"]),
        regions=tuple(str(region["name"]) for region in entry["regions_with_capacity_available"]),
    )
