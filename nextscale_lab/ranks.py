"""Who is who among several processes, before torch is loaded or the processes are joined."""

from __future__ import annotations

import os


def is_main_process() -> bool:
    """Whether this is the only process or the one of several that writes and prints."""
    return int(os.environ.get("RANK", "0")) == 0
