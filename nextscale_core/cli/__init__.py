"""The command `nextscale`."""

from __future__ import annotations

import os
import signal

__all__ = ["main"]


def main() -> None:
    """Run the command line; Ctrl-C ends it quietly also during its imports, which take a second."""
    usual = signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from nextscale_core.cli.app import main as run

    signal.signal(signal.SIGINT, usual)
    run()
