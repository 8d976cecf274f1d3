"""A rule, what it finds, and how one is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from kanjiprep.training.rules.subject import Subject

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a rule applies.

    Attributes:
        key: The key in config.json, or ``dataset.key`` in multidatabackend.json.
        what: This case in plain words, with its numbers.
    """

    key: str
    what: str


Judge = Callable[[Subject], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One trap and how to see it.

    Attributes:
        id: Stable, in kebab case.
        severity: ``error``: the run crashes or does something else than the file says. ``warning``:
            probably not what is wanted; costs money or quality. ``note``: good to know.
        title: The trap in a few words.
        why: What SimpleTuner does, in one line.
        fix: What to write instead, in one line.
        source: Where that can be looked up.
        judge: Finds the places.
    """

    id: str
    severity: Severity
    title: str
    why: str
    fix: str
    source: str
    judge: Judge


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that applies, with everything a reader needs.

    Attributes:
        rule: The rule's id.
        severity: The rule's severity.
        key: Where.
        what: This case in plain words.
        why: What SimpleTuner does.
        fix: What to write instead.
        source: Where that can be looked up.
    """

    rule: str
    severity: Severity
    key: str
    what: str
    why: str
    fix: str
    source: str


def rule(rule_id: str, severity: Severity, title: str, *, why: str, fix: str, source: str) -> Callable[[Judge], Rule]:
    """Makes a ``Rule`` of the function that judges it."""
    return lambda judge: Rule(rule_id, severity, title, why, fix, source, judge)
