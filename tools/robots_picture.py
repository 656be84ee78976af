"""Draw every robot of the package in its nominal posture: docs/images/robots.png.

Run from the repository root: python tools/robots_picture.py [FILE]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nextscale_core.robots import Robot, RobotTrajectory, list_robots, load_robot
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.viz import draw_robot

HEIGHT = 300
"""Of a robot in the picture [pixels]."""


def standing(robot: Robot) -> RobotTrajectory:
    """The robot standing still for two samples."""
    still = Poses(np.zeros((1, 3)), np.eye(3)[None], robot.nominal[None])
    height = -float(kinematics_of(robot).lowest_sole(still)[0])
    return RobotTrajectory(
        robot=robot.name,
        joint_names=robot.joint_names,
        positions=np.repeat(robot.nominal[None], 2, axis=0),
        velocities=np.zeros((2, robot.num_joints)),
        time_from_start=np.array([0.0, 0.02]),
        base_position=np.tile([0.0, 0.0, height], (2, 1)),
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (2, 1)),
        fps=50.0,
        text=" ",
    )


def portrait(robot: Robot, folder: Path) -> Image.Image:
    """The first figure of the strip that `draw_robot` draws, cut out and scaled."""
    path = folder / f"{robot.name}.png"
    draw_robot(robot, standing(robot), path)
    strip = Image.open(path).convert("RGB")
    pixels = np.asarray(strip).astype(int)
    top = int(0.12 * strip.height)
    # The floor is a light grey band and the frame of the map a light line: figures are darker
    # or coloured.
    body = (pixels.min(2) < 205)[top : int(0.84 * strip.height)]
    columns = np.flatnonzero(body.sum(0) > 1)
    gap = np.flatnonzero(np.diff(columns) > 12)
    columns = columns[: gap[0] + 1] if len(gap) else columns
    rows = np.flatnonzero(body[:, columns].any(1)) + top
    box = (columns[0] - 6, rows[0] - 6, columns[-1] + 7, rows[-1] + 8)
    figure = strip.crop(box)
    return figure.resize((round(figure.width * HEIGHT / figure.height), HEIGHT))


def main() -> None:
    """Draw all robots side by side."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/images/robots.png")
    names = list_robots()
    with tempfile.TemporaryDirectory() as folder:
        figures = [portrait(load_robot(name), Path(folder)) for name in names]
    width = max(figure.width for figure in figures) + 12
    picture = Image.new("RGB", (width * len(names), HEIGHT + 34), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(14)
    for column, (name, figure) in enumerate(zip(names, figures, strict=True)):
        middle = column * width + width // 2
        picture.paste(figure, (middle - figure.width // 2, 4))
        draw.text((middle, HEIGHT + 18), name, fill="black", font=font, anchor="mm")
    out.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(128).save(out, optimize=True)
    print(f"{out}: {picture.width} x {picture.height}, {out.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
