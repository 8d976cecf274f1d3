"""Lets SimpleTuner's own parser judge rendered files. Runs under the trainer's Python.

Reads ``{"config": {...}, "backends": [...]}`` from stdin and writes one JSON document into the file that
the only argument names, because the trainer's libraries talk on stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import difflib
import importlib.metadata
import importlib.util
import io
import json
import re
import runpy
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

_HARMLESS: Final = {"model_family": "sd3", "model_type": "lora", "optimizer": "adamw_bf16"}
"""What stands in for a required key that is missing or wrong, so that the rest can be judged."""


class Problem(NamedTuple):
    """One thing that the trainer would refuse, or silently read otherwise."""

    kind: str
    key: str
    text: str


class Desk:
    """SimpleTuner's parser, and what is known of it.

    Attributes:
        known: Option by each way to write it, with dashes.
        defaults: Default by option.
    """

    def __init__(self) -> None:
        from simpletuner.helpers.configuration import cmd_args, json_file

        self._parser = cmd_args.get_argument_parser()
        self._parse_whole = cmd_args.parse_cmdline_args
        self._normalize = json_file.normalize_args
        actions = self._parser._actions
        self.known = {text: action.dest for action in actions for text in action.option_strings}
        self.defaults = {action.dest: action.default for action in actions}
        self.required = {action.dest: action for action in actions if action.required}

    def lines(self, config: Mapping[str, object]) -> list[str]:
        """``config`` as the command line that SimpleTuner makes of it."""
        return list(self._normalize(dict(config)))

    def stand_ins(self, without: Iterable[str] = ()) -> list[str]:
        """A harmless value for each required option but ``without``."""
        return [
            f"{action.option_strings[0]}={_harmless(action)}"
            for dest, action in self.required.items()
            if dest not in without
        ]

    def parse(self, lines: Sequence[str]) -> tuple[Any, list[str], str]:
        """Namespace or None, lines that belong to no option, and what is wrong."""
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                namespace, rest = self._parser.parse_known_args(list(lines))
        except (argparse.ArgumentError, argparse.ArgumentTypeError, ValueError, TypeError) as error:
            return None, [], _one_line(str(error))
        except SystemExit:
            return None, [], _one_line(said.getvalue().rpartition("error: ")[2])
        return namespace, rest, ""

    def parse_what_fits(self, lines: Sequence[str]) -> Any:
        """The namespace of all ``lines`` that the parser takes, without cross checks."""
        fitting = [line for line in lines if not any(self.parse([*self.stand_ins(), line])[1:])]
        return self.parse([*self.stand_ins(), *fitting])[0]

    def parse_whole(self, lines: Sequence[str]) -> tuple[Any, str]:
        """Namespace or None after SimpleTuner's cross checks, and what is wrong."""
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                return self._parse_whole(list(lines), exit_on_error=True), ""
        except SystemExit:
            return None, _one_line(said.getvalue().rpartition("error: ")[2])
        except Exception as error:  # noqa: BLE001 - whatever it raises is its judgement
            text = str(error) or type(error).__name__
            return None, _one_line(text.splitlines()[-1] if text.startswith("Could not parse") else text)


def _harmless(action: argparse.Action) -> str:
    choices = [str(choice) for choice in action.choices or ()]
    wanted = _HARMLESS.get(action.dest, "x")
    return wanted if wanted in choices or not choices else choices[0]


def _one_line(text: str) -> str:
    return " ".join(re.sub(r"^argument [^:]+: ", "", text.strip()).split())


# One key at a time -------------------------------------------------------------------------------------------------


def judge_keys(desk: Desk, config: Mapping[str, object]) -> Iterator[Problem]:
    """What is wrong with each key by itself, and keys that stand twice or not at all."""
    seen: Counter[str] = Counter()
    for key, value in config.items():
        lines = desk.lines({key: value})
        option = lines[0].partition("=")[0] if lines else f"--{key.lstrip('-')}"
        seen[desk.known.get(option, option)] += 1
        yield from _judge_line(desk, key, value, lines) if lines else _judge_silence(desk, key, value, option)
    yield from (
        Problem("twice", dest, f"is written {count} times; the last one counts")
        for dest, count in seen.items()
        if count > 1
    )
    yield from (Problem("missing", dest, "is required by the trainer") for dest in desk.required if dest not in seen)


