import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.publishing import prompt_tokens
from kanjiprep.publishing.prompt_tokens import Count, Loss
from kanjiprep.resources import shipped
from kanjiprep.training import prompts
from kanjiprep.training.prompts import Style
from tests.test_text_encoders import MERGES, write_clip, write_t5

SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
SD35 = "stabilityai/stable-diffusion-3.5-large"
LIST = shipped("templates") / prompt_tokens.WORDS


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """An environment without any model."""
    return {"HF_HOME": str(tmp_path / "empty")}


def subject_of(size: int) -> str:
    return " ".join(["sun"] * size)


def test_with_the_tokenizers_the_count_is_theirs(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    write_clip(tmp_path / "tokenizer")
    write_clip(tmp_path / "tokenizer_2", "!")
    write_t5(tmp_path / "tokenizer_3")
    assert prompt_tokens.count("Sun!!", str(tmp_path), {}) == (
        Count("CLIP-L", 4, 77, True, str(tmp_path / "tokenizer")),
        Count("CLIP-G", 5, 77, True, str(tmp_path / "tokenizer_2")),
        Count("T5", 7, 256, True, str(tmp_path / "tokenizer_3")),
    )


def test_without_them_it_is_a_bound_that_says_so(nowhere: dict[str, str]) -> None:
    why = "a bound: the tokenizer is not on this machine"
    assert prompt_tokens.count("Pikachu!!", SD35, nowhere) == (
        Count("CLIP-L", 5, 77, False, why),
        Count("CLIP-G", 5, 77, False, why),
        Count("T5", 6, 256, False, why),
    )
    assert [one.encoder for one in prompt_tokens.count("a", SD15, nowhere)] == ["CLIP-L"]
    assert [one.encoder for one in prompt_tokens.count("a", "x/y", nowhere, "sd3")] == ["CLIP-L", "CLIP-G", "T5"]


def test_a_missing_package_and_a_broken_file_leave_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tokenizers")
    write_clip(tmp_path / "tokenizer")
    (tmp_path / "tokenizer" / "merges.txt").write_text("one two three", "utf-8")
    (found,) = prompt_tokens.count("sun", str(tmp_path), {})
    assert (found.tokens, found.is_exact) == (3, False)
    assert found.source.startswith(f"a bound: {tmp_path / 'tokenizer'}: holds no tokenizer that is understood")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    (found,) = prompt_tokens.count("sun", str(tmp_path), {})
    assert (found.tokens, found.is_exact) == (3, False)
    assert "tokenizers" in found.source
    assert found.source.endswith("pip install 'kanjiprep[generate]'")


def test_the_list_is_small_sorted_and_of_words() -> None:
    assert LIST.stat().st_size < 64_000
    rows = [line.split() for line in LIST.read_text("utf-8").splitlines() if not line.startswith("#")]
    listed = [word for row in rows for word in row[1:]]
    assert len(listed) == len(set(listed)) > 7500
    for label in {row[0] for row in rows}:
        words = [word for row in rows if row[0] == label for word in row[1:]]
        assert words == sorted(words)
        assert re.fullmatch(r"[1-9]/[1-9-]", label)
    assert [word for word in listed if not re.fullmatch(r"'?[a-z]+|[A-Z][A-Za-z]*|[^a-z0-9\s!]{2,}", word)] == []


def test_the_list_holds_no_more_tokens_than_letters() -> None:
    clip, t5 = prompt_tokens.listed_words()
    assert [word for word, number in clip.items() if number > len(word)] == []
    assert [word for word, number in t5.items() if number > len(word) + 1] == []
    assert "..." not in t5


def test_words_of_our_own_are_listed() -> None:
    clip, t5 = prompt_tokens.listed_words()
    assert (clip["kanji"], clip["pikachu"], clip["shawarma"], clip["'s"]) == (2, 1, 3, 1)
    assert (t5["kanji"], t5["Pikachu"], t5["calligraphy"], t5["Japanese"]) == (3, 3, 3, 1)


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_longer_text_never_has_a_lower_bound(first: str, second: str) -> None:
    both = prompt_tokens.clip_at_most(f"{first} {second}")
    assert both == prompt_tokens.clip_at_most(first) + prompt_tokens.clip_at_most(second) - 2


@pytest.mark.parametrize("name", prompts.names("styles"))
@pytest.mark.parametrize("base", [SD15, SD35])
def test_every_shipped_style_keeps_a_subject_of_60_tokens(name: str, base: str, nowhere: dict[str, str]) -> None:
    subject = subject_of(60)
    assert prompt_tokens.clip_at_most(subject) == 62
    prompt = prompts.style(name, Path()).composed(subject)
    assert prompt_tokens.lost(subject, prompt, prompt_tokens.counter(base, nowhere)) == ()


@pytest.mark.parametrize("name", prompts.names("styles"))
def test_every_shipped_negative_prompt_fits(name: str) -> None:
    assert prompt_tokens.clip_at_most(prompts.style(name, Path()).negative) <= 77


@pytest.mark.parametrize("name", prompts.names("styles"))
def test_no_shipped_style_glues_itself_to_the_subject(name: str) -> None:
    style = prompts.style(name, Path())
    for prompt in (style.composed("Pikachu"), style.around("Pikachu")):
        assert re.search(r"(^|\s)Pikachu(\W|$)", prompt), prompt
        assert not re.search(r"\w\.\w|\.\s*\.|\s,", prompt), prompt


@pytest.mark.parametrize(("size", "is_lost"), [(35, False), (36, True)])
def test_the_prefix_of_the_first_attempt_leaves_35_tokens(size: int, is_lost: bool, nowhere: dict[str, str]) -> None:
    subject = subject_of(size)
    prompt = prompts.style("calligraphy", Path()).around(subject)
    losses = prompt_tokens.lost(subject, prompt, prompt_tokens.counter(SD15, nowhere))
    assert losses == ((Loss("CLIP-L", 78, 77, False, True),) if is_lost else ())


def test_a_loss_that_is_sure_is_told_with_its_count(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    assert "su n</w>" in MERGES
    write_clip(tmp_path / "tokenizer")
    counts = prompt_tokens.counter(str(tmp_path), {})
    losses = prompt_tokens.lost("sun", f"{subject_of(90)}, sun. {subject_of(4)[:-3]}moon", counts)
    assert prompt_tokens.warning(losses) == ""  # the prompt begins with it
    losses = prompt_tokens.lost("moon", f"{subject_of(90)} moon. sun", counts)
    assert losses == (Loss("CLIP-L", 96, 77, True, True),)
    assert prompt_tokens.warning(losses) == (
        "the subject ends at token 96 of which CLIP reads 77; put it first, or shorten the style"
    )


def test_with_a_bound_a_loss_is_what_may_be(nowhere: dict[str, str]) -> None:
    subject = subject_of(260)
    losses = prompt_tokens.lost(f" {subject}. ", f"{subject}. ink", prompt_tokens.counter(SD35, nowhere))
    assert prompt_tokens.warning(losses) == (
        "the subject may end as late as token 262 of which CLIP reads 77 and token 261 of which T5 reads 256; "
        "say it in fewer words"
    )


def test_what_is_sure_silences_what_may_be() -> None:
    losses = (
        Loss("CLIP-L", 80, 77, True, True),
        Loss("CLIP-G", 81, 77, True, True),
        Loss("T5", 300, 256, False, True),
    )
    assert prompt_tokens.warning(losses) == (
        "the subject ends at token 80 of which CLIP reads 77 and token 81 of which CLIP reads 77; "
        "put it first, or shorten the style"
    )


@pytest.mark.parametrize(
    ("subject", "prompt", "counted"),
    [
        ("cat", "cat. a cat", "cat"),
        ("cat", "a cat and a cat. ink", "a cat and a cat"),
        ("Cat,", "A Cat. ink", "A Cat"),
        ("cat", "nothing of it", "nothing of it"),
        ("", "ink", ""),
        (" . ", "ink", ""),
    ],
)
def test_the_text_up_to_the_end_of_the_subject_is_counted(subject: str, prompt: str, counted: str) -> None:
    asked: list[str] = []

    def counts(text: str) -> tuple[Count, ...]:
        asked.append(text)
        return ()

    assert prompt_tokens.lost(subject, prompt, counts) == ()
    assert asked == [counted]


def test_a_subject_whose_place_is_known_is_not_searched() -> None:
    asked: list[str] = []

    def counts(text: str) -> tuple[Count, ...]:
        asked.append(text)
        return (Count("CLIP-L", 78, 77, True, ""),)

    style = Style(prefix=" Ink painting of ", suffix=", Ink", subject="within")
    (loss,) = prompt_tokens.lost(" Ink. ", style.composed("Ink"), counts, prompt_tokens.start(style))
    assert (asked, loss.can_move) == (["Ink painting of Ink"], True)
    first = Style(prefix="of ", suffix="Ink")
    (loss,) = prompt_tokens.lost("Ink", first.composed("Ink"), counts, prompt_tokens.start(first))
    assert (asked[1:], loss.can_move) == (["Ink"], False)
