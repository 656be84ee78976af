"""`CaptionedClip`: what every data set reader yields."""

from __future__ import annotations

from dataclasses import dataclass

from nextscale_core.motion.clip import MotionClip


@dataclass(frozen=True)
class CaptionedClip:
    """A motion, what people say of it, and the split it belongs to.

    Attributes:
        id: Name of the clip in its data set.
        split: 'train', 'val' or 'test'.
        captions: Sentences, best first; may be empty.
        clip: The motion at 20 fps, z up, floor at z = 0.
    """

    id: str
    split: str
    captions: tuple[str, ...]
    clip: MotionClip
