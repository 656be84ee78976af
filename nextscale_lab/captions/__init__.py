"""Captions in plain English, and paraphrases of them."""
