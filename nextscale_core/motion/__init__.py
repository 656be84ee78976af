"""Human motion: the clip, its skeleton, and the files it comes from."""

from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.dataset import CaptionedClip
from nextscale_core.motion.formats.bvh import read_bvh, write_bvh
from nextscale_core.motion.formats.files import read_motion, write_motion
from nextscale_core.motion.formats.humanml3d import read_humanml3d
from nextscale_core.motion.reading import ReadOptions, Remark

__all__ = [
    "CaptionedClip",
    "MotionClip",
    "ReadOptions",
    "Remark",
    "read_bvh",
    "read_humanml3d",
    "read_motion",
    "write_bvh",
    "write_motion",
]
