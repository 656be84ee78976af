"""Qualities of service shared by the nodes.

A subscriber hears a publisher that offers at least what it asks for: reliable satisfies best
effort, transient local satisfies volatile, and not the other way round.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data

LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Late subscribers still get the last message."""

DESCRIPTION = LATCHED
"""robot_description, as robot_state_publisher offers it."""

SENSORS = qos_profile_sensor_data
"""For subscribers: hears reliable publishers and best-effort ones. A short queue, because late
states are worth less than lost ones."""

JOINT_STATES = SENSORS
"""joint_states, for subscribers."""

COMMAND = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Trajectories: none may be lost, a newer one replaces an older one, and nobody who comes late may
execute one that was meant for before."""

EVENTS = QoSProfile(
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Sentences, reports and states for publishers: each counts."""
