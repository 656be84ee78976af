"""How weights are made and measured; depends on `nextscale_core`, never the reverse."""

from pathlib import Path

CONFIG = Path(__file__).parent / "config"
"""Folder of the prompt suite, the study and the annotations."""
