"""The command `nextscale`."""

from nextscale_core.cli.app import main

__all__ = ["main"]
