"""OmniRetarget on clips, in an environment of its own: holosoma.py CLIPS.npz RESULT.npz.

Runs the program of holosoma-retargeting on motions without objects. Packages that this program
imports and does not use for such motions (torch, smplx) are replaced by empty modules. The time is
that of `retarget_motion`: without reading files, loading the robot and scaling.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
import types
from pathlib import Path

import numpy as np


def main(clips: Path, result: Path) -> None:
    """Retarget every clip, the first one's first frames twice: once to warm up."""
    for name in ("torch", "smplx"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["torch"].Tensor = type("Tensor", (), {})
    import holosoma_retargeting.examples.robot_retarget as program

    retargeter, seconds = program.InteractionMeshRetargeter, []
    retarget = retargeter.retarget_motion

    def timed(self, **arguments):
        begin = time.process_time()
        retarget(self, **arguments)
        seconds.append(time.process_time() - begin)

    retargeter.retarget_motion = timed
    # The paths of its models are relative to the package.
    os.chdir(Path(program.__file__).parents[1])
    data, found = np.load(clips, allow_pickle=False), {}
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(sys.stderr):
        folder = Path(name)
        for number in [-1, *range(int(data["count"]))]:
            joints, height = data[f"joints_{max(number, 0)}"], data[f"height_{max(number, 0)}"]
            joints = joints if number >= 0 else joints[:5]
            np.savez(folder / "clip.npz", global_joint_positions=joints, height=height)
            program.main(
                program.RetargetingConfig(
                    data_path=folder,
                    task_type="robot_only",
                    task_name="clip",
                    data_format="smplx",
                    save_dir=folder / "out",
                )
            )
            if number >= 0:
                found[f"q_{number}"] = np.load(folder / "out" / "clip.npz", allow_pickle=False)[
                    "qpos"
                ]
                found[f"cpu_{number}"] = np.array([seconds[-1]])
    import mujoco

    model = mujoco.MjModel.from_xml_path("models/g1/g1_29dof.xml")
    found["joints"] = np.array([model.joint(n).name for n in range(1, model.njnt)])
    np.savez(result, **found)


if __name__ == "__main__":
    main(*(Path(name).resolve() for name in sys.argv[1:3]))
