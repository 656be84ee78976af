"""The user's folder for what can be computed again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Folder for what can be computed again: NEXTSCALE_CACHE, or the user's cache folder."""
    given = os.environ.get("NEXTSCALE_CACHE")
    if given:
        return Path(given)
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "nextscale"
