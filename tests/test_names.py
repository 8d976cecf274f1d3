from __future__ import annotations

import pytest

from kanjiprep.errors import HubError
from kanjiprep.publishing import names


@pytest.mark.parametrize("good", ["kanji", "me/kanji", "Me-2/kanji_1.0", "a/b", "_x/y"])
def test_names_of_repositories_are_taken(good: str) -> None:
    names.refuse_repo(good)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "me/my kanji",
        "me/",
        "/kanji",
        "a/b/c",
        "me/漢字",
        "me/a--b",
        "me/a..b",
        "me/x.git",
        "-me/x",
        "me/x.",
        "x" * 97,
    ],
)
def test_what_is_no_name_of_a_repository_is_refused(bad: str) -> None:
    with pytest.raises(HubError, match=r"is no name of a repository; give it as NAMESPACE/NAME"):
        names.refuse_repo(bad)


@pytest.mark.parametrize(
    "text",
    [
        "https://huggingface.co/datasets/me/kanji",
        "https://huggingface.co/me/kanji/",
        "https://huggingface.co/datasets/me/kanji/tree/main",
        "hf://datasets/me/kanji@v1",
        "datasets/me/kanji",
        "me/kanji@v1",
        "me/kanji/",
        "me\\kanji",
    ],
)
def test_an_address_is_told_from_the_name_in_it(text: str) -> None:
    with pytest.raises(HubError, match="is no name of a repository; give it as me/kanji$"):
        names.refuse_repo(text)


@pytest.mark.parametrize("good", ["main", "v1.0", "release/2026-11", "_a"])
def test_names_of_branches_and_tags_are_taken(good: str) -> None:
    names.refuse_revision(good, "--tag")


@pytest.mark.parametrize("bad", ["", "my tag", "-x", "a..b", "a//b", "a/", "a.", "a.lock", "x~1", "x" * 97])
def test_what_is_no_name_of_a_branch_or_tag_is_refused(bad: str) -> None:
    with pytest.raises(HubError, match="is no name for --tag"):
        names.refuse_revision(bad, "--tag")


@pytest.mark.parametrize(("tag", "revision"), [("main", "next"), ("next", "next")])
def test_a_tag_may_not_be_called_as_a_branch(tag: str, revision: str) -> None:
    with pytest.raises(HubError, match="is a branch, so it is no name for --tag"):
        names.refuse_tag(tag, revision)
    names.refuse_tag("v1.0", revision)


@pytest.mark.parametrize("name", ["c" * 40, "refs/pr/1", "a b"])
def test_a_new_branch_may_not_be_called_as_a_commit(name: str) -> None:
    with pytest.raises(HubError, match="is no name for --revision"):
        names.refuse_branch(name, "--revision")
