"""Sentences: their validation and their encoding."""

from nextscale_core.text.validation import validate_sentence

__all__ = ["validate_sentence"]
