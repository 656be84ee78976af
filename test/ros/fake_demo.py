"""The demo with the hand-made motion source instead of a trained model."""

from __future__ import annotations

from functools import partial

import typer

from nextscale_ros.demo import run

if __name__ == "__main__":
    run.run_demo = partial(run.run_demo, node_module="ros.fake_pipeline")
    typer.run(run.demo)
