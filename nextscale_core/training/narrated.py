"""Training samples with captions written by rule from what the motion measures."""

from __future__ import annotations

from pathlib import Path

from nextscale_core.training.data import Sample, samples_of
from nextscale_core.training.narration import narrated_clips

PER_KIND = 300
"""Windows of one kind at most; of walking forward there are thousands."""


def narrated_samples(folder: str | Path, mirror: bool = False, seed: int = 0) -> list[Sample]:
    """Features of the windows of a CMU folder that the rules of `narration` can describe.

    Windows never touch frames of val or test clips. Empty for a folder without trials.

    Args:
        folder: CMU folder.
        mirror: Also add the mirror image of every window, with left and right swapped.
        seed: Seed of wording and of the windows' places.
    """
    folder = Path(folder)
    if not (folder / "trials.jsonl").is_file():
        return []
    out: list[Sample] = []
    for narrated in narrated_clips(folder, per_kind=PER_KIND, seed=seed):
        kind = narrated.id.split("/")[1].replace("_", " ")
        out.extend(
            samples_of(narrated.id, narrated.clip, narrated.captions, mirror=mirror, kind=kind)
        )
    return out
