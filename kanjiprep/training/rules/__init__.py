"""The traps of SimpleTuner configs as checks: rendered files in, findings out."""

from __future__ import annotations

from typing import Final

from kanjiprep.training.rules import (
    buckets,
    captions,
    clipping,
    datasets,
    length,
    model,
    output,
    resume,
    rounds,
    schedule,
    sizes,
    validation,
    values,
)
from kanjiprep.training.rules.rule import Finding, Hit, Rule, Severity
from kanjiprep.training.rules.subject import Context, Subject

__all__ = ["RULES", "Context", "Finding", "Hit", "Rule", "Severity", "Subject", "judge"]

RULES: Final[tuple[Rule, ...]] = (
    *values.RULES,
    *length.RULES,
    *schedule.RULES,
    *clipping.RULES,
    *model.RULES,
    *datasets.RULES,
    *captions.RULES,
    *buckets.RULES,
    *sizes.RULES,
    *resume.RULES,
    *validation.RULES,
    *rounds.RULES,
    *output.RULES,
)
"""Every rule, in the order in which findings are listed."""

_ORDER: Final[dict[Severity, int]] = {"error": 0, "warning": 1, "note": 2}


def judge(subject: Subject) -> tuple[Finding, ...]:
    """Everything that the rules find in ``subject``: errors first, then in the order of the rules."""
    found = [_finding(rule, hit) for rule in RULES for hit in rule.judge(subject)]
    return tuple(sorted(found, key=lambda finding: _ORDER[finding.severity]))


def _finding(rule: Rule, hit: Hit) -> Finding:
    return Finding(rule.id, rule.severity, hit.key, hit.what, rule.why, rule.fix, rule.source)
