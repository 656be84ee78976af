"""Validation of the sentences that the model accepts."""

from __future__ import annotations

import unicodedata
import warnings

from nextscale_core.exceptions import InvalidTextError
from nextscale_core.text.language import LanguageWarning, language_remark, letters_of_other_scripts

MAX_CHARACTERS = 500
"""Maximum length of a cleaned sentence [characters]; HumanML3D's captions are shorter."""

_EXAMPLE = "for example 'a person waves with the right hand'"
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_WHITE_SPACE_CONTROLS = frozenset("\t\n\r")


def validate_sentence(text: str) -> str:
    """Clean a sentence, or state why it cannot be used.

    The text is normalized to Unicode NFKC (full-width letters become plain ones), and white space
    is collapsed to single spaces and stripped at both ends.

    Args:
        text: One English sentence, at most `MAX_CHARACTERS` characters after cleaning.

    Returns:
        The cleaned sentence; cleaning it again changes nothing.

    Raises:
        InvalidTextError: not a string, blank, too long, with control or invisible characters,
            without any letter, or with fewer Latin letters than others.

    Warns:
        LanguageWarning: the sentence is probably not English, or a few letters are not Latin.
    """
    if not isinstance(text, str):
        raise InvalidTextError(f"text must be a string, got {type(text).__name__}; {_EXAMPLE}")
    # Texts of megabytes are refused before the checks of each character.
    if len(text) > 20 * MAX_CHARACTERS:
        raise InvalidTextError(_too_long(len(text)))
    _refuse_control_characters(text)
    clean = " ".join(unicodedata.normalize("NFKC", text).split())
    if not clean:
        raise InvalidTextError(f"text is empty; write one English sentence, {_EXAMPLE}")
    if len(clean) > MAX_CHARACTERS:
        raise InvalidTextError(_too_long(len(clean)))
    _refuse_text_without_words(clean)
    remark = language_remark(clean)
    if remark:
        warnings.warn(remark, LanguageWarning, stacklevel=2)
    return clean


def _too_long(length: int) -> str:
    return (
        f"text is {length} characters long, at most {MAX_CHARACTERS} are allowed; "
        "describe one motion in one or two sentences"
    )


def _refuse_control_characters(text: str) -> None:
    for position, character in enumerate(text):
        if character in _WHITE_SPACE_CONTROLS:
            continue
        if unicodedata.category(character) in _REFUSED_CATEGORIES:
            name = unicodedata.name(character, "no printable character")
            raise InvalidTextError(
                f"text holds the control character U+{ord(character):04X} ({name}) at position "
                f"{position}; use printable characters only"
            )


def _refuse_text_without_words(clean: str) -> None:
    letters = [c for c in clean if unicodedata.category(c).startswith("L")]
    if not letters:
        raise InvalidTextError(
            f"text {_shorten(clean)!r} holds no word, only digits, signs or punctuation; "
            f"write one English sentence, {_EXAMPLE}"
        )
    others = letters_of_other_scripts(clean)
    if 2 * len(others) > len(letters):
        script = unicodedata.name(others[0], "other").split()[0].capitalize()
        script = "Chinese" if script == "Cjk" else script
        raise InvalidTextError(
            f"text {_shorten(clean)!r} is written in {script} letters, but the model reads "
            f"English; write the sentence in English, {_EXAMPLE}"
        )


def _shorten(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
