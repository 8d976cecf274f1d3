from __future__ import annotations

from dataclasses import fields, is_dataclass

import pytest

from kanjiprep.training import configs, our_words, rules
from kanjiprep.training.rules import Finding
from kanjiprep.training.run_spec import RunSpec
from tests.test_configs import rendered


def finding(key: str, fix: str) -> Finding:
    return Finding("x", "note", key, "what.", "why.", fix, "source")


def known_keys() -> set[str]:
    spec = RunSpec()
    tables = [field.name for field in fields(spec) if is_dataclass(getattr(spec, field.name))]
    return {f"{table}.{key.name}" for table in tables for key in fields(getattr(spec, table))}


def test_every_key_that_is_named_is_one_of_run_toml() -> None:
    for ours in our_words.KEYS.values():
        table, _, rest = ours.partition(".")
        for word in rest.replace(" with ", " ").replace(" or ", " ").split():
            assert f"{table}.{word}" in known_keys()


def test_every_key_that_is_translated_is_rendered_or_could_be() -> None:
    source = "".join(configs.load_templates().sources.values())
    assert [key for key in our_words.KEYS if f'"{key}"' not in source] == []
    assert set(rendered().config) >= {"lora_rank", "max_grad_norm"}


@pytest.mark.parametrize(
    ("key", "fix", "ours"),
    [
        ("lora_rank", "Write 64.", ("lora.rank",)),
        ("kanji-1024px.repeats", 'Write "repeats": 0.', ("training.repeats",)),
        ("grad_clip_method", "Write norm and a max_grad_norm.", ("optimizer.clip", "optimizer.clip_at")),
        ("unheard_of", "Drop it.", ()),
    ],
)
def test_findings_are_told_in_the_keys_of_run_toml(key: str, fix: str, ours: tuple[str, ...]) -> None:
    assert our_words.named_in(finding(key, fix)) == ours


def test_the_rules_are_not_renamed() -> None:
    assert len({rule.id for rule in rules.RULES}) == len(rules.RULES)
