"""What a run leaves behind: checkpoints, logs, uploads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kanjiprep.training.rules.rule import Hit, Rule, rule
from kanjiprep.training.rules.subject import Subject

TRACKERS: Final = ("simpletuner", "tensorboard", "wandb", "swanlab", "comet_ml", "custom-tracker", "none")
"""What report_to takes. Source: SimpleTuner 4.10.1 helpers/training/reporting.py."""
_TRAINER: Final = "SimpleTuner 4.10.1 helpers/training/trainer.py"
_GIB: Final = 2**30


def _made(subject: Subject) -> int | None:
    """Checkpoints of the whole run, if they are counted in steps and the run's length is known."""
    interval, total = subject.whole("checkpoint_step_interval"), subject.total_steps
    if total is None or interval <= 0 or subject.whole("checkpoint_epoch_interval"):
        return None
    return total // interval


def _limit(subject: Subject) -> int:
    return subject.whole("checkpoints_total_limit")


@rule(
    "no-checkpoint",
    "warning",
    "A run without a checkpoint",
    why="The first checkpoint is due after checkpoint_step_interval steps; a run that ends before keeps none.",
    fix="Write a checkpoint_step_interval well below the length of the run.",
    source=f"{_TRAINER} (scheduled_checkpoint_due)",
)
def no_checkpoint(subject: Subject) -> Iterator[Hit]:
    """An interval longer than the run."""
    if _made(subject) == 0:
        interval = subject.whole("checkpoint_step_interval")
        yield Hit("checkpoint_step_interval", f"One every {interval:,} steps, in a run of {subject.total_steps:,}.")


@rule(
    "checkpoints-deleted-by-default",
    "warning",
    "Checkpoints deleted, because nothing was said",
    why="checkpoints_total_limit is 5 where it is not written: each new checkpoint deletes the oldest.",
    fix="Write a checkpoints_total_limit as high as the checkpoints that you want to compare.",
    source="SimpleTuner 4.10.1, default of the live parser; helpers/utils/checkpoint_manager.py",
)
def deleted_by_default(subject: Subject) -> Iterator[Hit]:
    """More checkpoints than the default keeps."""
    made = _made(subject) or 0
    if subject.given("checkpoints_total_limit") is None and made > _limit(subject):
        yield Hit("checkpoints_total_limit", f"{made} checkpoints are made and the last {_limit(subject)} kept.")


@rule(
    "checkpoints-deleted",
    "note",
    "Checkpoints that are deleted again",
    why="Each checkpoint beyond checkpoints_total_limit deletes the oldest, however good it was.",
    fix="Raise checkpoints_total_limit if you want to compare all of them.",
    source="SimpleTuner 4.10.1 helpers/utils/checkpoint_manager.py cleanup_checkpoints",
)
def deleted(subject: Subject) -> Iterator[Hit]:
    """More checkpoints than the limit that was written."""
    made, limit = _made(subject) or 0, _limit(subject)
    if subject.given("checkpoints_total_limit") is not None and made > limit > 0:
        yield Hit("checkpoints_total_limit", f"{made} checkpoints are made and the last {limit} kept.")


@rule(
    "disk-too-small",
    "warning",
    "More checkpoints than the disk holds",
    why="A full disk ends the run while it saves; the oldest checkpoint goes only after the new one is written.",
    fix="Lower checkpoints_total_limit, raise checkpoint_step_interval, or take a larger disk.",
    source=f"{_TRAINER} _run_standard_checkpoint",
)
def disk_too_small(subject: Subject) -> Iterator[Hit]:
    """Checkpoints that do not fit into what is free."""
    made, limit = _made(subject), _limit(subject)
    one, free = subject.context.checkpoint_bytes, subject.context.free_disk_bytes
    if made is None or one is None or free is None:
        return
    most = min(made, limit + 1) if limit > 0 else made
    needed = most * one + subject.context.other_bytes
    if needed > free:
        told = f"{most} checkpoints of {one / _GIB:,.1f} GiB, with all else that the run writes"
        sizes = f"need {needed / _GIB:,.1f} GiB, and {free / _GIB:,.1f} GiB are free"
        yield Hit("checkpoints_total_limit", f"{told}, {sizes}.")


@rule(
    "tensorboard-crashes",
    "error",
    "TensorBoard ends the run before it starts",
    why="TensorBoard refuses lists and tables in a config, and the trainer's own always holds one by then: could not "
    "initialize trackers, after all caches were made.",
    fix='Write "report_to": "simpletuner".',
    source=f"{_TRAINER} init_trackers, run; accelerate and torch, run",
)
def tensorboard_crashes(subject: Subject) -> Iterator[Hit]:
    """TensorBoard among the trackers."""
    if "tensorboard" in subject.trackers:
        yield Hit("report_to", f"report_to is {', '.join(subject.trackers)}.")


