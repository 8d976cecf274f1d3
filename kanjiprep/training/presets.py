"""Presets: a folder with a ``run.toml``, read whole with every problem at once."""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from kanjiprep import spec as tables
from kanjiprep.errors import UsageError, os_reason
from kanjiprep.paths import resolved
from kanjiprep.resources import shipped
from kanjiprep.training import configs, gpus, models, prompts, run_spec, schedule
from kanjiprep.training.configs import Places, Templates
from kanjiprep.training.prompts import Prompts
from kanjiprep.training.run_spec import RunSpec

SPEC: Final = "run.toml"
_TWINS: Final[Mapping[str, str]] = {
    "training.steps": "training.epochs",
    "training.epochs": "training.steps",
    "checkpoints.every_steps": "checkpoints.every_epochs",
    "checkpoints.every_epochs": "checkpoints.every_steps",
    "schedule.shape": "schedule.half_period_steps",
}
"""What a preset says of the second means nothing any more when the first is set on the command line."""
_PATHS: Final = ("model.path", "validation.style", "validation.libraries")
"""Keys that may name files; on the command line, from the working folder."""
NOMINAL: Final = {"1.0": 6414}
"""The published dataset, for which the committed presets are rendered."""


@dataclass(frozen=True, slots=True)
class Preset:
    """All that a run needs but its dataset.

    Attributes:
        name: The folder's.
        folder: Where its files are.
        spec: What is asked for, settings of the command line included.
        prompts: The validation prompts with their style.
        templates: The shipped ones, or the preset's own.
    """

    name: str
    folder: Path
    spec: RunSpec
    prompts: Prompts
    templates: Templates

    def own_templates(self) -> dict[str, str]:
        """The templates beside the preset's ``run.toml``, by file name."""
        paths = self.templates.paths
        own = [name for name, path in paths.items() if path.parent == self.folder]
        return {paths[name].name: self.templates.sources[name] for name in own}

    def resolved_spec(self) -> RunSpec:
        """The spec with all that it names written out, so that it means the same anywhere."""
        validation = self.spec.validation
        style = (
            validation.style
            if validation.style in prompts.names("styles")
            else str(resolved(self.folder / validation.style))
        )
        whole = replace(validation, prompts=dict(self.prompts.plain), libraries=(), style=style)
        return replace(self.spec, validation=whole)


def names() -> tuple[str, ...]:
    """The shipped presets."""
    return tuple(sorted(path.parent.name for path in shipped("simpletuner_configs").glob(f"*/{SPEC}")))


def load(preset: str, settings: Sequence[str] = ()) -> Preset:
    """The shipped preset of that name, or the one in that folder or file.

    Args:
        preset: A name, a folder with a ``run.toml``, or such a file.
        settings: ``key=value`` with a dotted key and a TOML value; what is no TOML value is a text.

    Raises:
        UsageError: If there is none.
        SpecError: Naming every problem of the spec, its prompts and its templates at once.
    """
    path = _path(preset)
    table = _table(path)
    changed = {setting.partition("=")[0].strip() for setting in settings}
    _drop(table, {_TWINS[key] for key in changed if key in _TWINS} - changed)
    problems = [found for setting in settings if (found := _set(table, setting))]
    spec, found_in_table = tables.read(RunSpec, table)
    problems += found_in_table
    spec = _with_path_of_model(spec or RunSpec(), path.parent)
    problems += _contradictions(spec, problems)
    words, found_in_prompts = prompts.load(spec.validation, path.parent)
    problems += found_in_prompts
    templates = configs.load_templates(path.parent)
    places = Places(Path("run"), Path("model"))
    known = configs.values(spec, schedule.count(spec, NOMINAL), words, places)
    problems += configs.template_problems(templates, known)
    if problems:
        raise tables.SpecError(str(path), tuple(_with_origin(problem, changed) for problem in problems))
    return Preset(path.parent.name if path.name == SPEC else path.stem, path.parent, spec, words, templates)


def _with_origin(problem: str, changed: Collection[str]) -> str:
    """``problem``, with ``--set`` before it if its key was set on the command line and not in the file."""
    key = problem.split(" ", 1)[0].rstrip(":")
    is_changed = any(one == key or one.startswith(f"{key}.") or key.startswith(f"{one}.") for one in changed)
    return f"--set {problem}" if is_changed else problem


