"""QoS profiles shared by the nodes, and warnings about peers with an incompatible profile.

DDS connects a publisher and a subscription only if the offered QoS satisfies the requested one
(reliable satisfies best effort and transient local satisfies volatile, not the reverse), and gives
no notice otherwise.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_policy_name_from_kind,
)

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # its name before Iron
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Profile whose last message late subscribers still receive, such as robot_description."""

SENSORS = QoSProfile(
    depth=100,
    reliability=ReliabilityPolicy.BEST_EFFORT,
    durability=DurabilityPolicy.VOLATILE,
)
"""Profile of sensor subscriptions: matches reliable and best-effort publishers. All publishers of a
topic share the queue: the drivers of each joint may publish at the same instant, and the 5 messages
of `qos_profile_sensor_data` would be those of the last five."""

COMMAND = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Profile of trajectories: reliable, the newest replaces older ones, and a late subscriber receives
none that was published before."""

EVENTS = QoSProfile(
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Profile of sentences and of published states: every message counts."""

SERVICES = QoSProfile(
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Profile of services and goals. Requests wait here while the node is busy; above the depth, 10 by
default, the oldest are dropped and their clients wait for ever."""

REPORTS = QoSProfile(
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Profile of reports: as `EVENTS`, and a subscriber that asks for transient local receives the last
ten, whenever it is discovered."""

Report = Callable[[str], object]
"""Takes one sentence; called in a thread of the executor, so it must be quick."""


def subscription_events(
    node: Node, topic: str, asked: QoSProfile, report: Report
) -> SubscriptionEventCallbacks:
    """Event callbacks of a subscription that report incompatible publishers.

    Args:
        node: Owner of the subscription.
        topic: Topic as given to `create_subscription`.
        asked: QoS of the subscription.
        report: Called once per such publisher: node, topic, policy and remedy.
    """
    name = node.resolve_topic_name(topic)

    def sentence(who: str, offered: QoSProfile | None, policy: str) -> str:
        text = f"nothing is received from {who} on {name}: "
        wants = _unsatisfied(offered, asked)
        if offered is None or not wants:
            return f"{text}its {policy} does not satisfy ours; publish {_policies(asked)}"
        return (
            f"{text}it offers {_policies(offered, wants)} and we ask for "
            f"{_policies(asked, wants)}; publish {_policies(asked, wants)}"
        )

    def publishers() -> list[Any]:
        found = node.get_publishers_info_by_topic(name)
        return [info for info in found if not _compatible(info.qos_profile, asked)]

    reporter = _Reporter(publishers, sentence, "a publisher", report)
    return SubscriptionEventCallbacks(incompatible_qos=reporter)


def publisher_events(
    node: Node, topic: str, offered: QoSProfile, report: Report
) -> PublisherEventCallbacks:
    """Event callbacks of a publisher that report incompatible subscriptions.

    Args:
        node: Owner of the publisher.
        topic: Topic as given to `create_publisher`.
        offered: QoS of the publisher.
        report: Called once per such subscription.
    """
    name = node.resolve_topic_name(topic)

    def sentence(who: str, asked: QoSProfile | None, policy: str) -> str:
        text = f"{who} receives nothing from us on {name}: "
        wants = _unsatisfied(offered, asked)
        if asked is None or not wants:
            return f"{text}we do not satisfy its {policy}; subscribe {_policies(offered)}"
        return (
            f"{text}it asks for {_policies(asked, wants)} and we offer "
            f"{_policies(offered, wants)}; subscribe {_policies(offered, wants)}"
        )

    def subscriptions() -> list[Any]:
        found = node.get_subscriptions_info_by_topic(name)
        return [info for info in found if not _compatible(offered, info.qos_profile)]

    reporter = _Reporter(subscriptions, sentence, "a subscriber", report)
    return PublisherEventCallbacks(incompatible_qos=reporter)


class _Reporter:
    """Called for every event; reports each peer once."""

    def __init__(
        self,
        peers: Callable[[], list[Any]],
        sentence: Callable[[str, QoSProfile | None, str], str],
        unknown: str,
        report: Report,
    ) -> None:
        self._peers, self._sentence = peers, sentence
        self._unknown, self._report = unknown, report
        self._lock = threading.Lock()
        self._known: set[bytes] = set()
        self._reported = 0

    def __call__(self, event: Any) -> None:
        # The event carries the policy and a count only; the graph knows the peer.
        policy = str(qos_policy_name_from_kind(event.last_policy_kind)).lower()
        with self._lock:
            peers = {bytes(info.endpoint_gid): info for info in self._peers()}
            new = [peers[gid] for gid in sorted(peers.keys() - self._known)]
            self._known = set(peers)
            sentences = [self._sentence(node_of(info), info.qos_profile, policy) for info in new]
            self._reported += len(new)
            if self._reported < event.total_count:
                # The peer left again, or the graph does not list it yet.
                self._reported = int(event.total_count)
                sentences = sentences or [self._sentence(self._unknown, None, policy)]
        for sentence in sentences:
            self._report(sentence)


def node_of(info: Any) -> str:
    """Full name of the node of an endpoint that the graph lists."""
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


def _compatible(offered: QoSProfile, asked: QoSProfile) -> bool:
    # WARNING means that compatibility cannot be decided.
    return bool(qos_check_compatible(offered, asked)[0] != QoSCompatibility.ERROR)


def _unsatisfied(offered: QoSProfile | None, asked: QoSProfile | None) -> list[str]:
    """Which of reliability and durability the offer does not satisfy; none if one is unknown."""
    names: list[str] = []
    if offered is None or asked is None:
        return names
    if (
        asked.reliability == ReliabilityPolicy.RELIABLE
        and offered.reliability == ReliabilityPolicy.BEST_EFFORT
    ):
        names.append("reliability")
    if (
        asked.durability == DurabilityPolicy.TRANSIENT_LOCAL
        and offered.durability == DurabilityPolicy.VOLATILE
    ):
        names.append("durability")
    return names


def _policies(profile: QoSProfile, names: Sequence[str] = ("reliability", "durability")) -> str:
    """For example 'reliability best_effort and durability volatile'."""
    return " and ".join(f"{name} {getattr(profile, name).name.lower()}" for name in names)