@rule(
    "unknown-tracker",
    "error",
    "A tracker that does not exist",
    why="report_to takes the words that are listed, and none only by itself.",
    fix='Write "report_to": "simpletuner".',
    source="SimpleTuner 4.10.1 helpers/training/reporting.py, run",
)
def unknown_tracker(subject: Subject) -> Iterator[Hit]:
    """Other words, and none beside another."""
    unknown = [name for name in subject.trackers if name not in TRACKERS]
    if unknown:
        yield Hit("report_to", f"{', '.join(unknown)} is none of {', '.join(TRACKERS)}.")
    elif "none" in subject.trackers and len(subject.trackers) > 1:
        yield Hit("report_to", f"report_to is {', '.join(subject.trackers)}.")


@rule(
    "nothing-to-watch",
    "note",
    "A run that nobody can watch",
    why="Loss, learning rate and gradient norm are written nowhere unless report_to names a tracker or a webhook "
    "gets them.",
    fix='Write "report_to": "simpletuner", which writes training_metrics.jsonl into output_dir.',
    source="SimpleTuner 4.10.1 helpers/training/local_metrics.py",
)
def nothing_to_watch(subject: Subject) -> Iterator[Hit]:
    """No tracker and no webhook."""
    if subject.trackers in ((), ("none",)) and not subject.value("webhook_config"):
        yield Hit("report_to", "report_to is none.")


def _hooks(subject: Subject) -> list[Mapping[str, object]]:
    raw = subject.value("webhook_config")
    return [one for one in (raw if isinstance(raw, list) else [raw]) if isinstance(one, Mapping)]


@rule(
    "webhook-incomplete",
    "error",
    "A webhook that cannot be called",
    why="A webhook is of the type raw with a callback_url, or discord with a webhook_url; the parser checks neither.",
    fix="Write webhook_type and the address that it needs.",
    source="SimpleTuner helpers/webhooks/config.py, run",
)
def webhook_incomplete(subject: Subject) -> Iterator[Hit]:
    """Inline webhooks with an unknown type or no address."""
    needs = {"raw": "callback_url", "discord": "webhook_url"}
    for hook in _hooks(subject):
        kind = str(hook.get("webhook_type"))
        if kind not in needs:
            yield Hit("webhook_config", f"webhook_type {kind!r} is none of {', '.join(needs)}.")
        elif not hook.get(needs[kind]):
            yield Hit("webhook_config", f"A {kind} webhook without {needs[kind]}.")


@rule(
    "push-without-name",
    "warning",
    "An upload to a repository that nobody named",
    why="Without hub_model_id the repository is called like the tracker's project.",
    fix="Write hub_model_id: owner/name.",
    source="SimpleTuner 4.10.1 helpers/publishing/huggingface.py",
)
def push_without_name(subject: Subject) -> Iterator[Hit]:
    """An upload without hub_model_id."""
    if subject.flag("push_to_hub") and not subject.text("hub_model_id"):
        yield Hit("hub_model_id", f"The repository will be called {subject.text('tracker_project_name')}.")


@rule(
    "pushes-to-hub",
    "note",
    "An upload to the Hub",
    why="push_to_hub creates the repository at the start and uploads the result, whichever checkpoint was best.",
    fix="Leave it off to choose a checkpoint first and publish that.",
    source="SimpleTuner 4.10.1 helpers/publishing/huggingface.py",
)
def pushes_to_hub(subject: Subject) -> Iterator[Hit]:
    """An upload that was asked for."""
    if subject.flag("push_to_hub") and subject.text("hub_model_id"):
        seen_by = "private" if subject.flag("model_card_private") else "public"
        yield Hit("push_to_hub", f"The run uploads to {subject.text('hub_model_id')}, which it creates as {seen_by}.")


@rule(
    "push-checkpoints-alone",
    "warning",
    "Checkpoints uploaded without a repository",
    why="push_checkpoints_to_hub acts by itself, but only push_to_hub creates the repository and logs in.",
    fix="Write both as true, or both as false.",
    source=f"{_TRAINER} init_huggingface_hub; helpers/publishing/huggingface.py",
)
def push_checkpoints_alone(subject: Subject) -> Iterator[Hit]:
    """Checkpoints to the Hub without the rest."""
    if subject.flag("push_checkpoints_to_hub") and not subject.flag("push_to_hub"):
        yield Hit("push_checkpoints_to_hub", "Checkpoints will be uploaded, and push_to_hub is off.")


@rule(
    "processes-unread",
    "note",
    "A number of GPUs that the launcher does not read",
    why="simpletuner train starts one process unless it is told otherwise by its own argument num_processes, by "
    "TRAINING_NUM_PROCESSES or by accelerate's config; what config.json says comes too late.",
    fix="Start it with: simpletuner train num_processes=N.",
    source="SimpleTuner 4.10.1 cli/train.py",
)
def processes_unread(subject: Subject) -> Iterator[Hit]:
    """A number of processes other than one, in config.json."""
    wanted = subject.whole("num_processes")
    if wanted > 1:
        yield Hit("num_processes", f"num_processes is {wanted}.")


RULES: Final[tuple[Rule, ...]] = (
    no_checkpoint,
    deleted_by_default,
    deleted,
    disk_too_small,
    tensorboard_crashes,
    unknown_tracker,
    nothing_to_watch,
    webhook_incomplete,
    push_without_name,
    pushes_to_hub,
    push_checkpoints_alone,
    processes_unread,
)
