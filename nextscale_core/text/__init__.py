"""Validation and encoding of sentences."""

from nextscale_core.text.validation import validate_sentence

__all__ = ["validate_sentence"]
