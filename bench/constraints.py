"""Benchmark of generation with constraints; prints a table in Markdown.

    python bench/constraints.py [--cases 200] [--out constraints.jsonl]

Case n: a sentence of the prompt suite is generated with seed n, once without and once with a
constraint that another motion of the sentence (seed 100000 + n) meets: its pose, its place on the
floor, or the place of a hand or foot at a random time, places being moved by about 10 cm. So a
motion that says the sentence and meets the constraint exists. Kinds take turns.

Sliding is the mean speed along the floor of feet whose ball is less than 5 cm high. With --out,
each case is written as a line of JSON, and cases that the file has are not run again.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.constraints import BODIES, Constraint, Keyframe, Target, Waypoint
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.skeleton import FPS
from nextscale_core.pipeline import MotionPipeline
from nextscale_lab.evaluate.checks import apply_check
from nextscale_lab.evaluate.prompt_suite import load_prompt_suite

KINDS = ("keyframe", "waypoint", "hand", "waypoint and heading", "foot", "all")
NOISE = 0.08
"""Standard deviation of a moved place along each axis [m]."""


def drawn(kind: str, source: MotionClip, length: int, seed: int) -> list[Constraint]:
    """Constraints of a kind that a motion meets, or nearly."""
    rng = np.random.default_rng(seed)
    last = min(len(source), length) - 1
    frames = np.sort(rng.choice(np.arange(10, last), size=3, replace=False))
    if kind == "all":
        # At least 0.75 s apart.
        frames = np.array([10, 10 + (last - 10) // 2, last])
        kinds = [str(one) for one in rng.permutation(("keyframe", "waypoint", "hand"))]
    else:
        frames, kinds = frames[:1], [kind]
    out: list[Constraint] = []
    for frame, one in zip(frames.tolist(), kinds, strict=True):
        pose = source.joints[frame].astype(np.float64)
        moved = rng.normal(0.0, NOISE, 3)
        side, at = str(rng.choice(["left", "right"])), frame / FPS
        if one == "keyframe":
            out.append(Keyframe(at, pose))
        elif one in ("hand", "foot"):
            place = pose[BODIES[f"{side}_{one}"]] + moved
            place[2] = max(place[2], 0.05 if one == "hand" else 0.02)
            out.append(Target(at, f"{side}_{one}", (place[0], place[1], place[2])))
        else:
            heading = float(heading_yaw(pose[None])[0]) if "heading" in one else None
            out.append(Waypoint(at, pose[0, 0] + moved[0], pose[0, 1] + moved[1], heading))
    return out


def jerk(joints: np.ndarray) -> float:
    """Mean jerk of all joints [m/s3]."""
    return float(np.linalg.norm(np.diff(joints, 3, axis=0), axis=-1).mean() * FPS**3)


def sliding(joints: np.ndarray) -> float:
    """Mean speed along the floor of low feet [cm/s]."""
    balls = joints[:, [BODIES["left_foot"], BODIES["right_foot"]]]
    speed = np.linalg.norm(np.diff(balls[..., :2], axis=0), axis=-1) * FPS
    low = (balls[1:, :, 2] < 0.05) & (balls[:-1, :, 2] < 0.05)
    return float(100.0 * speed[low].mean()) if low.any() else 0.0


def case(pipeline: MotionPipeline, number: int) -> dict[str, Any]:
    """Figures of one case."""
    items = load_prompt_suite()
    item, kind = items[number % len(items)], KINDS[number % len(KINDS)]
    texts = [item.sentence] * 2
    free, source = pipeline.generate_batch(texts, seeds=[number, 100_000 + number])
    constraints = drawn(kind, source, len(free), number)
    begin = time.perf_counter()
    clip = pipeline.generate(item.sentence, constraints=constraints, seed=number)
    took = time.perf_counter() - begin
    motions = {"free": free, "constrained": clip}
    return {
        "case": number,
        "kind": kind,
        "sentence": item.sentence,
        "seconds": took,
        "residuals": [
            {"of": str(one.constraint), "distance": one.distance, "heading": one.heading,
             "met": one.met}
            for one in clip.residuals
        ],
        **{f"{name} passes": apply_check(item.check, motion, item.thresholds).passed
           for name, motion in motions.items()},
        **{f"{name} jerk": jerk(motion.joints) for name, motion in motions.items()},
        **{f"{name} sliding": sliding(motion.joints) for name, motion in motions.items()},
    }  # fmt: skip


def table(cases: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Rows: what was met by kind of constraint, and the motions beside those without."""
    rows = []
    every = [one for found in cases for one in found["residuals"]]
    for kind in ("keyframe", "waypoint", "hand", "foot"):
        own = [one for one in every if kind in one["of"]]
        if own:
            away = 100 * np.array([one["distance"] for one in own])
            turn = [one["heading"] for one in own if one["heading"] is not None]
            facing = f"; heading worst {math.degrees(max(turn)):.1f} deg" if turn else ""
            met = sum(one["met"] for one in own)
            rows.append(
                (f"{kind}: met", f"{met} of {len(own)}; 95th percentile "
                 f"{np.percentile(away, 95):.1f} cm, worst {away.max():.1f} cm{facing}")
            )  # fmt: skip
    for kind in (*KINDS, ""):
        own_cases = [found for found in cases if kind in ("", found["kind"])]
        before = [found for found in own_cases if found["free passes"]]
        kept = sum(found["constrained passes"] for found in before)
        after = sum(found["constrained passes"] for found in own_cases)
        if before:
            rows.append(
                (f"{kind or 'all cases'}: sentence's check passes",
                 f"{kept} of {len(before)} that pass without ({100 * kept / len(before):.0f} %); "
                 f"{after} of {len(own_cases)} in total")
            )  # fmt: skip
    for name, unit in (("jerk", "m/s3"), ("sliding", "cm/s")):
        pair = [np.array([found[f"{way} {name}"] for found in cases])
                for way in ("free", "constrained")]  # fmt: skip
        text = ", ".join(f"mean {p.mean():.1f}, median {np.median(p):.1f}" for p in pair)
        rows.append((f"{name}, without and with constraints", f"{text} {unit}"))
    rows.append(
        ("time with constraints, median", f"{np.median([f['seconds'] for f in cases]):.1f} s")
    )
    return rows


def main() -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--model", default="moscale-cmu")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    done: list[dict[str, Any]] = []
    if options.out is not None and options.out.exists():
        done = [json.loads(line) for line in options.out.read_text().splitlines()]
    known = {found["case"] for found in done}
    pipeline = MotionPipeline.from_pretrained(options.model)
    for number in tqdm([n for n in range(options.cases) if n not in known]):
        done.append(case(pipeline, number))
        if options.out is not None:
            with options.out.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
    print(f"\n| {len(done)} cases | |\n|---|---|")
    for row in table(done):
        print(f"| {row[0]} | {row[1]} |")


if __name__ == "__main__":
    main()
