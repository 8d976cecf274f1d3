"""Readers of a preset, of a run folder, and of what is rented."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kanjiprep.errors import RemoteError, TrainerError, UsageError
from kanjiprep.evaluation import score_table
from kanjiprep.evaluation.weights import norm_cache
from kanjiprep.training import configs, presets, prices, prompts, run_folder
from kanjiprep.training.lambda_http import NoAnswerError, Pace, Question
from kanjiprep.training.remote import holdings
from kanjiprep.training.remote.cloud import ledger
from kanjiprep.training.remote.cloud.api import Lambda
from kanjiprep.training.run_spec import RunSpec
from kanjiprep.training.running import (
    ending,
    files,
    run_source,
    trainer_lines,
    trainer_log,
    trainer_reason,
    view_text,
)
from kanjiprep.training.running.looking import Window
from kanjiprep.training.running.observe import Observer
from kanjiprep.training.running.run_state import Fold
from tests.fuzz import seeds
from tests.fuzz.judge import Reader
from tests.fuzz.target import Target, of_file

_NOW: Final = datetime(2026, 11, 27, tzinfo=UTC)


def _preset(path: Path) -> None:
    found = presets.load(str(path))
    path.write_bytes(presets.to_toml(found.resolved_spec()))
    assert isinstance(presets.load(str(path)).spec, RunSpec), "what was written is read"


def _library(path: Path) -> None:
    prompts.library(str(path), path.parent)


def _style(path: Path) -> None:
    prompts.style(str(path), path.parent).composed("kanji")


def _in_run(name: str, *reads: Callable[[Path], object]) -> Callable[[Path], Reader]:
    """A reader of the file ``name`` of a run folder that is whole but for it."""

    def make(folder: Path) -> Reader:
        run = seeds.run_folder(folder)

        def take(data: bytes) -> None:
            (run / name).write_bytes(data)
            for read in reads:
                read(run)

        return take

    return make


def _looked_at(run: Path) -> None:
    window = Window(run, tuple)
    for _ in range(2):
        assert "\n" not in "".join(view_text.lines(window.look()))


def _record(run: Path) -> None:
    run_source.recorded(run)
    run_source.state(run)


def _observed(run: Path) -> None:
    fold = Fold()
    attempt = run_source.state(run).attempt
    assert attempt is not None
    observer = Observer(run, attempt, fold.state())
    observer.look()
    observer.look()


def _environment(run: Path) -> None:
    run_source.environment(run)


def _config(run: Path) -> None:
    run_folder.earlier(run)
    files.home(run, "output")


def _stop(run: Path) -> None:
    files.take_stop(run)


def _signal(run: Path) -> None:
    ending._ask_for_checkpoint(run / files.SIGNAL)


def _log(_: Path) -> Reader:
    def take(data: bytes) -> None:
        whole, parted = trainer_log.Reader(), trainer_log.Reader()
        whole.feed(data)
        for start in range(0, len(data), 7):
            parted.feed(data[start : start + 7])
        assert whole.seen == parted.seen, "another stage, cut otherwise"
        text = data.decode("utf-8", "replace")
        reason = trainer_reason.reason(text)
        assert "\n" not in reason
        assert not any("\x1b" in line for line in (*trainer_lines.last_lines(text, 8), reason))

    return take


def _scores(path: Path) -> None:
    score_table.read(path.parents[1])


def _rentals(path: Path) -> None:
    book = ledger.read(path.parent)
    for rental in book.rentals:
        assert rental.ends_at >= rental.asked_at
        assert rental.cost_so_far_usd(_NOW) >= 0
    assert "\n" not in (holdings.reminder(path.parent, _NOW) or "")


def _answers(_: Path) -> Reader:
    def take(data: bytes) -> None:
        def say(question: Question, *, pause: Callable[[float], None], pace: Pace | None) -> bytes:
            return data

        cloud = Lambda("key", ask=say)
        told: list[RemoteError] = []
        for read in (cloud.types, cloud.instances, lambda: cloud.instance("a"), lambda: cloud.terminate(["a"])):
            try:
                read()
            except RemoteError as error:
                told.append(error)
        prices.read(data)
        if told:
            raise told[0]

    return take


TARGETS: Final = (
    Target("preset", of_file("run.toml", _preset), seeds.presets, (UsageError,)),
    Target("prompts", of_file("library.toml", _library), seeds.libraries, (UsageError,)),
    Target("style", of_file("style.toml", _style), seeds.styles, (UsageError,)),
    Target("events", _in_run(files.EVENTS, _record, _looked_at), seeds.events, (TrainerError,), "lines"),
    Target("state", _in_run(files.STATE, _looked_at), seeds.states, (TrainerError,), "json"),
    Target("launch", _in_run(files.ORDER, _looked_at), seeds.orders, (TrainerError,), "json"),
    Target(
        "metrics",
        _in_run(f"output/{files.METRICS}", _observed, _looked_at),
        seeds.metrics,
        (TrainerError,),
        "lines",
    ),
    Target("trainer-log", _log, seeds.logs, ()),
    Target("environment", _in_run(files.ENVIRONMENT, _environment), seeds.environments, (TrainerError,), "json"),
    Target(
        "run-prompts",
        _in_run(f"{run_folder.CONFIG}/{configs.PROMPTS}", run_source.prompts),
        seeds.run_prompts,
        (TrainerError,),
        "json",
    ),
    Target(
        "run-captions",
        _in_run(f"{run_folder.CONFIG}/{configs.CAPTIONS}", run_source.first_caption),
        seeds.run_captions,
        (TrainerError,),
        "lines",
    ),
    Target("run-config", _in_run(f"{run_folder.CONFIG}/config.json", _config), seeds.run_configs, (), "json"),
    Target("stop", _in_run(files.STOP, _stop), seeds.stops, (), "json"),
    Target("signal", _in_run(files.SIGNAL, _signal), seeds.signals, (), "json"),
    Target("scores", of_file("report/scores.csv", _scores), seeds.scores, (TrainerError,)),
    Target("norms", of_file("norms.json", norm_cache.read), seeds.norms, (), "json"),
    Target("ledger", of_file(ledger.FILE, _rentals), seeds.ledgers, (RemoteError,), "lines"),
    Target("lambda", _answers, seeds.answers, (RemoteError, NoAnswerError), "json"),
)
