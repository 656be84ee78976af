"""Two robots with the hand-made motion source, in one process."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.parameter import Parameter

from nextscale_ros.node.generate_node import THREADS, GenerateNode
from nextscale_ros.spin import serve
from ros.fake_pipeline import FakePipeline


def maker(namespace: str, robot: str) -> Callable[[], GenerateNode]:
    return lambda: GenerateNode(
        pipeline=FakePipeline(),
        namespace=namespace,
        parameter_overrides=[
            Parameter("robot", value=robot),
            Parameter("start_from_state", value=False),
        ],
    )


if __name__ == "__main__":
    serve({"left": maker("left", "g1"), "right": maker("right", "talos")}, THREADS + 2)
