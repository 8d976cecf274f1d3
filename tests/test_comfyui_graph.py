"""The form that a server takes, there and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanjiprep.errors import InputError
from kanjiprep.publishing.comfyui.graph import Link, Node, Workflow, from_api, to_api
from tests.comfyui_workflows import SD1, SD3

REMEDY = "export it with Workflow > Export (API), or give the file that the UI saves"

values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
names = st.text(min_size=1, max_size=8)
links = st.builds(Link, st.text(max_size=3), st.integers(-1, 5))
titles = st.text(max_size=8)


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    ids = draw(st.lists(names, min_size=1, max_size=5, unique=True))
    nodes = []
    for one in ids:
        kind, title = draw(names), draw(titles)
        title = "" if title == kind else title
        nodes.append(Node(one, kind, draw(st.dictionaries(names, values | links, max_size=4)), title))
    return Workflow(tuple(nodes))


@given(workflows())
@settings(max_examples=60, deadline=None)
def test_a_workflow_comes_back_as_it_was(workflow: Workflow) -> None:
    assert from_api(to_api(workflow), "x") == workflow


def test_it_is_what_a_server_takes() -> None:
    document = to_api(SD3)
    assert document["8"] == {
        "class_type": "VAEDecode",
        "inputs": {"samples": ["7", 0], "vae": ["1", 2]},
        "_meta": {"title": "VAEDecode"},
    }
    assert document["4"]["_meta"] == {"title": "Positive"}
    assert list(document) == [node.id for node in SD3.nodes]


@pytest.mark.parametrize("workflow", [SD3, SD1])
def test_the_table_around_it_may_be_there(workflow: Workflow) -> None:
    assert from_api({"prompt": to_api(workflow), "client_id": "x"}, "x") == workflow


def test_ids_of_links_may_be_numbers() -> None:
    workflow = from_api({"3": {"class_type": "VAEDecode", "inputs": {"vae": [4, 2]}}}, "x")
    assert workflow.nodes == (Node("3", "VAEDecode", {"vae": Link("4", 2)}),)


def test_what_a_node_needs_not_may_be_missing_or_odd() -> None:
    nodes = from_api({"3": {"class_type": "A"}, "4": {"class_type": "B", "_meta": []}}, "x").nodes
    assert nodes == (Node("3", "A", {}), Node("4", "B", {}))


def test_nodes_are_found_by_id_and_by_kind() -> None:
    assert SD3.node("9") == SD3.nodes[-1]
    assert SD3.node("99") is None
    assert [node.id for node in SD3.of_kind("CLIPTextEncode")] == ["4", "5"]


@pytest.mark.parametrize(
    ("document", "what"),
    [
        (None, "is no workflow of ComfyUI"),
        ([], "is no workflow of ComfyUI"),
        ({}, "is no workflow of ComfyUI"),
        ({"prompt": {}}, "is no workflow of ComfyUI"),
        ({"prompt": 3}, "node 'prompt' has no class_type"),
        ({"3": {"inputs": {}}}, "node '3' has no class_type"),
        ({"3": {"class_type": 4}}, "node '3' has no class_type"),
        ({"3": {"class_type": "A", "inputs": []}}, "node '3' has inputs that are no table"),
        ({"3": {"class_type": "A", "inputs": {"x": [1]}}}, "input 'x' of node '3' is a list and no link"),
        ({"3": {"class_type": "A", "inputs": {"x": ["1", True]}}}, "input 'x' of node '3' is a list and no link"),
        ({"3": {"class_type": "A", "inputs": {"x": ["1", "0"]}}}, "input 'x' of node '3' is a list and no link"),
        ({"3": {"class_type": "A", "inputs": {"x": {}}}}, "input 'x' of node '3' is a table"),
    ],
)
def test_what_is_not_of_that_form_is_refused(document: Any, what: str) -> None:
    with pytest.raises(InputError) as caught:
        from_api(document, "a.json")
    assert str(caught.value) == f"a.json: {what}; {REMEDY}"
