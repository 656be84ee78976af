"""Human motion: the clip, its skeleton, and motion files."""

from nextscale_core.motion.clip import CaptionedClip, MotionClip
from nextscale_core.motion.formats.bvh import read_bvh, write_bvh
from nextscale_core.motion.formats.files import read_motion, write_motion
from nextscale_core.motion.formats.humanml3d import read_humanml3d
from nextscale_core.motion.reading import ReadNote, ReadOptions

__all__ = [
    "CaptionedClip",
    "MotionClip",
    "ReadNote",
    "ReadOptions",
    "read_bvh",
    "read_humanml3d",
    "read_motion",
    "write_bvh",
    "write_motion",
]
