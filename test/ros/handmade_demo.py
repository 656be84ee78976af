"""The demo with the hand-made motion source instead of a trained model."""

from __future__ import annotations

from functools import partial

import typer

from nextscale_ros import demo

if __name__ == "__main__":
    demo.run_demo = partial(demo.run_demo, node_module="ros.handmade")
    typer.run(demo.demo)
