"""Rank of this process, without torch."""

from __future__ import annotations

import os


def is_main_process() -> bool:
    """Whether this process writes and prints: the only one, or rank 0 of several."""
    return int(os.environ.get("RANK", "0")) == 0
