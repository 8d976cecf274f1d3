from dataclasses import replace

import pytest

from kanjiprep.spec import read
from kanjiprep.training import run_spec
from kanjiprep.training.run_spec import Checkpoints, Lora, Machine, Model, RunSpec, Schedule, Training, Validation

GOOD = RunSpec(
    training=Training(epochs=30), checkpoints=Checkpoints(every_epochs=1), validation=Validation(prompts={"a": "b"})
)


def test_a_consistent_spec_has_no_contradiction() -> None:
    assert run_spec.contradictions(GOOD) == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"model": Model(flavour="larg")},
            "model.flavour must be one of 'large', 'medium', 'tiny' for sd3",
        ),
        ({"model": Model(flavour="larg")}, "did you mean 'large'?"),
        (
            {"model": Model("sd1x", "1.5", train="full", precision="int8")},
            "model.precision 'int8' is for frozen weights",
        ),
        ({"machine": Machine("cpu", 2)}, "machine.gpus is more than 1 where machine.gpu is 'cpu'"),
        ({"model": Model(path="/nowhere/to/be/found")}, "model.path '/nowhere/to/be/found' is not there"),
        ({"title": "a\nb"}, "title is more than one line"),
        ({"lora": Lora(targets=())}, "lora.targets is empty"),
        ({"machine": Machine(sharding="full")}, "machine.sharding 'full' needs more than one GPU"),
        ({"training": Training(epochs=1, steps=1)}, "training.epochs and training.steps are both set; keep one"),
        ({"training": Training()}, "training.epochs and training.steps are both missing; set one"),
        ({"checkpoints": Checkpoints()}, "checkpoints.every_epochs and checkpoints.every_steps are both missing"),
        ({"schedule": Schedule("cosine", half_period_steps=9)}, "schedule.half_period_steps belongs to"),
        ({"schedule": Schedule("periodic-cosine")}, "schedule.half_period_steps belongs to"),
        (
            {"schedule": Schedule("periodic-cosine", warmup_steps=5, half_period_steps=9)},
            "schedule.warmup_steps cannot be had with the shape 'periodic-cosine'",
        ),
        ({"schedule": Schedule(end_learning_rate=1e-3)}, "schedule.end_learning_rate 0.001 is not below"),
        (
            {"schedule": Schedule(warmup_steps=10), "training": Training(steps=10)},
            "schedule.warmup_steps 10 leaves nothing of 10 steps",
        ),
        ({"training": Training(epochs=1, resolution_px=1000)}, "training.resolution_px 1000 is no multiple of 64"),
        ({"training": Training(epochs=1, resolution_px=1000)}, "the nearest is 1024"),
        ({"validation": Validation()}, "validation.prompts and validation.libraries are both empty"),
        (
            {"model": Model("sd1x", "1.5"), "validation": Validation(prompts={"a": "b"}, skip_layers=(7,))},
            "validation.skip_layers is of sd3 and not of sd1x",
        ),
    ],
)
def test_each_contradiction_is_named_with_its_keys(change: dict[str, object], says: str) -> None:
    assert says in "\n".join(run_spec.contradictions(replace(GOOD, **change)))  # type: ignore[arg-type]


def test_numbers_out_of_their_range_and_wrong_types_are_named() -> None:
    table = {
        "lora": {"rnak": 4, "alpha": 0, "dropout": 2},
        "training": {"batch": -6, "epochs": "30", "seed": 0},
        "optimizer": {"learning_rate": float("inf"), "name": "adamw"},
    }
    _, problems = read(RunSpec, table)
    assert problems == (
        "lora.rnak is not a key here, did you mean 'rank'?",
        "lora.alpha must be above 0 and at most 1000000, not 0.0",
        "lora.dropout must be at least 0 and at most 1, not 2.0",
        "optimizer.name must be one of 'adamw_bf16', 'torch-adamw', 'optimi-adamw', 'optimi-stableadamw', "
        "'optimi-lion', 'bnb-adamw8bit', 'bnb-lion8bit-paged', 'prodigy', not 'adamw', did you mean 'adamw_bf16'?",
        "optimizer.learning_rate must be above 0 and at most 1000000, not inf",
        "training.epochs must be a whole number, not '30'",
        "training.batch must be at least 1 and at most 1000000, not -6",
        "training.seed must be at least 1 and at most 4294967295, not 0",
    )
