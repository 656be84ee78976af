"""Narration: captions written by rule from the measured geometry of recordings.

A generator that learns from a thousand captioned clips has seen few circles and few turns, while
the recordings between them hold many. Narration cuts recordings into phases (`phases`, `loops`,
`jumps`), keeps the windows in which what happens is unmistakable (`windows`), and says what it
measured in varied everyday words (`clauses`, `sequences`, `wording`).
"""

from nextscale_lab.auto_captions.recordings import (
    Narration,
    balanced,
    narrate,
    narrated_clips,
    narrations,
)

__all__ = ["Narration", "balanced", "narrate", "narrated_clips", "narrations"]
