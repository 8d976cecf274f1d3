"""Whether a workflow runs, and whether its pictures will be what was meant: every rule, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from kanjiprep.publishing.comfyui import tracing
from kanjiprep.publishing.comfyui.checks import check_graph, check_habits, check_links, check_models, check_values
from kanjiprep.publishing.comfyui.checks.findings import Finding, printable, scene
from kanjiprep.publishing.comfyui.graph import Workflow
from kanjiprep.publishing.comfyui.kinds import NodeKind

__all__ = ["Finding", "check"]

_ANYWHERE: Final = frozenset({"unknown-node"})
"""Rules that a server holds of nodes that it does not run, too."""
_CHECKS: Final = (check_links.found, check_values.found, check_graph.found, check_models.found, check_habits.found)


def check(
    workflow: Workflow, table: Mapping[str, NodeKind], is_live: bool = False, is_ui: bool = False
) -> tuple[Finding, ...]:
    """All findings, errors first, then in the order of the nodes.

    What a node has wrong that nothing saved depends on is a warning: a server does not run it.

    Args:
        workflow: Of either form.
        table: The kinds of nodes, of a server or those written down.
        is_live: Whether they are of a server, which knows its files.
        is_ui: Whether the workflow is in the form of the UI.
    """
    seen = scene(workflow, table, is_live=is_live, is_ui=is_ui)
    findings = [finding for one in _CHECKS for finding in one(seen)]
    ends = [node.id for node in check_graph.ends(seen)]
    used = tracing.upstream(workflow, ends) if ends else frozenset(seen.nodes)
    place = {node.id: number for number, node in enumerate(workflow.nodes)}
    judged = [_eased(one, used) for one in findings]
    ordered = sorted(dict.fromkeys(judged), key=lambda one: (one.severity, place.get(one.node, -1)))
    return tuple(replace(one, node=printable(one.node), kind=printable(one.kind)) for one in ordered)


def _eased(finding: Finding, used: frozenset[str]) -> Finding:
    if finding.node and finding.node not in used and finding.rule not in _ANYWHERE:
        return replace(finding, severity="warning")
    return finding
