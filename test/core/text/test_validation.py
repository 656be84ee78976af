"""What counts as a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextscale_core.exceptions import InvalidTextError
from nextscale_core.text import validate_sentence
from nextscale_core.text.language import LanguageWarning


def test_white_space_is_stripped_and_collapsed() -> None:
    assert validate_sentence("  a person\t walks \n forward ") == "a person walks forward"


def test_full_width_letters_become_plain_ones() -> None:
    assert validate_sentence("\uff57\uff41\uff4c\uff4b\u3000on") == "walk on"


def test_accented_latin_letters_are_accepted() -> None:
    assert validate_sentence("a person does a plié") == "a person does a plié"


@pytest.mark.parametrize("value", [None, 3, b"a person walks", ["a"]])
def test_something_that_is_no_string_is_refused_with_its_type(value: object) -> None:
    with pytest.raises(InvalidTextError, match=type(value).__name__):
        validate_sentence(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["", "   ", "\t\n", "\u3000"])
def test_a_blank_text_is_refused(value: str) -> None:
    with pytest.raises(InvalidTextError, match="empty"):
        validate_sentence(value)


@pytest.mark.parametrize("length", [501, 10_000, 10_000_000])
def test_a_long_text_is_refused_with_its_length(length: int) -> None:
    with pytest.raises(InvalidTextError, match=str(length)):
        validate_sentence("a" * length)


def test_five_hundred_characters_are_accepted() -> None:
    assert len(validate_sentence("a" * 500)) == 500


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("a\x00b", r"U\+0000"),
        ("walk\x1b[31m", r"U\+001B"),
        ("walk\x7f", r"U\+007F"),
        ("\ufeffwalk", r"U\+FEFF"),
        ("walk \u202e back", r"U\+202E"),
        ("walk \udc80", r"U\+DC80"),
    ],
)
def test_a_control_character_is_named_by_its_code_point(value: str, code: str) -> None:
    with pytest.raises(InvalidTextError, match=code):
        validate_sentence(value)


@pytest.mark.parametrize(
    ("value", "script"),
    [("человек идёт вперёд", "Cyrillic"), ("人が歩く", "Chinese"), ("يمشي شخص", "Arabic")],
)
def test_another_script_is_refused_by_its_name(value: str, script: str) -> None:
    with pytest.raises(InvalidTextError, match=script):
        validate_sentence(value)


def test_a_sentence_that_is_mostly_in_another_script_is_refused() -> None:
    with pytest.raises(InvalidTextError, match="Cyrillic"):
        validate_sentence("человек идёт ok")


@pytest.mark.parametrize(
    ("value", "said"),
    [("ein Mann geht im Kreis", "German"), ("a person turns by π", "letters that are not Latin")],
)
def test_a_sentence_that_the_model_does_not_know_is_accepted_with_a_warning(
    value: str, said: str
) -> None:
    with pytest.warns(LanguageWarning, match=said):
        assert validate_sentence(value) == value


@pytest.mark.parametrize("value", ["...", "12345", "?! 42", "🙂🙂"])
def test_a_text_without_any_word_is_refused(value: str) -> None:
    with pytest.raises(InvalidTextError, match="no word"):
        validate_sentence(value)


@pytest.mark.filterwarnings("ignore::nextscale_core.text.language.LanguageWarning")
@given(st.text(max_size=700))
def test_any_text_is_either_cleaned_once_for_all_or_refused(value: str) -> None:
    try:
        clean = validate_sentence(value)
    except InvalidTextError:
        return
    assert validate_sentence(clean) == clean
    assert 0 < len(clean) <= 500
