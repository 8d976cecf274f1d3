"""What renting needs of this machine: Lambda's key, SkyPilot as it was set up, and the list of what is rented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.errors import RemoteError
from kanjiprep.training import lambda_http, prices
from kanjiprep.training.lambda_http import NoAnswerError, Question
from kanjiprep.training.remote import skypilot
from kanjiprep.training.remote.cloud import api, ledger
from kanjiprep.training.remote.returning import Shop
from kanjiprep.training.remote.sky import home, setup
from kanjiprep.training.remote.sky.answers import Launched
from kanjiprep.training.remote.sky.task import Task
from kanjiprep.training.remote.skypilot import SkyPilot

ENDPOINT_VARIABLE: Final = "KANJIPREP_LAMBDA_ENDPOINT"
_SWITCH_ENDPOINT: Final = "https://cloud.lambdalabs.com"
"""Lambda's older host, which SkyPilot 0.14.1 asks from a rented machine to give itself back."""


def switch_problem(environ: Mapping[str, str], ask: Callable[[Question], bytes] = lambda_http.ask) -> str:
    """Why a rented machine could not give itself back, as far as that shows from here; empty if it could.

    Args:
        environ: Holds the key.
        ask: Puts the question; another for tests.

    Raises:
        UsageError: If there is no key.
    """
    endpoint = environ.get(ENDPOINT_VARIABLE) or _SWITCH_ENDPOINT
    try:
        ask(Question(home.checked_key(environ), prices.PATH, endpoint=endpoint))
    except NoAnswerError as problem:
        return f"{endpoint}, which it would ask, does not answer as it should: {problem.reason}"
    return ""


@dataclass(frozen=True, slots=True)
class Missing:
    """In the place of a SkyPilot that is not set up: rents nothing, and what is rented we end ourselves.

    Attributes:
        problem: Why it is not there.
    """

    problem: RemoteError

    def launch(self, task: Task) -> Launched:  # noqa: ARG002
        """Rent nothing.

        Raises:
            RemoteError: Always.
        """
        raise self.problem

    def arm(self, name: str) -> None:  # noqa: ARG002
        """Nothing is there to be armed.

        Raises:
            RemoteError: Always.
        """
        raise self.problem

    def cut_off(self, name: str) -> bool:
        """End a launch of that name by a SkyPilot that is no longer set up; whether there was one."""
        return skypilot.cut_off(name)

    def down(self, name: str) -> bool:  # noqa: ARG002
        """Nothing is known.

        Raises:
            RemoteError: Always.
        """
        raise self.problem


def open_shop(environ: Mapping[str, str], folder: Path | None = None, *, to_rent: bool) -> Shop:
    """The shop of this user.

    Args:
        environ: Holds the key.
        folder: Of the list of what is rented; the user's own by default.
        to_rent: Whether SkyPilot is needed; to give back it is not.

    Raises:
        UsageError: If there is no key.
        RemoteError: If SkyPilot is needed and not set up.
    """
    key = home.checked_key(environ)
    endpoint = environ.get(ENDPOINT_VARIABLE) or prices.ENDPOINT
    cloud = api.Lambda(key, endpoint)
    place = ledger.default_folder() if folder is None else folder
    try:
        engine = setup.find(home.managed_folder(environ), endpoint)
    except RemoteError as problem:
        if to_rent:
            raise
        return Shop(cloud, Missing(problem), place)
    return Shop(cloud, SkyPilot(engine), place)
