"""GMR on clips, in an environment of its own: gmr.py CHECKOUT CLIPS.npz RESULT.npz.

Its package imports viewers and torch; only the module of the retargeter is loaded. One retargeter
for each clip, as its scripts do. The time is that of `retarget` alone; of each clip's first frame,
which starts in the zero posture, too.
"""

from __future__ import annotations

import sys
import time
import types
from pathlib import Path

import numpy as np


def main(checkout: Path, clips: Path, result: Path) -> None:
    """Retarget every clip, the first one twice: once to warm up."""
    package = types.ModuleType("general_motion_retargeting")
    package.__path__ = [str(checkout / "general_motion_retargeting")]
    sys.modules[package.__name__] = package
    from general_motion_retargeting.motion_retarget import GeneralMotionRetargeting

    data, found = np.load(clips, allow_pickle=False), {}
    count = int(data["count"])
    for number in [0, *range(count)]:
        names, height = data["names"].tolist(), float(data[f"height_{number}"])
        retargeter = GeneralMotionRetargeting("smplx", "unitree_g1", actual_human_height=height)
        frames, seconds = [], []
        tracks = zip(data[f"position_{number}"], data[f"quaternion_{number}"], strict=True)
        for place, turn in tracks:
            human = {name: (place[n], turn[n]) for n, name in enumerate(names)}
            begin = time.process_time()
            frames.append(retargeter.retarget(human))
            seconds.append(time.process_time() - begin)
        found[f"q_{number}"], found[f"cpu_{number}"] = np.array(frames), np.array(seconds)
    model = retargeter.model
    found["joints"] = np.array([model.joint(n).name for n in range(1, model.njnt)])
    np.savez(result, **found)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
