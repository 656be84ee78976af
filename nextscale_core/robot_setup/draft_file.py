"""Write a drafted profile as an annotated YAML file."""

from __future__ import annotations

from collections.abc import Mapping

from nextscale_core.robot_setup.draft import Draft
from nextscale_core.robots.profile import LIMB_PARTS, SIDES

_TEMPLATE = """\
# First profile of {name}, drafted by 'nextscale robots draft' from geometry and
# names. Every value is a guess: review it. Then run
#   nextscale robots check URDF THIS_FILE
{notes}name: {name}
description: {description}

urdf:
  path: {path}
  mesh_up: {mesh_up} # y where COLLADA meshes lie on their backs

# The root link's axes that point forward and up at the zero posture.
axes:
  forward: {forward}
  up: {up}

# The link or joint of each body part. Joints stand for the point they turn about.
parts:
  pelvis: {pelvis} # link
  torso: {torso} # link
{limbs}{hand}
# The left sole relative to the ankle joint at the zero posture: x forward, y left, z up [m]. The
# right one is mirrored.
sole:
  toe: {toe}
  heel: {heel}
  half_width: {half_width:g}
min_stance_width: {stance:g} # [m] between ankles beside each other

# A calm standing posture [rad]; joints not named stand at 0.
{nominal}# Held there and not commanded [rad]: fingers, head, joints that no human has.
{locked}joints: all # or upper_body, or a list of patterns: the joints that move

limits:
  # Few URDFs have acceleration limits. Two thirds of (effort limit / inertia) at zero,
  # where that is below the cap [rad/s^2].
{acceleration}  # Where the URDF's limit is missing or implausible [rad/s].
{velocity}{position}  position_margin: {position_margin:g} # [rad] kept to the position limits

collision:
  margin: {collision_margin:g} # [m] minimum distance between bodies
{ignore}"""

_HAND = """
# The arms end at the elbow. The end of the left forearm relative to the elbow joint at the zero
# posture: x forward, y left, z up [m]. The right one is mirrored.
hand: {}
"""


def draft_yaml(draft: Draft) -> str:
    """The text of a profile file."""
    profile = draft.profile
    notes = ["#\n# Review first:\n", *(f"# - {note}\n" for note in draft.notes)]
    limbs = [
        f"  {side}:\n"
        + "".join(
            f"    {part}: {_text(profile.limb(side)[part])}\n"
            for part in LIMB_PARTS
            if part in profile.limb(side)
        )
        for side in SIDES
    ]
    intervals = [f"    {_text(key)}: {_numbers(at)}\n" for key, at in profile.position.items()]
    pairs = [f"    - [{_text(a)}, {_text(b)}]\n" for a, b in profile.collision_ignore]
    return _TEMPLATE.format(
        name=_text(profile.name),
        description=_text(profile.description),
        notes="".join(notes) if draft.notes else "",
        path=_text(profile.urdf.path),
        mesh_up=_text(profile.urdf.mesh_up),
        forward=_text(profile.axes.forward),
        up=_text(profile.axes.up),
        pelvis=_text(profile.pelvis),
        torso=_text(profile.torso),
        limbs="".join(limbs),
        hand="" if profile.hand is None else _HAND.format(_numbers(profile.hand)),
        toe=_numbers(profile.sole.toe),
        heel=_numbers(profile.sole.heel),
        half_width=profile.sole.half_width,
        stance=profile.min_stance_width,
        nominal=_table("nominal", profile.nominal),
        locked=_table("locked", profile.locked),
        acceleration=_table("acceleration", profile.acceleration, "  "),
        velocity=_table("velocity", profile.velocity, "  "),
        position="".join(["  position: # missing or wrong in the URDF [rad]\n", *intervals])
        if intervals
        else "",
        position_margin=profile.position_margin,
        collision_margin=profile.collision_margin,
        ignore="".join(
            ["  ignore: # pairs of links that touch by construction\n", *pairs]
            if pairs
            else "  ignore: [] # pairs of links that touch by construction\n"
        ),
    )


def _table(key: str, table: Mapping[str, float], indent: str = "") -> str:
    rows = "".join(f"{indent}  {_text(name)}: {value:g}\n" for name, value in table.items())
    return f"{indent}{key}:\n{rows}" if rows else f"{indent}{key}: {{}}\n"


def _numbers(values: tuple[float, ...]) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"


def _text(value: str) -> str:
    """A YAML scalar that is a string whatever it contains."""
    plain = value.replace("_", "").replace("-", "").isalnum() and value[:1].isalpha()
    if plain and value.lower() not in ("y", "n", "yes", "no", "on", "off", "true", "false", "null"):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