def _judge_silence(desk: Desk, key: str, value: object, option: str) -> Iterator[Problem]:
    """What is wrong with a key of which nothing arrives."""
    default = desk.defaults.get(desk.known.get(option, ""))
    stays = f"the default {default!r} stays"
    if option not in desk.known:
        yield Problem("ignored", key, "is silently passed over by the trainer")
    elif isinstance(value, str) and value.strip().lower() == "false":
        yield Problem("dropped", key, f"the text {value!r} is dropped and {stays}; write false without quotes")
    elif isinstance(value, Mapping):
        yield Problem("dropped", key, f"a table is dropped here and {stays}; write it as a text")
    elif value is not None and default not in (None, "", False):
        yield Problem("dropped", key, f"an empty value is dropped and {stays}")


def _judge_line(desk: Desk, key: str, value: object, lines: Sequence[str]) -> Iterator[Problem]:
    """What is wrong with a key that arrives as ``lines``."""
    option = lines[0].partition("=")[0]
    namespace, rest, fault = desk.parse([*desk.stand_ins(), *lines])
    if (fault or rest) and not desk.parse_whole([*desk.stand_ins(), *lines])[1]:
        return  # an old spelling that SimpleTuner translates before it parses
    if rest or (fault and option not in desk.known):
        yield Problem("unknown", key, f"is no option of the trainer{_guess(key, desk.known.values())}")
    elif fault:
        yield Problem("value", key, fault + _lacks(value))
    elif option not in desk.known:
        meant = [text for text in desk.known if text.startswith(option)]
        yield Problem("abbreviation", key, f"is taken for {meant[0].lstrip('-')}; write it out")
    elif isinstance(value, list | tuple) and not _survives(value, lines):
        becomes = getattr(namespace, desk.known[option])
        written = json.dumps(value, ensure_ascii=False)
        yield Problem("collapsed", key, f"the list becomes {becomes!r}; write it as the text {written!r}")


def _lacks(value: object) -> str:
    """What this environment lacks for ``value``: bitsandbytes comes with the CUDA extras alone."""
    is_missing = str(value).startswith("bnb-") and importlib.util.find_spec("bitsandbytes") is None
    return "; it needs bitsandbytes, which a trainer for the CPU lacks: check where the GPU is" if is_missing else ""


def _survives(items: Sequence[object], lines: Sequence[str]) -> bool:
    """Whether a list arrives whole, as JSON or joined by commas."""
    option, _, text = lines[-1].partition("=")
    if len(lines) == 1 and (option == "--report_to" or text == json.dumps(items)):
        return True
    return len(lines) == 1 and len(items) > 1 and text == ",".join(map(str, items))


def _guess(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word.lstrip("-"), sorted(set(known)), n=1, cutoff=0.75)
    return f", did you mean {near[0]!r}?" if near else ""


# The whole ---------------------------------------------------------------------------------------------------------


def judge_whole(desk: Desk, config: Mapping[str, object], bad: frozenset[str]) -> tuple[Any, list[Problem]]:
    """The namespace that arrives without the ``bad`` keys, and what contradicts what."""
    good = {key: value for key, value in config.items() if key not in bad}
    lines = desk.lines(good)
    given = {desk.known.get(line.partition("=")[0], "") for line in lines}
    lines += desk.stand_ins(given)
    namespace, fault = desk.parse_whole(lines)
    if namespace is None:
        namespace = desk.parse_what_fits(lines)
    absent = [key.lstrip("-") for key in bad] + [dest for dest in desk.required if dest not in given]
    if not fault or any(_names(fault, key) for key in absent):
        return namespace, []  # nothing wrong, or a consequence of what is already told
    return namespace, [Problem("contradiction", next((key for key in good if _names(fault, key)), ""), fault)]


def _names(text: str, key: str) -> bool:
    return re.search(rf"(?<![A-Za-z_]){re.escape(key.lstrip('-'))}(?![A-Za-z_])", text) is not None


def _judge_flavour(family: str, flavour: object) -> Iterator[Problem]:
    """Whether the flavour is one of its family, which the parser does not look at."""
    from simpletuner.helpers.models.registry import ModelRegistry

    model = ModelRegistry.get(family)
    known = list(model.get_flavour_choices()) if model is not None else []
    if flavour and known and flavour not in known:
        yield Problem("flavour", "model_flavour", f"{flavour!r} is no flavour of {family}: {', '.join(known)}")


# The dataloader's entries ------------------------------------------------------------------------------------------


