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


@pytest.mark.parametrize("good", ["main", "v1.0", "release/2026-11", "_a"])
def test_names_of_branches_and_tags_are_taken(good: str) -> None:
    names.refuse_revision(good, "--tag")


@pytest.mark.parametrize("bad", ["", "my tag", "-x", "a..b", "a//b", "a/", "a.", "a.lock", "x~1", "x" * 97])
def test_what_is_no_name_of_a_branch_or_tag_is_refused(bad: str) -> None:
    with pytest.raises(HubError, match="is no name for --tag"):
        names.refuse_revision(bad, "--tag")
