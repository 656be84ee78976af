"""Benchmark of edits of body parts: does the part follow, does the rest stay; in Markdown.

    python bench/edits.py --data DATA [--models NAME,NAME] [--clips 60] [--json OUT]

Each clip of val is edited by each sentence below; clips that pass the sentence's check before are
left out. Columns: edits after which the check of the prompt suite passes; mean distance of the
joints of other parts to the clip before they are put back, the root aligned in every frame; share
of frames in which a low foot slides; mean change of the joints' velocity at the seams of an edit
of the middle third.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nextscale_core.editing.complete import complete
from nextscale_core.editing.part_tokens import regenerate_parts
from nextscale_core.model.options import GenerationOptions
from nextscale_core.motion.body_parts import joints_of, moved_along
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import POSITIONS, clip_to_features
from nextscale_core.motion.skeleton import FPS, MAX_SECONDS, MIN_SECONDS
from nextscale_core.npz import write_text
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.stopwatch import Run
from nextscale_lab.evaluate.checks import apply_check
from nextscale_lab.evaluate.physics import measure
from nextscale_lab.evaluate.prompt_suite import load_prompt_suite
from nextscale_lab.evaluate.reference import reference_clips

EDITS = {
    "a person waves the right hand": ("right_arm",),
    "a person waves the left hand": ("left_arm",),
    "a person raises both arms": ("arms",),
    "a person punches": ("arms",),
    "a person kicks with the right leg": ("right_leg",),
}
"""Sentences of the prompt suite, and the parts that they change."""


def raw(
    model: MotionPipeline, clip: MotionClip, text: str, moved: np.ndarray, seed: int
) -> MotionClip:
    """The motion that the model makes, before the joints of other parts are put back."""
    known, options = np.zeros(len(clip), dtype=bool), GenerationOptions(seed=seed)
    if model.tokenizer.quantizer.schedule.parts > 1:
        return regenerate_parts(model, clip, known, moved, text, options, Run())
    return complete(model, clip, known, text, options, Run())


def others_moved(before: MotionClip, after: MotionClip, moved: np.ndarray) -> float:
    """Mean distance of the joints that are not to move, the root aligned in every frame [mm]."""
    one, two = (clip_to_features(clip)[:, POSITIONS] for clip in (before, after))
    length = min(len(one), len(two))
    apart = (one[:length] - two[:length]).reshape(length, 21, 3)[:, ~moved_along(moved)[1:]]
    return float(np.linalg.norm(apart, axis=-1).mean()) * 1000 if apart.size else float("nan")


def seam(clip: MotionClip, frames: Sequence[int]) -> float:
    """Mean change of the joints' velocity at some frames [m/s]."""
    change = np.linalg.norm(np.diff(clip.joints, 2, axis=0), axis=-1) * FPS
    return float(np.mean([change[frame - 2 : frame].mean() for frame in frames]))


def rows(model: MotionPipeline, clips: Sequence[MotionClip]) -> dict[str, dict[str, float]]:
    """Figures of each sentence."""
    items = {item.sentence: item for item in load_prompt_suite()}
    out = {}
    for text, parts in EDITS.items():
        item, moved = items[text], joints_of(parts)
        found = []
        for seed, clip in enumerate(tqdm(clips, desc=f"{model.name}: {text}")):
            if apply_check(item.check, clip, item.thresholds).passed:
                continue
            edited = model.edit(clip, text, parts=parts, seed=seed)
            third = len(clip) // 3
            times = (third / FPS, 2 * third / FPS)
            spanned = model.edit(clip, text, parts=parts, span=times, seed=seed)
            found.append(
                (
                    float(apply_check(item.check, edited, item.thresholds).passed),
                    others_moved(clip, raw(model, clip, text, moved, seed), moved),
                    measure(edited).foot_skate_ratio,
                    seam(spanned, (third, 2 * third)),
                )
            )
        names = ("followed", "others_mm", "foot_skate", "seam_mps")
        means = np.mean(found, axis=0).tolist() if found else [float("nan")] * len(names)
        out[text] = {"edits": len(found), **dict(zip(names, means, strict=True))}
    return out


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", default="moscale-cmu,scalemogen-cmu")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    longest = round(MAX_SECONDS * FPS)
    val = [
        own.clip.slice(0, min(len(own.clip), longest))
        for own in reference_clips(options.data, "val")
    ]
    val = [clip for clip in val if clip.seconds >= MIN_SECONDS][: options.clips]
    figures = {
        name: rows(MotionPipeline.from_pretrained(name), val) for name in options.models.split(",")
    }
    print("| model | sentence | edits | followed | others before, mm | foot skating | seam, m/s |")
    print("|---|---|---|---|---|---|---|")
    for name, own in figures.items():
        for text, row in own.items():
            cells = f"{row['followed']:.0%} | {row['others_mm']:.0f} | {row['foot_skate']:.1%}"
            print(f"| {name} | {text} | {row['edits']} | {cells} | {row['seam_mps']:.2f} |")
    recorded = np.mean(
        [[measure(c).foot_skate_ratio, seam(c, (len(c) // 3,))] for c in val], axis=0
    )
    print(f"\nrecorded: foot skating {recorded[0]:.1%}, {recorded[1]:.2f} m/s at a third")
    if options.json:
        write_text(options.json, json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
