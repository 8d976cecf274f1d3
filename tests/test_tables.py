import dataclasses
import re

from kanjiprep.cli import tables
from kanjiprep.training import presets, rules, run_spec
from kanjiprep.training.run_spec import RunSpec


def test_every_key_of_every_table_is_explained() -> None:
    text = tables.spec_keys()
    for field in dataclasses.fields(RunSpec):
        if field.name in ("title", "why"):
            continue
        assert f"### [{field.name}]" in text
        for key in dataclasses.fields(getattr(RunSpec(), field.name)):
            row = re.search(rf"^\| `{key.name}` \| (.+?) \| (.*?) \| (.+) \|$", text, re.MULTILINE)
            assert row is not None, key.name
            assert row[3].endswith((".", ")"))


def test_kinds_and_defaults_are_in_words() -> None:
    text = tables.spec_keys()
    assert "| `batch` | whole number at least 1 and at most 1000000 | `1` | Pictures at a time on one GPU. |" in text
    assert "| `gradient_checkpointing` | boolean | `true` |" in text
    assert "| `targets` | list of text | `to_q`, `to_k`, `to_v`, `to_out.0` |" in text
    assert "| `prompts` | table of text |  |" in text
    assert "| `precision` | `bf16` or `int8` or `nf4` | `bf16` |" in text
    assert "| `weight_decay` | number at least 0 |  |" in text


def test_presets_rules_and_flavours_are_all_there() -> None:
    assert re.findall("^### (.+)$", tables.preset_list(), re.MULTILINE) == list(presets.names())
    assert re.findall("^### (.+)$", tables.rule_list(), re.MULTILINE) == [rule.id for rule in rules.RULES]
    assert tables.flavours().count("\n") == len(run_spec.FLAVOURS)
