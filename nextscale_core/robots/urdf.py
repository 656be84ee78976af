"""Read a URDF: checks before pinocchio parses it, and attributes that pinocchio ignores."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import RobotError
from nextscale_core.robots.mimic import Mimic, read_mimics

_LIMITED = ("revolute", "prismatic")
_LIMIT = ("lower", "upper", "effort", "velocity")

_stderr = threading.Lock()
"""Held while the standard error of the process is redirected."""


@dataclass(frozen=True, eq=False)
class Urdf:
    """A URDF file.

    Attributes:
        path: The file.
        root: The `<robot>` element.
        mimics: Every movable joint that mimics another, chains resolved.
        acceleration: Acceleration limits of URDF 1.2 [rad/s^2]: the smaller one of
            `acceleration` and `deceleration`.
        missing: Attributes that the `<limit>` of a revolute or prismatic joint lacks; a negative
            velocity or effort, by which some descriptions say that it is not known, counts as one.
    """

    path: Path
    root: ElementTree.Element
    mimics: Mapping[str, Mimic]
    acceleration: Mapping[str, float]
    missing: Mapping[str, tuple[str, ...]]

    def fixed_joints(self) -> list[str]:
        """Names of the joints that cannot move."""
        joints = self.root.findall("./joint")
        return [joint.get("name", "") for joint in joints if joint.get("type") == "fixed"]

    def masses(self) -> dict[str, float]:
        """Mass of each link that states one [kg].

        Raises:
            RobotError: a mass is not a number.
        """
        masses = {}
        for link in self.root.findall("./link"):
            mass = link.find("./inertial/mass")
            if mass is None:
                continue
            name, value = link.get("name", ""), mass.get("value", "0")
            try:
                masses[name] = float(value)
            except ValueError:
                raise RobotError(
                    f"{self.path}: link {name!r} has mass {value!r}, not a number"
                ) from None
        return masses

    def model(self) -> pin.Model:
        """The kinematic model with a floating base, without couplings of mimic joints.

        Raises:
            RobotError: the file is not a valid URDF; the message contains urdfdom's reasons.
        """
        reasons: list[str] = []
        try:
            with _urdfdom_lines(reasons):
                return pin.buildModelFromXML(_kinematics(self.root), pin.JointModelFreeFlyer())
        except (ValueError, RuntimeError) as error:
            why = "; ".join(reasons) or str(error)
            raise RobotError(f"{self.path} cannot be read as a URDF: {why}") from error


def read_urdf(path: Path) -> Urdf:
    """Read a URDF file.

    Raises:
        RobotError: the file cannot be read, is not XML, is not a URDF (the message names what it
            is, such as a xacro file), or contains what readers interpret differently.
    """
    root = _read_xml(path)
    try:
        _check_form(root)
        _check_quaternions(root)
        _check_tree(root)
        mimics, acceleration = read_mimics(root), _accelerations(root)
    except RobotError as error:
        raise RobotError(f"{path}: {error}") from error
    missing = {}
    for joint in root.findall("joint"):
        if joint.get("type") in _LIMITED:
            limit = joint.find("limit")
            lacks = tuple(key for key in _LIMIT if _stated(limit, key) is None)
            if lacks:
                missing[joint.get("name", "")] = lacks
    return Urdf(Path(path), root, mimics, acceleration, missing)


def _stated(limit: ElementTree.Element | None, key: str) -> str | None:
    """An attribute of a `<limit>`; None without one, or with a velocity or an effort below 0."""
    text = None if limit is None else limit.get(key)
    unknown = text is not None and key in ("velocity", "effort") and text.strip().startswith("-")
    return None if unknown else text


def _read_xml(path: Path) -> ElementTree.Element:
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise RobotError(f"{path}: no such file") from None
    except (ElementTree.ParseError, LookupError, ValueError, OSError) as error:
        if "unbound prefix" in str(error) and b"xacro:" in path.read_bytes():
            raise RobotError(f"{path}: {_XACRO}") from error
        reason = getattr(error, "strerror", None) or error
        raise RobotError(f"{path} cannot be read as a URDF: {reason}") from error
    namespace = root.tag.removesuffix("robot")
    if namespace.startswith("{"):  # other readers do not support namespaces
        for element in root.iter():
            element.tag = element.tag.removeprefix(namespace)
    return root


_XACRO = "this is a xacro file that is not expanded; expand it with 'xacro FILE > robot.urdf'"

_FORMATS = {
    "mujoco": "this is a MuJoCo model (MJCF); use the robot's URDF, or convert it to one, such as "
    "with the PyPI package mjcf-urdf-simple-converter",
    "sdf": "this is an SDF model; use the robot's URDF",
}
"""What to do about other descriptions of robots, by root element."""


def _check_form(root: ElementTree.Element) -> None:
    left = next(filter(None, map(_xacro_name, root.iter())), None)
    if left:
        raise RobotError(
            f"{_XACRO}, or delete <xacro:{left}> where it is left over from another expansion"
        )
    if root.tag != "robot":
        what = f"the root element is <{root.tag}>, that of a URDF is <robot>"
        advice = _FORMATS.get(root.tag)
        raise RobotError(f"{what}; {advice}" if advice else what)
    for part in (*root.findall("link"), *root.findall("joint")):
        for element in part.iter():
            if any("${" in value or "$(" in value for value in element.attrib.values()):
                raise RobotError(_XACRO)


def _xacro_name(element: ElementTree.Element) -> str | None:
    """Name of an element of xacro without its prefix, None for other elements."""
    tag = element.tag if isinstance(element.tag, str) else ""
    return tag.rpartition("}")[2].rpartition(":")[2] if "xacro" in tag else None


def _check_quaternions(root: ElementTree.Element) -> None:
    """Refuse `quat_xyzw` in URDF 1.0, whose readers silently use no rotation instead."""
    if root.get("version", "1.0") not in ("1", "1.0"):
        return
    for part in (*root.findall("link"), *root.findall("joint")):
        for origin in part.iter("origin"):
            if origin.get("quat_xyzw") is not None:
                raise RobotError(
                    f"an <origin> of {part.tag} {part.get('name', '')!r} has quat_xyzw, which "
                    'URDF 1.0 does not define and its readers ignore; write <robot version="1.1"> '
                    "or use rpy"
                )


def _check_tree(root: ElementTree.Element) -> None:
    """Refuse loops and further roots, on which readers crash or which they name only in part."""
    above: dict[str, dict[str, str]] = {}
    for joint in root.findall("joint"):
        parent, child = (_linked(joint, end) for end in ("parent", "child"))
        if child:
            above.setdefault(child, {})[joint.get("name", "")] = parent
    for link, joints in above.items():
        if len(joints) > 1:
            raise RobotError(
                f"link {link!r} is the child of joints {' and '.join(map(repr, joints))}; a URDF "
                "is a tree: leave out the joint that closes the loop"
            )
    parents = {link: next(iter(joints.values())) for link, joints in above.items()}
    good: set[str] = set()
    for link in parents:
        path: dict[str, None] = {}
        while link in parents and link not in good and link not in path:
            path[link] = None
            link = parents[link]
        if link in path:
            loop = [*path][[*path].index(link) :]
            raise RobotError(
                f"link {link!r} carries itself ({' <- '.join([*loop, link])}); a URDF is a tree: "
                "leave out the joint that closes the loop"
            )
        good |= path.keys()
    names = [link.get("name", "") for link in root.findall("link")]
    free = [name for name in names if name not in parents]
    if len(free) > 1:
        raise RobotError(
            f"no joint has {', '.join(map(repr, free))} as its child; a URDF has one root link: "
            "attach the others by fixed joints"
        )


def _linked(joint: ElementTree.Element, end: str) -> str:
    element = joint.find(end)
    return "" if element is None else element.get("link", "")


def _accelerations(root: ElementTree.Element) -> dict[str, float]:
    found: dict[str, float] = {}
    for joint in root.findall("joint"):
        limit, name = joint.find("limit"), joint.get("name", "")
        for key in ("acceleration", "deceleration"):
            text = None if limit is None else limit.get(key)
            if text is None:
                continue
            try:
                value = float(text)
            except ValueError:
                value = np.nan
            if not value > 0:
                raise RobotError(
                    f"the {key} limit of joint {name!r} must be a positive number, got {text!r}"
                )
            found[name] = min(value, found.get(name, np.inf))
    return found


def _kinematics(root: ElementTree.Element) -> str:
    """The URDF without shapes and extensions, every `<limit>` complete.

    `shapes` reads the shapes: urdfdom drops all shapes of a link for a material without a name. A
    missing limit becomes 0, which `limits.joint_limits` reports.
    """
    robot = ElementTree.Element("robot", root.attrib)
    for link in root.findall("link"):
        copy = ElementTree.SubElement(robot, "link", link.attrib)
        copy.extend(link.findall("inertial"))
    for joint in root.findall("joint"):
        copy = ElementTree.SubElement(robot, "joint", joint.attrib)
        copy.extend(
            part for key in ("parent", "child", "origin", "axis") for part in joint.findall(key)
        )
        limit = joint.find("limit")
        if joint.get("type") in _LIMITED or limit is not None:
            values = {key: _stated(limit, key) or "0" for key in _LIMIT}
            ElementTree.SubElement(copy, "limit", values)
    return ElementTree.tostring(robot, encoding="unicode")


@contextmanager
def _urdfdom_lines(lines: list[str]) -> Iterator[None]:
    """Collect what urdfdom prints, each line once; other output is passed on afterwards."""
    with _stderr, tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        try:
            saved = os.dup(2)
        except OSError:  # a process without standard error
            yield
            return
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            for line in file.read().decode(errors="replace").splitlines():
                reason = re.match(r"(?:Error|Warning): +(.*)", line)
                if reason:
                    lines.extend({reason[1]} - set(lines))
                elif line.strip() and not re.match(r" +at line \d+ in ", line):
                    os.write(2, (line + "\n").encode())
