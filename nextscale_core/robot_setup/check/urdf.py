"""What other readers of a URDF make of it, and what of it is not kept."""

from __future__ import annotations

from collections.abc import Iterator

from nextscale_core.robots.remarks import Remark, some, warning
from nextscale_core.robots.urdf import Urdf


def reader_remarks(urdf: Urdf) -> Iterator[Remark]:
    """Remarks on what urdfdom, which RViz and robot_state_publisher use, refuses or leaves out."""
    lacking = [
        f"{name} ({', '.join(key for key in keys if key in ('effort', 'velocity'))})"
        for name, keys in urdf.missing.items()
        if {"effort", "velocity"} & set(keys)
    ]
    if lacking:
        yield warning(
            "urdf",
            f"the <limit> of {len(lacking)} joints lacks an attribute: {some(lacking)}",
            "RViz, robot_state_publisher and ros2_control refuse such a file; add the attributes",
        )
    nameless = [
        link.get("name", "")
        for link in urdf.root.findall("link")
        if any(not material.get("name") for material in link.iter("material"))
    ]
    if nameless:
        yield warning(
            "urdf",
            f"{len(nameless)} links have a <material> without a name: {some(nameless)}",
            "RViz and robot_state_publisher leave out all shapes of such a link; name it",
        )
    capsules = [
        link.get("name", "")
        for link in urdf.root.findall("link")
        if link.find(".//capsule") is not None
    ]
    if capsules and urdf.root.get("version", "1.0") in ("1", "1.0"):
        yield warning(
            "urdf",
            f"{len(capsules)} links have a <capsule>: {some(capsules)}",
            'urdfdom reads capsules from URDF 1.1 on only: <robot version="1.1">',
        )
    jerk = [
        joint.get("name", "")
        for joint in urdf.root.findall("joint")
        if any(limit.get("jerk") for limit in joint.findall("limit"))
    ]
    if jerk:
        yield warning("limits", f"{len(jerk)} joints have a jerk limit, which is not kept")
