"""Which of a bag's topics tell what the robot did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nextscale_core.bags.definitions import IMU, JOINT_STATE, ODOMETRY
from nextscale_core.bags.reading import Bag
from nextscale_core.exceptions import BagError

NONE = "none"
"""Instead of a topic: use nothing of that type."""


@dataclass(frozen=True)
class Sources:
    """Topics to read.

    Attributes:
        joint_states: One or several.
        odometry: '' for none.
        imu: '' for none.
        imu_link: Link that the IMU sits on; '': the one that its messages name.
        senders: Numbers of the senders of joint states to read; empty: all.
        asked: Whether the odometry was asked for by name: then it must be usable.
        notes: What was decided without being asked, in sentences.
    """

    joint_states: tuple[str, ...]
    odometry: str = ""
    imu: str = ""
    imu_link: str = ""
    senders: tuple[int, ...] = ()
    asked: bool = False
    notes: tuple[str, ...] = ()

    @property
    def topics(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(filter(None, (*self.joint_states, self.odometry, self.imu)))


def choose_sources(
    bag: Bag,
    joint_states: Sequence[str] = (),
    odometry: str | None = None,
    imu: str | None = None,
    imu_link: str = "",
    senders: Sequence[int] = (),
) -> Sources:
    """The topics asked for, and where nothing was asked for the obvious ones.

    Args:
        bag: The bag.
        joint_states: Topics; empty: '/joint_states', or the only one of that type.
        odometry: A topic, 'none', or None: '/odom', or the only one of that type.
        imu: A topic; None or 'none': no IMU.
        imu_link: Link that the IMU sits on.
        senders: Numbers of the senders of joint states to read; empty: all.

    Raises:
        BagError: a topic is not there, of another type, or it is not clear which one to take.
    """
    notes = []
    chosen = tuple(joint_states) or (_obvious(bag, JOINT_STATE, "joint_states"),)
    if not all(chosen):
        raise BagError(
            f"{bag.path} has {'several' if bag.named(JOINT_STATE) else 'no'} topics of "
            f"{JOINT_STATE}: {', '.join(bag.named(JOINT_STATE)) or bag.listed()}; "
            "say which with --joint-states, once for each"
        )
    for name in chosen:
        bag.require(name, JOINT_STATE)
    base = "" if odometry in (None, NONE) else str(odometry)
    if odometry is None:
        base = _obvious(bag, ODOMETRY, "odom")
        if not base and bag.named(ODOMETRY):
            several = ", ".join(bag.named(ODOMETRY))
            notes.append(f"no odometry is used, as there are several: {several} (--odometry)")
    if base:
        bag.require(base, ODOMETRY)
    sensor = "" if imu in (None, NONE) else str(imu)
    if sensor:
        bag.require(sensor, IMU)
    elif not base and bag.named(IMU):
        notes.append(f"no IMU is used; there is {', '.join(bag.named(IMU))} (--imu)")
    asked = odometry is not None
    return Sources(chosen, base, sensor, imu_link, tuple(senders), asked, tuple(notes))


def _obvious(bag: Bag, kind: str, usual: str) -> str:
    """The topic that is meant when nothing is said; '' where that is not clear."""
    names = bag.named(kind)
    return f"/{usual}" if f"/{usual}" in names else names[0] if len(names) == 1 else ""
