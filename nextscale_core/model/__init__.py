"""Text (and known tokens) to tokens."""
