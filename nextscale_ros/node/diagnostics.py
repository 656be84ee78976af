"""/diagnostics: what an operator looks at when a robot does not do what it should."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from nextscale_ros.node.statistics import Summary

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Health:
    """What is reported beside the counts.

    Attributes:
        state: Label of the lifecycle state.
        robot: Name of the robot, or ''.
        model: Name of the motion model, or ''.
        device: Where the model runs.
        state_age: Age of the joint states [s]; infinite where some joint was never heard of.
        state_limit: Age up to which they count as current [s].
        state_needed: Whether sentences are refused without them.
        state_messages: Joint state messages heard.
        listeners: Subscribers of the trajectories.
        conflict: Which senders of joint states contradict each other, or ''.
        complaints: What is wrong with the connections, one sentence each.
        failure: Why the node could not be configured, or ''.
        more: Further values.
    """

    state: str
    robot: str = ""
    model: str = ""
    device: str = ""
    state_age: float = float("inf")
    state_limit: float = 0.0
    state_needed: bool = True
    state_messages: int = 0
    listeners: int = 0
    conflict: str = ""
    complaints: Sequence[str] = ()
    failure: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


def status(name: str, health: Health, summary: Summary) -> DiagnosticStatus:
    """One entry of /diagnostics.

    Args:
        name: Full name of the node.
        health: How it is.
        summary: What it has done.
    """
    level, message = _verdict(health, summary)
    values = {
        "lifecycle state": health.state,
        "robot": health.robot,
        "model": health.model,
        "device": health.device,
        "joint state age [s]": _number(health.state_age),
        "joint state messages": str(health.state_messages),
        "listeners": str(health.listeners),
        "memory [MB]": f"{resident_memory() / 1e6:.1f}",
        "requests received": str(summary.received),
        "requests open": str(summary.open),
    }
    values |= {f"requests {name}": str(count) for name, count in sorted(summary.outcomes.items())}
    values |= {f"error {name}": str(count) for name, count in sorted(summary.errors.items())}
    for stage, latency in summary.latencies.items():
        values[f"{stage} last [s]"] = f"{latency.last:.3f}"
        values[f"{stage} p50 [s]"] = f"{latency.p50:.3f}"
        values[f"{stage} p95 [s]"] = f"{latency.p95:.3f}"
    values |= {
        f"connection {number}": text for number, text in enumerate(health.complaints, start=1)
    }
    if summary.last_error:
        values["last error"] = summary.last_error
    values |= health.more
    return DiagnosticStatus(
        level=level,
        name=f"{name}: motion",
        message=message,
        hardware_id=health.robot,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def _verdict(health: Health, summary: Summary) -> tuple[bytes, str]:
    if health.failure:
        return DiagnosticStatus.ERROR, health.failure
    if health.state != "active":
        return DiagnosticStatus.WARN, f"the node is {health.state}"
    if health.conflict:
        return DiagnosticStatus.ERROR, health.conflict
    if health.state_needed and health.state_age > health.state_limit:
        heard = health.state_messages > 0
        old = f"{_number(health.state_age)} s old" if heard else "not heard"
        return (
            DiagnosticStatus.WARN,
            f"joint states are {old}: sentences are refused until they come, at most "
            f"{health.state_limit:g} s old (parameter state_timeout)",
        )
    if health.complaints:
        return DiagnosticStatus.WARN, health.complaints[-1]
    if not health.listeners:
        return DiagnosticStatus.WARN, "nobody listens to the trajectories"
    done = sum(summary.outcomes.get(name, 0) for name in ("pass", "repaired"))
    return DiagnosticStatus.OK, f"{done} of {summary.received} requests became trajectories"


def resident_memory() -> int:
    """Memory of this process that is in RAM [bytes]; 0 where that cannot be told."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 1e9 else "never heard"
