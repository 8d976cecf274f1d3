"""A spec and a dataset into the files that SimpleTuner reads, purely."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from kanjiprep.errors import UsageError, os_reason
from kanjiprep.resources import environment, shipped, unknown_names
from kanjiprep.spec import did_you_mean
from kanjiprep.training import curve, schedule
from kanjiprep.training.prompts import SHORT_NAME, Prompts
from kanjiprep.training.run_spec import TINY, RunSpec
from kanjiprep.training.schedule import Steps

CONFIG: Final = "config.json"
_BACKENDS: Final = "multidatabackend.json"
PROMPTS: Final = "prompts.json"
CAPTIONS: Final = "captions.jsonl"
_NEEDED: Final = ("checkpoint_step_interval", "validation_step_interval", "checkpoints_total_limit")
_PLACEHOLDER: Final = "{env:"
FILES: Final = (CONFIG, _BACKENDS, PROMPTS)
"""What is rendered, each from the template of its name with ``.j2``."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run's files are, as the trainer will look for them.

    Attributes:
        run: The run folder.
        tiny_models: Holds a folder for the random model of each family, the flavour ``tiny``.
        attempt: Folder inside it of an attempt with a config and an output of its own; None for the run's.
    """

    run: Path
    tiny_models: Path
    attempt: Path | None = None

    def tiny_model(self, family: str) -> Path:
        """Folder of the random model of ``family``."""
        return self.tiny_models / f"tiny-{family}"

    def paths(self) -> dict[str, str]:
        """The paths that templates may name."""
        own = self.attempt or self.run
        config = own / "config"
        return {
            "backends_path": str(config / _BACKENDS),
            "prompts_path": str(config / PROMPTS),
            "captions_path": str(self.run / "config" / CAPTIONS),
            "pictures_path": str(self.run / "pictures"),
            "output_path": str(own / "output"),
            "cache_path": str(self.run / "cache"),
            "vae_cache_path": str(self.run / "cache" / "vae"),
            "text_cache_path": str(self.run / "cache" / "text"),
            "run_name": self.run.name,
        }


@dataclass(frozen=True, slots=True)
class RenderedConfig:
    """What SimpleTuner reads.

    Attributes:
        config: config.json, flat.
        backends: multidatabackend.json.
        prompts: prompts.json, by short name.
    """

    config: Mapping[str, Any]
    backends: tuple[Mapping[str, Any], ...]
    prompts: Mapping[str, str]

    def files(self) -> dict[str, bytes]:
        """The bytes of each file, by name."""
        return {CONFIG: _bytes(self.config), _BACKENDS: _bytes(self.backends), PROMPTS: _bytes(self.prompts)}


@dataclass(frozen=True, slots=True)
class Templates:
    """The sources of the templates by the name of the file they make, and where each is from."""

    sources: Mapping[str, str]
    paths: Mapping[str, Path]


def load_templates(folder: Path | None = None) -> Templates:
    """The shipped templates, or those of ``folder`` where it has one of the same name.

    Raises:
        UsageError: If one cannot be read.
    """
    ours = shipped("templates") / "simpletuner"
    paths = {}
    for name in FILES:
        own = folder / f"{name}.j2" if folder else None
        paths[name] = own if own is not None and os.path.lexists(own) else ours / f"{name}.j2"
    return Templates({name: _source(path) for name, path in paths.items()}, paths)


def _source(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError("is not UTF-8 text", str(path), "save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"cannot be read: {os_reason(error)}", str(path), "mend it or move it away") from error


def render(spec: RunSpec, steps: Steps, prompts: Prompts, places: Places, templates: Templates) -> RenderedConfig:
    """The files of a run.

    Raises:
        UsageError: Naming template and line, if one of them fails or makes no JSON of its shape, or if a
            text holds what the trainer would replace.
    """
    words = values(spec, steps, prompts, places)
    made = {name: _document(templates, name, words) for name in FILES}
    for name, kind in ((CONFIG, dict), (_BACKENDS, list), (PROMPTS, dict)):
        if not isinstance(made[name], kind):
            raise UsageError(f"makes no JSON {kind.__name__}", str(templates.paths[name]), "mend the template")
    for name, problem in _misshapen(made):
        raise UsageError(f"makes {problem}", str(templates.paths[name]), "mend the template")
    for name in FILES:
        if _PLACEHOLDER in json.dumps(made[name]).lower():
            what = "would hold {env:...}, for which the trainer puts in a variable of the environment"
            raise UsageError(what, name, "word it otherwise, or rename the folder")
    return RenderedConfig(made[CONFIG], tuple(made[_BACKENDS]), made[PROMPTS])


def _misshapen(made: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a template of one's own may leave out and a plan cannot do without, by file."""
    for key in _NEEDED:
        value = made[CONFIG].get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield CONFIG, f"no {key} of at least 1, but {value!r:.40}"
    if not all(isinstance(entry, dict) for entry in made[_BACKENDS]):
        yield _BACKENDS, "a dataset that is no table"
    for name, text in made[PROMPTS].items():
        if not isinstance(text, str) or not SHORT_NAME.fullmatch(name):
            yield PROMPTS, f"a prompt {name!r:.40} that is no text by a short name"


