import pytest

from kanjiprep import tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 2), ("sun", 3), ("Image", 4), ("a 12", 5), ("one, two.", 6), ("亜", 5), ("Tz'u", 5)],
)
def test_clip_is_estimated_from_letters_digits_and_bytes(text: str, expected: int) -> None:
    assert tokens.clip_tokens(text) == expected


def test_t5_is_bounded_by_characters() -> None:
    assert tokens.t5_tokens("sun 亜") == 7
    assert tokens.t5_tokens("㌍") > 5
