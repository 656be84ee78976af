"""Captions written by rule from the measured geometry of recordings.

A thousand captioned clips hold few circles and turns; the recordings between them hold many. The
rules cut a recording into segments (`segments`, `loops`, `jumps`), keep windows with unambiguous
motion (`windows`), and describe the measurements in varied words (`segment_clauses`,
`sequences`, `clauses`).
"""

from nextscale_lab.auto_captions.recordings import (
    CaptionedWindow,
    auto_captioned_clips,
    auto_captioned_samples,
    balanced,
    caption_recording,
    captioned_windows,
)

__all__ = [
    "CaptionedWindow",
    "auto_captioned_clips",
    "auto_captioned_samples",
    "balanced",
    "caption_recording",
    "captioned_windows",
]
