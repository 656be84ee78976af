"""Benchmark of continuation, in-betweening and chaining; prints a table in Markdown.

    python bench/continuation.py --data DATA/cmu [--split val] [--seeds 2] [--only prefix,chain]

Errors are distances of joints to the recorded motion [m], averaged over joints, frames and clips.
'generate, then blend' is the alternative without completion: an unconditional motion moved to the
known frames and joined by the same seams. Absolute times depend on the machine, ratios do not.
"""

from __future__ import annotations

import argparse
import resource
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from nextscale_core.editing.bone_lengths import median_bones, with_bones
from nextscale_core.editing.frame_mask import Timeline
from nextscale_core.editing.ground_transform import GroundTransform
from nextscale_core.editing.seams import assemble
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import canonicalize
from nextscale_core.motion.skeleton import FPS, NUM_JOINTS, PARENTS
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.stopwatch import Run, Stopwatch
from nextscale_lab.data.cmu import read_cmu
from nextscale_lab.evaluate.prompt_suite import load_prompt_suite, run_prompt_suite

SECOND, FRAMES = 20, 100
SCRIPT = [
    "a person walks forward", "a person waves with the right hand", "a person turns around",
    "a person jumps", "a person squats down", "a person stands still", "a person walks in a circle",
    "a person kicks with the right leg", "a person runs forward", "a person stops and stands",
    "a person walks backward", "a person raises both arms", "a person steps to the left",
    "a person bends down", "a person marches in place", "a person walks quickly",
    "a person turns left", "a person hops on one leg", "a person sits down", "a person stands up",
]  # fmt: skip

Rows = list[tuple[str, str]]
Recorded = list[tuple[np.ndarray, str]]


def recorded(data: Path, split: str) -> Recorded:
    """The first 5 s and the first caption of every clip of at least 5 s."""
    return [
        (item.clip.joints[:FRAMES].astype(np.float64), item.captions[0])
        for item in read_cmu(data, split)
        if len(item.clip) >= FRAMES and item.captions
    ]