def template_problems(templates: Templates, words: Mapping[str, object]) -> Iterator[str]:
    """Every name in the templates that is none of ``words``, and every template that is none, with its line."""
    import jinja2

    for name, source in templates.sources.items():
        path = templates.paths[name]
        try:
            for word, line in unknown_names(source, words):
                yield f"{path}:{line}: {{{{ {word} }}}} is not a name here{did_you_mean(word, words)}"
        except jinja2.TemplateSyntaxError as error:
            yield f"{path}:{error.lineno}: not a Jinja template: {error.message}"


def values(spec: RunSpec, steps: Steps, prompts: Prompts, places: Places) -> dict[str, object]:
    """All that templates may name, computed; they only translate."""
    every = schedule.checkpoint_interval(spec.checkpoints, steps.per_epoch)
    return {
        **_weights(spec, places),
        **_rates(spec, steps.total),
        **_portions(spec),
        **_validation(spec, prompts),
        **places.paths(),
        "total_steps": steps.total,
        "checkpoint_every_steps": every,
        "checkpoints_kept": spec.checkpoints.keep or steps.total,  # a stop makes one of its own
        "validation_every_steps": spec.validation.every_steps or every,
        "sharding": spec.machine.sharding,
        "tracker": spec.tracker.service,
        "project": spec.tracker.project,
    }


def _weights(spec: RunSpec, places: Places) -> dict[str, object]:
    model, lora = spec.model, spec.lora
    return {
        "family": model.family,
        "flavour": model.flavour,
        "path": model.path or (str(places.tiny_model(model.family)) if model.flavour == TINY else ""),
        "train": model.train,
        "precision": model.precision,
        "rank": lora.rank,
        "alpha": lora.rank if lora.alpha is None else _whole(lora.alpha),
        "lora_dropout": lora.dropout,
        "targets": lora.targets,
    }


def _whole(number: float) -> float | int:
    return int(number) if number.is_integer() else number


def _rates(spec: RunSpec, total_steps: int) -> dict[str, object]:
    scheduler = curve.scheduler_of(spec, total_steps)
    return {
        "optimizer": spec.optimizer.name,
        "weight_decay": spec.optimizer.weight_decay,
        "learning_rate": spec.optimizer.learning_rate,
        "clip": spec.optimizer.clip,
        "clip_at": spec.optimizer.clip_at,
        "scheduler": scheduler.name,
        "warmup_steps": scheduler.warmup_steps,
        "end_learning_rate": scheduler.end,
        "power": scheduler.power,
    }


def _portions(spec: RunSpec) -> dict[str, object]:
    training = spec.training
    return {
        "batch": training.batch,
        "accumulation": training.accumulation,
        "repeats": training.repeats,
        "caption_dropout": training.caption_dropout,
        "gradient_checkpointing": training.gradient_checkpointing,
        "flow_shift": training.flow_shift,
        "seed": training.seed,
        "resolution_px": training.resolution_px,
    }


def _validation(spec: RunSpec, prompts: Prompts) -> dict[str, object]:
    validation = spec.validation
    return {
        "prompts": dict(prompts.by_name),
        "negative_prompt": prompts.negative,
        "validation_px": validation.size_px,
        "inference_steps": validation.inference_steps,
        "guidance": validation.guidance,
        "skip_layers": list(validation.skip_layers),
        "validation_seed": validation.seed,
    }


def _document(templates: Templates, name: str, words: Mapping[str, object]) -> Any:
    path = templates.paths[name]
    try:
        text = environment().from_string(templates.sources[name]).render(words)
        return json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1].strip() if text.strip() else ""
        raise UsageError(f"makes no JSON: {error.msg} at {line!r}", str(path), "mend the template") from error
    except Exception as error:  # a template can raise anything that its filters and operators raise
        raise UsageError(f"the template fails: {error}", f"{path}:{_line(error)}", "mend the template") from error


def _line(error: Exception) -> int:
    """The line of the template in which ``error`` arose; Jinja puts it into the traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    return frames[-1].lineno or 1 if frames else 1


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return table


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _bytes(document: object) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=2, default=cast(Any, dict)) + "\n").encode()
