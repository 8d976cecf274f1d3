from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kanjiprep.cli import talk
from kanjiprep.evaluation.proof import selfcheck
from kanjiprep.evaluation.proof.selfcheck import KindFigures, SelfCheck
from kanjiprep.spec import Bounds
from kanjiprep.training.running.events import Exit
from kanjiprep.training.trainer import Trainer
from tests import json_documents, json_schemas
from tests.json_schemas import Book, Words

FOLDER = Path(__file__).parent.parent / "docs" / "schemas"


@pytest.mark.parametrize("command", list(json_documents.DOCUMENTS))
def test_the_schema_of_a_command_is_what_its_code_prints(command: str, request: pytest.FixtureRequest) -> None:
    path = FOLDER / json_documents.file_of(command)
    text = json.dumps(json_documents.schema_of(command), indent=2, ensure_ascii=False) + "\n"
    if request.config.getoption("--update-golden"):
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text, "it changed; make golden, and look at the difference"


def test_there_is_no_schema_of_anything_else() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(map(json_documents.file_of, json_documents.DOCUMENTS))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_schema_is_valid_and_says_what_every_key_means(path: Path) -> None:
    schema = json.loads(path.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    told = dict(json_schemas.sentences(schema))
    assert [place for place, text in told.items() if not json_schemas.is_sentence(text)] == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_schema_lets_no_other_key_in(path: Path) -> None:
    for place, one in objects(json.loads(path.read_text("utf-8"))):
        if "properties" in one:
            assert one["additionalProperties"] is False, place
            assert one["required"] == list(one["properties"]), place
        else:
            assert isinstance(one["additionalProperties"], dict), place


FIGURES = selfcheck.Figures(0.0, 3, 0.5, 0.5, 0.5, 0.0)
ON_A_BOX = {"on": "ssh://ubuntu@203.0.113.7", "rental": None}


@pytest.mark.parametrize(
    ("command", "document"),
    [
        (
            "score",
            SelfCheck(
                Path("d"),
                "",
                9,
                12,
                3,
                0.0,
                FIGURES,
                FIGURES,
                (KindFigures("noise", True, None, 1.0, 0.5, (FIGURES,)),),
                (),
            ),
        ),
        ("setup-trainer", Trainer(Path("bin/python"), "4.10.1", Path("simpletuner"), "managed")),
        ("setup-remote", {"python": Path("env/bin/python"), "home": Path("home")}),
        ("launch-simpletuner", {"run": Path("runs/x"), "attempt": 1, **ON_A_BOX}),
        ("launch-simpletuner", {"run": Path("runs/x"), "detached": True, **ON_A_BOX}),
        ("stop", {"run": Path("runs/x"), "was_running": False, "exit": None, "checkpoints": 2, **ON_A_BOX}),
        ("stop", {"run": "runs/x", "was_running": True, "exit": Exit("stopped", -15, "by request", 8)}),
    ],
)
def test_what_is_seldom_printed_fits_its_schema(
    command: str, document: object, capsys: pytest.CaptureFixture[str]
) -> None:
    talk.print_json(document)
    schema = json.loads((FOLDER / json_documents.file_of(command)).read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(json.loads(capsys.readouterr().out))


def objects(schema: Any, place: str = "") -> list[tuple[str, Mapping[str, Any]]]:
    if isinstance(schema, list):
        return [found for number, one in enumerate(schema) for found in objects(one, f"{place}/{number}")]
    if not isinstance(schema, dict):
        return []
    own = [(place, schema)] if schema.get("type") == "object" else []
    return own + [found for name, one in schema.items() for found in objects(one, f"{place}/{name}")]


@dataclass(frozen=True, slots=True)
class Undescribed:
    """Nothing is said of its key."""

    key: int


def test_a_key_that_nobody_describes_is_found() -> None:
    with pytest.raises(AssertionError, match="Undescribed.key is not described"):
        Book(Words({}, {}, frozenset(), frozenset())).of(Undescribed)


def test_a_kind_without_a_schema_is_found() -> None:
    with pytest.raises(TypeError, match="no schema for"):
        Book(Words({}, {}, frozenset(), frozenset())).of(complex)


def test_the_limits_of_a_number_are_those_of_its_bounds() -> None:
    assert json_schemas._limits(Bounds(above=0, most=3)) == {"exclusiveMinimum": 0, "maximum": 3}