def to_toml(spec: RunSpec) -> bytes:
    """``spec`` as the bytes of a ``run.toml``."""
    import tomli_w

    return tomli_w.dumps(_present(dataclasses.asdict(spec)), multiline_strings=True).encode()


def _with_path_of_model(spec: RunSpec, folder: Path) -> RunSpec:
    """``spec`` with a model beside its file made findable from anywhere; a Hub repository stays as it is."""
    beside = folder / spec.model.path
    if not spec.model.path or not beside.exists():
        return spec
    return replace(spec, model=replace(spec.model, path=str(resolved(beside))))


def _contradictions(spec: RunSpec, known: Sequence[str]) -> list[str]:
    """Contradictions between keys, but none about keys that have a problem of their own."""
    troubled = {problem.split(" ", 1)[0] for problem in known}
    found = [*run_spec.contradictions(spec), *_unknown_words(spec)]
    return [problem for problem in found if not any(key in problem for key in troubled)]


def _unknown_words(spec: RunSpec) -> Iterator[str]:
    """Names that other tables know: modules that can have an adapter, and GPUs."""
    if spec.model.flavour in run_spec.FLAVOURS[spec.model.family] and spec.model.train == "lora":
        model = models.model_of(spec.model.family, spec.model.flavour)
        for target in spec.lora.targets:
            try:
                models.lora_layers(model, (target,))
            except UsageError as error:
                yield f"lora.targets: {error.what}"
    known = [run_spec.CPU, *(gpu.name for gpu in gpus.load().gpu)]
    if spec.machine.gpu not in known:
        guess = tables.did_you_mean(spec.machine.gpu, known)
        yield f"machine.gpu {spec.machine.gpu!r} is not known{guess}; known are {', '.join(known)}"


def _path(preset: str) -> Path:
    if preset in names():
        return shipped("simpletuner_configs") / preset / SPEC
    path = resolved(Path(preset))
    with suppress(OSError):  # a name too long for a file, or a folder that may not be entered
        if path.is_dir() and (path / SPEC).is_file():
            return path / SPEC
        if path.is_file():
            return path
    raise UsageError(
        f"no preset {preset!r:.80}{tables.did_you_mean(preset, names())}",
        remedy=f"give one of {', '.join(names())}, or a folder with a {SPEC}",
    )


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise UsageError(f"not TOML: {error}", str(path), "mend it") from error
    except OSError as error:
        raise UsageError(f"cannot be read: {os_reason(error)}", str(path), "check the path") from error


def _set(table: dict[str, Any], setting: str) -> str:
    """Put ``key=value`` into ``table``; the problem with it, or an empty text."""
    key, equals, text = setting.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        return f"--set {setting!r} is not of the form key=value, as in lora.rank=64"
    for part in parts[:-1]:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            return f"--set {key.strip()}: {part} is no table"
        table = inner
    table[parts[-1]] = _value(key.strip(), text.strip())
    return ""


def _drop(table: dict[str, Any], keys: Container[str]) -> None:
    """Take ``keys`` (``table.key``) out of ``table``."""
    for name, inner in table.items():
        if isinstance(inner, dict):
            for key in [key for key in inner if f"{name}.{key}" in keys]:
                del inner[key]


def _value(key: str, text: str) -> object:
    """``text`` as a TOML value, unless it is none or ``key`` is a text; a file that is there by its whole path."""
    try:
        table = tomllib.loads(f"value = {text}")
        value = table["value"] if len(table) == 1 else text
    except (ValueError, RecursionError):
        value = text
    if _is_text(key) and not isinstance(value, str):
        return text
    if key not in _PATHS:
        return value
    return [_found(name) for name in value] if isinstance(value, list) else _found(value)


def _found(name: object) -> object:
    if isinstance(name, str) and name and Path(name).exists():
        return str(resolved(Path(name)))
    return name


def _is_text(key: str) -> bool:
    """Whether ``key`` of run.toml is a text."""
    kind: Any = RunSpec
    for part in key.split("."):
        hints = typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
        kind = hints.get(part)
    return kind is str


def _present(table: Mapping[str, Any]) -> dict[str, Any]:
    """``table`` without its Nones, which TOML does not have."""
    return {
        key: _present(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value
        for key, value in table.items()
        if value is not None
    }
