"""Hierarchies of the SOMA skeleton, whose joint positions Kimodo stores without names."""

from __future__ import annotations

from collections.abc import Iterator

from nextscale_core.motion.formats.rig_clip import RigJoints

_TRUNK = (
    ("Hips", ""), ("Spine1", "Hips"), ("Spine2", "Spine1"), ("Chest", "Spine2"),
    ("Neck1", "Chest"), ("Neck2", "Neck1"), ("Head", "Neck2"), ("HeadEnd", "Head"),
    ("Jaw", "Head"), ("LeftEye", "Head"), ("RightEye", "Head"),
)  # fmt: skip
_FINGERS = ("Index", "Middle", "Ring", "Pinky")
_ENDS_OF_SHORT_HANDS = ("HandThumbEnd", "HandMiddleEnd")


def _limb(side: str, names: tuple[str, ...], base: str) -> Iterator[tuple[str, str]]:
    parents = (base, *(side + name for name in names[:-1]))
    return zip((side + name for name in names), parents, strict=True)


def _hand(side: str) -> Iterator[tuple[str, str]]:
    for finger, bones in (("Thumb", 3), *((finger, 4) for finger in _FINGERS)):
        chain = (*(f"Hand{finger}{bone + 1}" for bone in range(bones)), f"Hand{finger}End")
        yield from _limb(side, chain, f"{side}Hand")


def _joints(*, full: bool) -> RigJoints:
    joints = [pair for pair in _TRUNK if full or pair[0] != "HeadEnd"]
    for side in ("Left", "Right"):
        joints += _limb(side, ("Shoulder", "Arm", "ForeArm", "Hand"), "Chest")
        ends = ((f"{side}{name}", f"{side}Hand") for name in _ENDS_OF_SHORT_HANDS)
        joints += _hand(side) if full else ends
    leg = ("Leg", "Shin", "Foot", "ToeBase", *(("ToeEnd",) if full else ()))
    for side in ("Left", "Right"):
        joints += _limb(side, leg, "Hips")
    names = [name for name, _ in joints]
    parents = [names.index(parent) if parent else -1 for _, parent in joints]
    return RigJoints(names, parents, [False] * len(names))


SKELETONS = {77: _joints(full=True), 30: _joints(full=False)}
"""Number of joints -> hierarchy, in the order of the positions."""
