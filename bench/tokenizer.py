"""What a tokenizer keeps: error after each scale, sliding feet, recorded actions that survive.

    python bench/tokenizer.py TOKENIZER DATA [--split val] [--scales N] [--no-actions] [--json OUT]

An action survives if a recording that passes the check of its sentence (see the prompt suite)
passes it again after encoding, decoding and clean-up; recordings of all splits count. The foot
skating ratio and the jerk are those of `nextscale evaluate`.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch

from nextscale_core.model.binary_quantizer import BinaryQuantizer
from nextscale_core.model.kinds import load_tokenizer
from nextscale_core.model.tokenizer import MotionTokenizer
from nextscale_core.motion.cleanup import clean_up
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import clip_to_features, features_to_clip
from nextscale_core.npz import write_text
from nextscale_lab.data.samples import captioned_samples
from nextscale_lab.evaluate.physics import measure
from nextscale_lab.evaluate.prompt_suite import load_prompt_suite, real_rates, recorded_clips
from nextscale_lab.evaluate.reference import reference_clips
from nextscale_lab.train.tokenizer import evaluate_tokenizer

ACTIONS = {
    "punches": ("a person punches",),
    "punches with one hand": (
        "a person punches with the right hand",
        "a person punches with the left hand",
    ),
    "throws": ("a person throws a ball",),
    "kicks": ("a person kicks with the right leg", "a person kicks with the left leg"),
    "waves": ("a person waves the right hand", "a person waves the left hand"),
    "raised arms": (
        "a person raises both arms",
        "a person raises the right arm",
        "a person raises the left arm",
    ),
    "claps": ("a person claps the hands",),
    "squats, jumping jacks, marches": (
        "a person squats",
        "a person does jumping jacks",
        "a person marches with high knees",
    ),
}


def reconstruct(
    tokenizer: MotionTokenizer, clip: MotionClip, scales: int | None = None
) -> MotionClip:
    """A clip after encoding, decoding of the coarsest scales (None: of all) and clean-up."""
    features = torch.from_numpy(clip_to_features(clip))[None]
    tokens = tokenizer.encode(features)[:scales]
    decoded = tokenizer.decode(tokens, features.shape[1] // tokenizer.frames_per_latent)
    return clean_up(features_to_clip(decoded[0].numpy(), text=clip.text))


def scale_table(tokenizer: MotionTokenizer, data: Path, split: str) -> dict[str, float]:
    """Print the error after each scale; returns all metrics of `evaluate_tokenizer`."""
    figures = evaluate_tokenizer(tokenizer, captioned_samples(data, split), torch.device("cpu"))
    quantizer = tokenizer.quantizer
    schedule = quantizer.schedule
    binary = isinstance(quantizer, BinaryQuantizer)
    width = quantizer.dim if binary else math.log2(quantizer.logits)
    so_far = np.cumsum(schedule.tokens(49))
    print("| scale | divisor, groups | tokens so far, 9.8 s | bits so far | MPJPE [mm] |")
    print("|---|---|---|---|---|")
    for k, tokens in enumerate(so_far):
        cell = f"{schedule.divisors[k]}, {len(schedule.groups[k])}"
        error = figures[f"mpjpe_mm_{k + 1}"]
        print(f"| {k + 1} | {cell} | {tokens} | {tokens * width:,.0f} | {error:.1f} |")
    return figures


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--scales", type=int, help="number of scales of all but the first table")
    parser.add_argument("--no-actions", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tokenizer = load_tokenizer(options.tokenizer).eval()
    figures: dict[str, object] = dict(scale_table(tokenizer, options.data, options.split))
    clips = [c.clip for c in reference_clips(options.data, options.split)]
    real, made = (
        np.array([(m.foot_skate_ratio, m.jerk_mps3) for m in map(measure, own)]).mean(0)
        for own in (clips, [reconstruct(tokenizer, clip, options.scales) for clip in clips])
    )
    figures |= {"foot_skate_ratio": made[0], "jerk_ratio": made[1] / real[1]}
    print(f"\nfoot skating {made[0]:.1%} (recorded {real[0]:.1%}), jerk {made[1] / real[1]:.2f}")
    print(
        f"all scales: contacts {figures['contact']:.1%}, pelvis {figures['height_mm']:.1f} mm, ",
        end="",
    )
    print(f"feet at rest {figures['slide_cm_s']:.1f} cm/s\n")
    if not options.no_actions:
        wanted = {sentence: name for name, own in ACTIONS.items() for sentence in own}
        items = [item for item in load_prompt_suite() if item.sentence in wanted]
        rates = real_rates(
            recorded_clips(options.data),
            items,
            lambda clip: reconstruct(tokenizer, clip, options.scales),
        )
        print("| action | survive |\n|---|---|")
        for name, own in ACTIONS.items():
            kept, count = (sum(getattr(rates[s], f) for s in own) for f in ("passed", "count"))
            figures[name] = [kept, count]
            print(f"| {name} | {kept} of {count} |")
    if options.json:
        write_text(options.json, json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
