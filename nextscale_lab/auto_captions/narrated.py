"""Training samples with captions written by rule from what the motion measures."""

from __future__ import annotations

import itertools

from nextscale_lab.auto_captions import narrated_clips
from nextscale_lab.data.samples import Folders, Sample, data_folders, samples_of

PER_KIND = 300
"""Windows of one kind at most; of walking forward there are thousands."""


def narrated_samples(data: Folders, mirror: bool = False, seed: int = 0) -> list[Sample]:
    """Features of the windows of CMU folders that the rules of `narration` can describe.

    Windows never touch frames of val or test clips. A folder without trials has none.

    Args:
        data: CMU folders.
        mirror: Also add the mirror image of every window, with left and right swapped.
        seed: Seed of wording and of the windows' places.
    """
    out: list[Sample] = []
    folders = [folder for folder in data_folders(data) if (folder / "trials.jsonl").is_file()]
    for narrated in itertools.chain.from_iterable(
        narrated_clips(folder, per_kind=PER_KIND, seed=seed) for folder in folders
    ):
        kind = narrated.id.split("/")[1].replace("_", " ")
        out.extend(
            samples_of(narrated.id, narrated.clip, narrated.captions, mirror=mirror, kind=kind)
        )
    return out
