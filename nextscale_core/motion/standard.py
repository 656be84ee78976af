"""The standard skeleton: HumanML3D's bone lengths, made symmetric, in a T-pose."""

from __future__ import annotations

from nextscale_core.motion.legs import SHANK_LENGTH, THIGH_LENGTH

STANDARD_OFFSETS: dict[str, tuple[float, float, float]] = {
    "hip": (-0.018, 0.064, -0.083),
    "knee": (0.0, 0.0, -THIGH_LENGTH),
    "ankle": (0.0, 0.0, -SHANK_LENGTH),
    "foot": (0.131, 0.020, -0.055),
    "spine1": (-0.030, 0.0, 0.128),
    "spine2": (0.024, 0.0, 0.141),
    "spine3": (0.003, 0.0, 0.057),
    "neck": (-0.030, 0.0, 0.217),
    "head": (0.048, 0.0, 0.091),
    "collar": (-0.018, 0.076, 0.119),
    "shoulder": (-0.017, 0.119, 0.040),
    "elbow": (0.0, 0.260, 0.0),
    "wrist": (0.0, 0.268, 0.0),
}
"""Each joint from its parent, left side (x forward, y left, z up) [m]; the right side has the
opposite y."""