def judge_backends(backends: object, namespace: Any, words: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with the entries of the dataloader file."""
    if not isinstance(backends, list) or not all(isinstance(entry, dict) for entry in backends):
        yield Problem("backend_shape", "", "the dataloader file must be a list of tables")
        return
    names = Counter(str(entry.get("id", "")) for entry in backends)
    yield from (
        Problem("backend_id", name, f"stands {count} times; an id must be unique")
        for name, count in names.items()
        if name and count > 1
    )
    for index, entry in enumerate(backends):
        name = str(entry.get("id") or f"[{index}]")
        yield from (
            Problem(
                "backend_key",
                f"{name}.{path}",
                f"is read nowhere in the trainer{_guess(path.rpartition('.')[2], words)}",
            )
            for path in _paths(entry)
            if path.rpartition(".")[2] not in words
        )
        if not entry.get("id"):
            yield Problem("backend_id", name, "has no id")
        else:
            yield from _judge_entry(entry, name, namespace)


def _judge_entry(entry: Mapping[str, object], name: str, namespace: Any) -> Iterator[Problem]:
    """What SimpleTuner's own checks say of one entry, each of them asked even if another complains."""
    told: set[str] = set()
    for ask in _ENTRY_CHECKS:
        try:
            ask(copy.deepcopy(dict(entry)), copy.deepcopy(namespace))
        except Exception as error:  # noqa: BLE001 - whatever it raises is its judgement
            text = _one_line(str(error) or type(error).__name__).replace(f"(id={name}) ", "")
            if text not in told:
                told.add(text)
                yield Problem("backend", name, text)


def _ask_config(entry: dict[str, object], namespace: Any) -> None:
    from simpletuner.helpers.data_backend.config import create_backend_config

    config = create_backend_config(entry, vars(namespace))
    if entry.get("dataset_type") not in ("audio", "grounding"):  # which it accepts elsewhere but not here
        config.validate(vars(namespace))


def _ask_factory(entry: dict[str, object], namespace: Any) -> None:
    from simpletuner.helpers.data_backend import factory

    convert = getattr(getattr(factory, "FactoryRegistry", None), "_handle_resolution_conversion", None)
    if convert is not None:  # its checks expect what this step leaves; without it they complain of good entries
        if entry.get("dataset_type", "image") in ("image", "video", "conditioning", "eval", "caption"):
            convert(argparse.Namespace(args=namespace), entry)
        factory.init_backend_config(entry, namespace, None)


def _ask_builder(entry: dict[str, object], _namespace: Any) -> None:
    from simpletuner.helpers.data_backend.builders import create_backend_builder

    create_backend_builder(str(entry.get("type")), None)


_ENTRY_CHECKS: Final[tuple[Callable[[dict[str, object], Any], None], ...]] = (_ask_config, _ask_factory, _ask_builder)


def _paths(value: object, above: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            path = f"{above}.{key}" if above else str(key)
            yield path
            yield from _paths(inner, path)
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, above)


# The answer --------------------------------------------------------------------------------------------------------


def answer(question: Mapping[str, Any]) -> dict[str, object]:
    """Everything that can be said of the files in ``question``."""
    import simpletuner

    desk = Desk()
    config = question["config"]
    problems = list(judge_keys(desk, config))
    bad = frozenset(problem.key for problem in problems if problem.kind in ("unknown", "value"))
    namespace, contradictions = judge_whole(desk, config, bad)
    problems += contradictions
    given = {key.lstrip("-"): value for key, value in config.items() if key not in bad}
    problems += _judge_flavour(str(given.get("model_family", "")).lower(), given.get("model_flavour"))
    words = runpy.run_path(str(Path(__file__).with_name("words.py")))["words_of"](Path(simpletuner.__path__[0]))
    problems += judge_backends(question["backends"], namespace, words)
    return {
        "version": importlib.metadata.version("simpletuner"),
        "problems": [problem._asdict() for problem in problems],
        "arrived": {key: value for key, value in vars(namespace).items() if _is_plain(value)},
        "types": {key: type(value).__name__ for key, value in vars(namespace).items()},
    }


def _is_plain(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def main() -> None:
    """Answer the question on stdin."""
    document = json.dumps(answer(json.load(sys.stdin)), ensure_ascii=False)
    Path(sys.argv[1]).write_text(document, "utf-8")


if __name__ == "__main__":
    main()