def jumps(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T - 2, 22) change of velocity [m/s] and (T - 3, 22) of acceleration [m/s2] by frame."""
    speed = np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1) * FPS
    return speed, np.linalg.norm(np.diff(joints, 3, axis=0), axis=-1) * FPS**2


class Seams:
    """Jumps at seams against the percentiles of recorded motion, joint by joint."""

    def __init__(self, clips: Recorded) -> None:
        both = [jumps(joints) for joints, _ in clips]
        self.real = [np.concatenate([pair[kind] for pair in both]) for kind in (0, 1)]

    def over(self, joints: np.ndarray, seams: Sequence[int], percentile: float) -> list[float]:
        """Share of joints at seams (first frame after each) with a larger jump, by kind."""
        out = []
        for kind, found in enumerate(jumps(joints)):
            limit = np.percentile(self.real[kind], percentile, axis=0)
            # All differences that have frames on both sides.
            near = np.concatenate([np.arange(s - 2 - kind, s) for s in seams])
            out.append(float((found[near] > limit).mean()))
        return out

    def mean_ratio(
        self, joints: np.ndarray, seams: Sequence[int], percentile: float
    ) -> list[float]:
        """Largest jump at any seam, averaged over joints, relative to recorded motion."""
        out = []
        for kind, found in enumerate(jumps(joints)):
            limit = np.percentile(self.real[kind].mean(axis=1), percentile)
            near = np.concatenate([np.arange(s - 2 - kind, s) for s in seams])
            out.append(float(found[near].mean(axis=1).max() / limit))
        return out


def error(joints: np.ndarray, truth: np.ndarray, frames: slice) -> float:
    """Mean distance of the joints in some frames [m]."""
    return float(np.linalg.norm(joints[frames] - truth[frames], axis=-1).mean())


def prefix(pipeline: MotionPipeline, clips: Recorded, seeds: int, seams: Seams) -> Rows:
    """1 s known: the first 0.5 s after the seam, and the seam itself."""
    found: dict[str, list[float]] = {}
    over: list[list[float]] = []
    ratios: list[list[float]] = []
    after = slice(SECOND, SECOND + 10)
    known = np.arange(FRAMES) < SECOND
    for truth, text in tqdm(clips, "prefix"):
        timeline = Timeline.build(MotionClip(truth), known)
        for seed in range(seeds):
            free = pipeline.generate(text, seconds=FRAMES / FPS, seed=seed).joints
            free = free.astype(np.float64)
            late = np.concatenate([np.repeat(free[:1], SECOND, axis=0), free[: FRAMES - SECOND]])
            done = pipeline.complete(MotionClip(truth), known, text, seed=seed).joints
            ways = {"completed": done.astype(np.float64)}
            for name, motion in (("same time", free), ("from its start", late)):
                fit = slice(SECOND - 3, SECOND)
                ways[f"unconditional, {name}"] = GroundTransform.fit(motion[fit], truth[fit])(
                    motion
                )
                ways[f"generate, then blend, {name}"] = assemble(timeline, motion, FPS)[0]
            for name, joints in ways.items():
                found.setdefault(name, []).append(error(joints, truth, after))
            over.append(seams.over(ways["completed"], [SECOND], 95))
            ratios.append(seams.mean_ratio(ways["completed"], [SECOND], 95))
    rows = [(f"prefix 1 s: error in the next 0.5 s, {k}", _metres(v)) for k, v in found.items()]
    best = np.min([v for k, v in found.items() if "blend" in k], axis=0)
    nearer = float(np.mean(np.array(found["completed"]) < best))
    return [
        *rows,
        ("prefix 1 s: nearer than both ways of blending", f"{100 * nearer:.0f} % of clips"),
        *_seam_rows("prefix", over, ratios, seams, clips, [SECOND]),
    ]


def in_between(pipeline: MotionPipeline, clips: Recorded, seeds: int, seams: Seams) -> Rows:
    """1 s known at both ends: error in the middle 0.5 s of the gap."""
    rows: Rows = []
    for gap in (SECOND, 3 * SECOND):
        found: dict[str, list[float]] = {}
        over: list[list[float]] = []
        ratios: list[list[float]] = []
        total = gap + 2 * SECOND
        known = np.ones(total, dtype=bool)
        known[SECOND : SECOND + gap] = False
        middle = slice(total // 2 - 5, total // 2 + 5)
        for truth, text in tqdm(clips, f"in-between {gap / FPS:g} s"):
            truth = truth[:total]
            timeline = Timeline.build(MotionClip(truth), known)
            straight = {"linear": timeline.joints, "slerp": slerped(timeline)}
            for name, joints in straight.items():
                found.setdefault(name, []).append(error(joints, truth, middle))
            for seed in range(seeds):
                free = pipeline.generate(text, seconds=total / FPS, seed=seed).joints
                blended = assemble(timeline, free[:total].astype(np.float64), FPS)[0]
                done = pipeline.complete(MotionClip(truth), known, text, seed=seed).joints
                for name, joints in (("generate, then blend", blended), ("completed", done)):
                    found.setdefault(name, []).append(error(joints, truth, middle))
                both = (done.astype(np.float64), [SECOND, SECOND + gap], 95)
                over.append(seams.over(*both))
                ratios.append(seams.mean_ratio(*both))
        name = f"in-between {gap / FPS:g} s"
        rows += [(f"{name}: error in the middle, {k}", _metres(v)) for k, v in found.items()]
        rows += _seam_rows(name, over, ratios, seams, clips, [SECOND, SECOND + gap])
    return rows


def slerped(timeline: Timeline) -> np.ndarray:
    """The gap filled with the pelvis on a line and every bone turning at a constant rate."""
    joints = timeline.joints.copy()
    for start, stop in timeline.gaps:
        share = (np.arange(start, stop) - start + 1)[:, None] / (stop - start + 1)
        for joint in range(1, NUM_JOINTS):
            bones = joints[:, joint] - timeline.joints[:, PARENTS[joint]]
            first, last = (
                timeline.joints[t, joint] - timeline.joints[t, PARENTS[joint]]
                for t in (start - 1, stop)
            )
            a, b = first / np.linalg.norm(first), last / np.linalg.norm(last)
            angle = max(float(np.arccos(np.clip(a @ b, -1.0, 1.0))), 1e-6)
            bones = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
            joints[start:stop, joint] = joints[start:stop, PARENTS[joint]] + bones
        lengths = np.tile(median_bones(timeline.joints[timeline.known]), (stop - start, 1))
        joints[start:stop] = with_bones(joints[start:stop], lengths)
    return joints


class Prefixed:
    """A pipeline whose motions continue a known one; the known part is removed again."""

    def __init__(self, pipeline: MotionPipeline, known: MotionClip) -> None:
        self.pipeline, self.known = pipeline, known

    def generate_batch(self, texts: Sequence[str], *, seeds: Sequence[int]) -> list[MotionClip]:
        """One motion per text and seed."""
        clips = []
        for text, seed in zip(texts, seeds, strict=True):
            done = self.pipeline.complete(self.known, None, text, seed=seed)
            clips.append(canonicalize(done.slice(len(self.known), len(done))))
        return clips


def battery(pipeline: MotionPipeline, clips: Recorded, seeds: int) -> Rows:
    """Pass rate after 1 s of standing or walking, relative to that without a prefix."""
    items = load_prompt_suite()
    second = [joints[:SECOND] for joints, _ in clips]
    moved = [float(np.linalg.norm(np.diff(j, axis=0), axis=-1).max()) for j in second]
    ways = [float(np.linalg.norm(j[-1, 0, :2] - j[0, 0, :2])) for j in second]
    starts = {
        "standing": int(np.argmin(moved)),
        "walking": int(np.argmin(np.abs(np.array(ways) - 1.2))),
    }
    bar = tqdm(total=3 * len(items) * seeds, desc="battery")

    def show(done: int, total: int) -> None:
        bar.update(seeds)

    plain = run_prompt_suite(pipeline, items, range(seeds), show).rate
    rows = [("battery: pass rate without a prefix", f"{100 * plain:.1f} %")]
    for name, index in starts.items():
        known = Prefixed(pipeline, MotionClip(second[index]))
        rate = run_prompt_suite(known, items, range(seeds), show).rate
        text = f"{100 * rate:.1f} %, {100 * rate / plain:.0f} % of that without"
        rows.append((f"battery: pass rate after 1 s of {name}", text))
    return rows


def latency(pipeline: MotionPipeline, clips: Recorded, repeats: int = 10) -> Rows:
    """Time of completing 5 s with 1 s known, relative to generating 5 s."""
    known = MotionClip(clips[0][0][:SECOND])
    ways: dict[str, Callable[[int, Stopwatch], MotionClip]] = {
        "generate": lambda seed, watch: pipeline.generate(
            SCRIPT[0], seconds=5.0, seed=seed, run=Run(watch)
        ),
        "complete": lambda seed, watch: pipeline.complete(
            known, None, SCRIPT[0], seconds=5.0, seed=seed, run=Run(watch)
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for run in tqdm(range(-1, repeats), "latency"):
        for name, call in ways.items():
            watch = Stopwatch()
            call(max(run, 0), watch)
            if run >= 0:
                times[name].append(watch.total)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratio = statistics.median(
        a / b for a, b in zip(times["complete"], times["generate"], strict=True)
    )
    return [
        ("latency of 5 s, generate / complete", " / ".join(f"{v:.2f} s" for v in medians.values())),
        ("latency, complete to generate (median of pairs)", f"{ratio:.2f}x"),
    ]


def chain(pipeline: MotionPipeline, seams: Seams) -> Rows:
    """20 sentences of 6 s: floor (median height of the balls of standing feet), seams, memory."""
    pieces, memory, floors = [], [], []
    script = [(text, 6.0) for text in SCRIPT]
    for piece in tqdm(pipeline.stream(script, seed=0), "chain", total=len(script)):
        pieces.append(piece.joints.astype(np.float64))
        if piece.contacts is not None and piece.contacts[:, [1, 3]].any():
            floors.append(float(np.median(piece.joints[:, [10, 11], 2][piece.contacts[:, [1, 3]]])))
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    joints = np.concatenate(pieces)
    at = np.cumsum([len(piece) for piece in pieces])[:-1].tolist()
    over, ratio = seams.over(joints, at, 99), seams.mean_ratio(joints, at, 99)
    return [
        ("chain: sentences, length", f"{len(pieces)}, {len(joints) / FPS:.0f} s"),
        ("chain: floor, last against first piece", f"{100 * abs(floors[-1] - floors[0]):.1f} cm"),
        ("chain: floor, highest against lowest piece", f"{100 * np.ptp(floors):.1f} cm"),
        ("chain: joints at seams over the real 99th percentile, velocity / acceleration",
         " / ".join(f"{100 * v:.1f} %" for v in over)),
        ("chain: worst seam to the real 99th percentile, velocity / acceleration",
         " / ".join(f"{v:.2f}" for v in ratio)),
        ("chain: memory after 5 pieces, at the end", f"{memory[4]:.0f}, {memory[-1]:.0f} MiB"),
    ]  # fmt: skip


def _metres(values: list[float]) -> str:
    return f"{np.mean(values):.3f} m (median {np.median(values):.3f})"


def _seam_rows(
    name: str,
    over: list[list[float]],
    ratios: list[list[float]],
    seams: Seams,
    clips: Recorded,
    at: list[int],
) -> Rows:
    """Seams against the 95th percentile, and recorded motion at the same frames."""

    def percent(values: np.ndarray) -> str:
        return " / ".join(f"{100 * v:.1f} %" for v in values)

    real_over = np.mean([seams.over(joints, at, 95) for joints, _ in clips], axis=0)
    real = np.array([seams.mean_ratio(joints, at, 95) for joints, _ in clips])
    what = f"{name}: seams over the real 95th percentile, velocity / acceleration"
    return [
        (f"{what}: joints", f"{percent(np.mean(over, axis=0))}; recorded {percent(real_over)}"),
        (
            f"{what}: their mean",
            f"{percent(np.mean(np.array(ratios) > 1.0, axis=0))}; "
            f"recorded {percent(np.mean(real > 1.0, axis=0))}",
        ),
    ]


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="moscale-cmu")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--only", default="prefix,in-between,battery,latency,chain")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    pipeline = MotionPipeline.from_pretrained(options.model)
    clips = recorded(options.data, options.split)[: options.clips]
    seams = Seams(recorded(options.data, "train"))
    parts: dict[str, Callable[[], Rows]] = {
        "prefix": lambda: prefix(pipeline, clips, options.seeds, seams),
        "in-between": lambda: in_between(pipeline, clips, options.seeds, seams),
        "battery": lambda: battery(pipeline, clips, options.seeds),
        "latency": lambda: latency(pipeline, clips),
        "chain": lambda: chain(pipeline, seams),
    }
    rows: Rows = []
    for name in options.only.split(","):
        rows += parts[name.strip()]()
    print(f"\n| {options.split}, {len(clips)} clips, {options.seeds} seeds | |\n|---|---|")
    for row in rows:
        print(f"| {row[0]} | {row[1]} |")


if __name__ == "__main__":
    main()
