"""Reader of the CMU motion capture folder: 14 body rotations -> 22 joints of a human.

The folder holds `motion.npz`, `skeleton.json`, `trials.jsonl` and `clips.jsonl` (see
docs/training.md). Its rotations and root path are the performer's, its offsets a robot's:

1. The ankles are placed by the performer's legs. While a foot stands still, root velocity +
   d/dt (rotations x leg offsets) = 0. Least squares over all such frames give the leg offsets of
   the mean performer (`_FITTED_*`), and over the frames of a subject the subject's size.
2. Root and ankles are scaled to the standard skeleton (HumanML3D's limb lengths).
3. Pelvis, spine and arms follow the body rotations; the knees follow from the standard leg
   lengths between hip and ankle, in the plane of the data.

A foot that stands still in the data stands still in the result.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.clip import CaptionedClip, MotionClip
from nextscale_core.motion.skeleton import (
    FPS,
    JOINT_INDEX,
    NUM_JOINTS,
    STANDARD_LEG,
    STANDARD_OFFSETS,
    bend_leg,
    floor_height,
)
from nextscale_lab.data.cmu_rows import ClipRow, CmuFiles, Trial, read_cmu_files

_PELVIS, _TORSO = 0, 7
_LEGS = {"left": (1, 2, 3), "right": (4, 5, 6)}  # hip, knee, ankle bodies
_ARMS = {"left": (8, 9), "right": (11, 12)}  # shoulder, elbow bodies

# Leg of the mean performer, fitted to standing feet [m]; hip offset in the pelvis frame.
_FITTED_HIP = np.array([0.038, 0.105, -0.093])
_FITTED_THIGH = np.array([0.010, 0.0, -0.401])
_FITTED_SHANK = np.array([0.020, 0.0, -0.453])

_HIP = np.array(STANDARD_OFFSETS["hip"])
_FOOT = np.array(STANDARD_OFFSETS["foot"])
_SPINE1 = np.array(STANDARD_OFFSETS["spine1"])
_SPINE2 = np.array(STANDARD_OFFSETS["spine2"])
_SPINE3 = np.array(STANDARD_OFFSETS["spine3"])
_NECK = np.array(STANDARD_OFFSETS["neck"])
_HEAD = np.array(STANDARD_OFFSETS["head"])
_COLLAR = np.array(STANDARD_OFFSETS["collar"])
_SHOULDER = np.array(STANDARD_OFFSETS["shoulder"])
_UPPER_ARM = np.array(STANDARD_OFFSETS["elbow"])
_FOREARM = np.array(STANDARD_OFFSETS["wrist"])

_FITTED_LEG = -float(_FITTED_THIGH[2] + _FITTED_SHANK[2])


def _side(offset: np.ndarray, side: str) -> np.ndarray:
    return offset if side == "left" else offset * np.array([1.0, -1.0, 1.0])


class CmuFolder:
    """The data set in a folder, with arrays read on first use.

    Args:
        folder: Holds motion.npz, skeleton.json, trials.jsonl and clips.jsonl.

    Raises:
        MotionFileError: a file is missing, cut short or malformed.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        for name in ("motion.npz", "trials.jsonl", "clips.jsonl"):
            if not (self.folder / name).is_file():
                raise MotionFileError(f"{self.folder} is not a CMU folder: {name} is missing")

    @cached_property
    def _files(self) -> CmuFiles:
        return read_cmu_files(self.folder)

    @property
    def trials(self) -> dict[str, Trial]:
        """The recordings by name."""
        return self._files.trials

    @cached_property
    def _subject_scale(self) -> dict[int, float]:
        """Leg size of each subject relative to the mean performer, from standing feet."""
        sums: dict[int, list[float]] = {}
        for trial in self.trials.values():
            numerator, denominator = self._scale_evidence(trial)
            entry = sums.setdefault(trial.subject, [0.0, 0.0])
            entry[0] += numerator
            entry[1] += denominator
        # Prior for subjects with few steps: mean size, with the weight of some seconds of walking.
        prior = 1.0
        return {
            subject: float(np.clip((numerator + prior) / (denominator + prior), 0.85, 1.15))
            for subject, (numerator, denominator) in sums.items()
        }

    def _rotations(self, trial: Trial) -> tuple[np.ndarray, list[Rotation]]:
        root, quat = self._files.root, self._files.quat
        rows = slice(trial.start, trial.start + trial.frames)
        local = [Rotation.from_quat(quat[rows, body] / 32767.0) for body in range(14)]
        parents = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 7, 11, 12)
        world: list[Rotation] = []
        for body, parent in enumerate(parents):
            world.append(local[body] if parent < 0 else world[parent] * local[body])
        return root[rows], world

    def _scale_evidence(self, trial: Trial) -> tuple[float, float]:
        root, world = self._rotations(trial)
        if trial.frames < 2:
            return 0.0, 0.0
        root_step = np.diff(root, axis=0)
        numerator = denominator = 0.0
        for side, bodies in _LEGS.items():
            leg_step = np.diff(self._leg(world, side, bodies), axis=0)
            speed = np.linalg.norm(root_step + leg_step, axis=1) * FPS
            standing = (speed < 0.25) & (np.linalg.norm(root_step, axis=1) * FPS > 0.2)
            numerator -= float((root_step[standing] * leg_step[standing]).sum())
            denominator += float((leg_step[standing] ** 2).sum())
        return numerator, denominator

    @staticmethod
    def _leg(world: list[Rotation], side: str, bodies: tuple[int, ...]) -> np.ndarray:
        """(T, 3) root -> ankle of the mean performer [m]."""
        hip, knee, _ = bodies
        return (
            world[_PELVIS].apply(_side(_FITTED_HIP, side))
            + world[hip].apply(_FITTED_THIGH)
            + world[knee].apply(_FITTED_SHANK)
        )

    def trial_clip(self, trial: Trial) -> MotionClip:
        """The whole recording as a human motion with the floor at z = 0, not canonicalised."""
        root, world = self._rotations(trial)
        scale = STANDARD_LEG / (_FITTED_LEG * self._subject_scale[trial.subject])
        root = root * scale
        joints = np.zeros((trial.frames, NUM_JOINTS, 3))

        def put(name: str, position: np.ndarray) -> np.ndarray:
            joints[:, JOINT_INDEX[name]] = position
            return position

        # The leg offsets of step 1 are those of the mean performer.
        size = STANDARD_LEG / _FITTED_LEG
        hip_centre = root + world[_PELVIS].apply(_FITTED_HIP * [1, 0, 1]) * size
        pelvis = put("pelvis", hip_centre - world[_PELVIS].apply(_HIP * [1, 0, 1]))
        for side, bodies in _LEGS.items():
            ankle = root + self._leg(world, side, bodies) * size
            hip = put(f"{side}_hip", pelvis + world[_PELVIS].apply(_side(_HIP, side)))
            forward = world[bodies[0]].apply([1.0, 0.0, 0.0])
            knee, ankle = bend_leg(hip, ankle, forward)
            put(f"{side}_knee", knee)
            put(f"{side}_ankle", ankle)
            put(f"{side}_foot", ankle + world[bodies[2]].apply(_side(_FOOT, side)))

        # In SMPL the lowest joint of the spine follows the pelvis; those above share the
        # rotation from pelvis to torso.
        lower, upper = _between(world[_PELVIS], world[_TORSO])
        spine1 = put("spine1", pelvis + world[_PELVIS].apply(_SPINE1))
        spine2 = put("spine2", spine1 + lower.apply(_SPINE2))
        spine3 = put("spine3", spine2 + upper.apply(_SPINE3))
        neck = put("neck", spine3 + world[_TORSO].apply(_NECK))
        put("head", neck + world[_TORSO].apply(_HEAD))
        for side, (shoulder_body, elbow_body) in _ARMS.items():
            collar = put(f"{side}_collar", spine3 + world[_TORSO].apply(_side(_COLLAR, side)))
            shoulder = put(f"{side}_shoulder", collar + world[_TORSO].apply(_side(_SHOULDER, side)))
            elbow = put(
                f"{side}_elbow", shoulder + world[shoulder_body].apply(_side(_UPPER_ARM, side))
            )
            put(f"{side}_wrist", elbow + world[elbow_body].apply(_side(_FOREARM, side)))
        joints[..., 2] -= floor_height(joints)
        return MotionClip(joints, FPS, trial.descriptions[0] if trial.descriptions else "")

    def clips(self, split: str | None = None) -> Iterator[CaptionedClip]:
        """The captioned clips, in file order.

        Args:
            split: 'train', 'val' or 'test'; None for all.

        Raises:
            MotionFileError: a clip names an unknown trial or frames outside of it.
        """
        return self._clips(row for row in self._files.clips if split in (None, row.split))

    def _clips(self, rows: Iterable[ClipRow]) -> Iterator[CaptionedClip]:
        cache: dict[str, MotionClip] = {}
        for row in rows:
            if row.trial not in cache:
                cache[row.trial] = self.trial_clip(self.trials[row.trial])
            joints = cache[row.trial].joints[row.first : row.end].copy()
            joints[..., 2] -= floor_height(joints)
            text = row.captions[0] if row.captions else ""
            yield CaptionedClip(row.id, row.split, row.captions, MotionClip(joints, FPS, text))

    def training_clips(self) -> Iterator[CaptionedClip]:
        """The train split without clips that overlap a val or test clip."""
        return self._clips(self.training_rows())

    def training_rows(self) -> list[ClipRow]:
        """Captions and spans of `training_clips`, without their motion."""
        held_out = self.held_out()
        return [
            row
            for row in self._files.clips
            if row.split == "train"
            and not overlaps(held_out.get(row.trial, []), row.first, row.end)
        ]

    def held_out(self) -> dict[str, list[tuple[int, int]]]:
        """Frame spans of val and test clips by trial, also in copies of a trial.

        Trials of omitted broken lines that may be val or test clips are held out as a whole.
        """
        spans = self.spans("val", "test")
        for name in self._files.doubtful & set(self.trials):
            spans.setdefault(name, []).append((0, self.trials[name].frames))
        out = {trial: list(own) for trial, own in spans.items()}
        for trial, own in spans.items():
            for copy in self._copies.get(trial, ()):
                out.setdefault(copy, []).extend(own)
        return {trial: sorted(set(own)) for trial, own in out.items()}

    @cached_property
    def _copies(self) -> dict[str, tuple[str, ...]]:
        """Trials with the same recording, by name.

        CMU holds some recordings twice (subjects 91 and 105, 77 and 139). Rotations of two takes
        of one action differ by at least 4 degrees on average, those of copies by 0.3 (rounding).
        """
        quat = self._files.quat
        by_length: dict[int, list[Trial]] = {}
        for trial in self.trials.values():
            by_length.setdefault(trial.frames, []).append(trial)
        pairs: dict[str, list[str]] = {}
        for frames, trials in by_length.items():
            rows = [quat[t.start : t.start + frames] / 32767.0 for t in trials]
            for (a, p), (b, q) in itertools.combinations(zip(trials, rows, strict=True), 2):
                alike = np.abs((p[:, 1:] * q[:, 1:]).sum(-1)).clip(max=1.0)
                if np.degrees(2 * np.arccos(alike)).mean() < 1.0:
                    pairs.setdefault(a.name, []).append(b.name)
                    pairs.setdefault(b.name, []).append(a.name)
        return {name: tuple(copies) for name, copies in pairs.items()}

    def spans(self, *splits: str) -> dict[str, list[tuple[int, int]]]:
        """Frame spans [first, end) of the clips of some splits, by trial."""
        spans: dict[str, list[tuple[int, int]]] = {}
        for row in self._files.clips:
            if row.split in splits:
                spans.setdefault(row.trial, []).append((row.first, row.end))
        return spans


def overlaps(spans: list[tuple[int, int]], start: int, end: int) -> bool:
    """Whether frames [start, end) overlap one of the spans [first, last)."""
    return any(start < b and a < end for a, b in spans)


def read_cmu(folder: str | Path, split: str | None = None) -> Iterator[CaptionedClip]:
    """Captioned clips of a CMU folder; see `CmuFolder`."""
    return CmuFolder(folder).clips(split)


def _between(pelvis: Rotation, torso: Rotation) -> tuple[Rotation, Rotation]:
    """Rotations at one third and two thirds between pelvis and torso."""
    vector = (pelvis.inv() * torso).as_rotvec()
    return pelvis * Rotation.from_rotvec(vector / 3), pelvis * Rotation.from_rotvec(vector * 2 / 3)
