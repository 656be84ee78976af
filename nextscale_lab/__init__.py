"""Training and evaluation of the models; depends on `nextscale_core`, never the reverse."""

from pathlib import Path

CONFIG = Path(__file__).parent / "config"
"""Folder of the prompt suite, the study, the annotations and the caption tables."""
