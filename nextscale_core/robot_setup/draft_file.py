"""A drafted profile as a YAML file that explains itself."""

from __future__ import annotations

from collections.abc import Mapping

from nextscale_core.robot_setup.draft import Draft
from nextscale_core.robots.profile import LIMB_PARTS, SIDES

_NEXT = "nextscale robots check URDF THIS_FILE"


def draft_yaml(draft: Draft) -> str:
    """The text of a profile file.

    Args:
        draft: What `draft_profile` guessed.
    """
    profile = draft.profile
    lines = [
        f"# First profile of {profile.name}, drafted by 'nextscale robots draft' from geometry and",
        "# names. Look it over: every value is a guess. Then run",
        f"#   {_NEXT}",
    ]
    if draft.notes:
        lines += ["#", "# To look at first:", *(f"# - {note}" for note in draft.notes)]
    lines += [
        f"name: {_text(profile.name)}",
        f"description: {_text(profile.description)}",
        "",
        "urdf:",
        f"  path: {_text(profile.urdf.path)}",
        f"  mesh_up: {_text(profile.urdf.mesh_up)} # y where COLLADA meshes lie on their backs",
        "",
        "# Which axis of the root link points forward and up when the robot stands at zero.",
        "axes:",
        f"  forward: {_text(profile.axes.forward)}",
        f"  up: {_text(profile.axes.up)}",
        "",
        "# Which link or joint is which body part. Joints stand for the point they turn about.",
        "parts:",
        f"  pelvis: {_text(profile.pelvis)} # link",
        f"  torso: {_text(profile.torso)} # link",
    ]
    for side in SIDES:
        lines.append(f"  {side}:")
        limb = profile.limb(side)
        lines += [f"    {part}: {_text(limb[part])}" for part in LIMB_PARTS if part in limb]
    if profile.hand is not None:
        lines += [
            "",
            "# The arms end at the elbow. Where the left forearm ends, seen from the elbow joint",
            "# of the robot standing at zero: x forward, y left, z up [m]. The right is mirrored.",
            f"hand: {_numbers(profile.hand)}",
        ]
    sole = profile.sole
    lines += [
        "",
        "# Where the left sole is, seen from the ankle joint of the robot standing at zero:",
        "# x forward, y left, z up [m]. The right one is mirrored.",
        "sole:",
        f"  toe: {_numbers(sole.toe)}",
        f"  heel: {_numbers(sole.heel)}",
        f"  half_width: {sole.half_width:g}",
        f"min_stance_width: {profile.min_stance_width:g} # [m] between ankles beside each other",
        "",
        "# A calm standing posture [rad]; joints not named stand at 0.",
        *_table("nominal", profile.nominal),
        "# Held there and not commanded: fingers, head, what no human motion speaks of [rad].",
        *_table("locked", profile.locked),
        "joints: all # or upper_body, or a list of patterns: which joints move",
        "",
        "limits:",
        "  # Few URDFs have acceleration limits. Two thirds of (effort limit / inertia) at zero,",
        "  # where that is below the cap [rad/s^2].",
        *_table("acceleration", profile.acceleration, "  "),
        "  # Only where the URDF has none, or one that is no limit [rad/s].",
        *_table("velocity", profile.velocity, "  "),
        *_intervals("  position", profile.position),
        f"  position_margin: {profile.position_margin:g} # [rad] kept to the position limits",
        "",
        "collision:",
        f"  margin: {profile.collision_margin:g} # [m] bodies may come this close",
        "  ignore: [] # pairs of links that touch by construction",
    ]
    return "\n".join(lines) + "\n"


def _table(key: str, table: Mapping[str, float], indent: str = "") -> list[str]:
    if not table:
        return [f"{indent}{key}: {{}}"]
    return [
        f"{indent}{key}:",
        *(f"{indent}  {_text(name)}: {value:g}" for name, value in table.items()),
    ]


def _intervals(key: str, table: Mapping[str, tuple[float, float]]) -> list[str]:
    lines = [f"    {_text(name)}: {_numbers(interval)}" for name, interval in table.items()]
    return [f"{key}: # the URDF has none: a guess [rad]", *lines] if lines else []


def _numbers(values: tuple[float, ...]) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"


def _text(value: str) -> str:
    """A YAML scalar that is a string whatever it holds."""
    plain = value.replace("_", "").replace("-", "").isalnum() and value[:1].isalpha()
    if plain and value.lower() not in ("y", "n", "yes", "no", "on", "off", "true", "false", "null"):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
