"""Generate a human motion from a sentence, save it as .npz and .bvh and draw it.

python examples/generate.py "a person waves with the right hand" out
"""

import sys
from pathlib import Path

from nextscale_core import MotionPipeline
from nextscale_core.motion import write_motion
from nextscale_core.viz import draw_human

text, folder = sys.argv[1], Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)

pipeline = MotionPipeline.from_pretrained("moscale-cmu")
clip = pipeline.generate(text, seed=1)  # clip.joints: (T, 22, 3) [m], z up, 20 frames per second
write_motion(clip, folder / "motion.npz")
write_motion(clip, folder / "motion.bvh")
draw_human(clip, folder / "motion.png")
print(f"{len(clip)} frames, {clip.seconds:.1f} s, written to {folder}")
