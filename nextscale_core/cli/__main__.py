"""`python -m nextscale_core.cli` is the command `nextscale`."""

from nextscale_core.cli import main

main()
