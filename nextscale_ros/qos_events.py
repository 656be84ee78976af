"""Says who cannot be heard, or cannot hear us, because the qualities of service do not match.

DDS connects a publisher and a subscriber only where the offer satisfies the request, and is silent
where it does not: the commonest reason why 'nothing arrives'.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
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

Report = Callable[[str], object]
"""Takes one sentence; called in a thread of the executor, so it must be quick."""


def subscription_events(
    node: Node, topic: str, asked: QoSProfile, report: Report
) -> SubscriptionEventCallbacks:
    """For `create_subscription(event_callbacks=...)`: report publishers that cannot be heard.

    Args:
        node: Owns the subscription.
        topic: Its topic, as given to `create_subscription`.
        asked: Its quality of service.
        report: Gets a sentence for each such publisher: who, where, which policy, what to do.
    """

    def cannot_hear(who: str, offered: QoSProfile | None, policy: str) -> str:
        name = node.resolve_topic_name(topic)
        told = f"nothing is heard from {who} on {name}"
        if offered is None:
            return f"{told}: its {policy} does not satisfy ours; publish {_words(asked)}"
        wants = _unsatisfied(offered, asked)
        if not wants:
            return f"{told}: its {policy} does not satisfy ours"
        return (
            f"{told}: it offers {_policies(offered, wants)} and we ask for "
            f"{_policies(asked, wants)}; publish {_policies(asked, wants)}"
        )

    def publishers() -> list[Any]:
        found = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
        return [info for info in found if not _compatible(info.qos_profile, asked)]

    watch = _Watch(publishers, cannot_hear, "a publisher", report)
    return SubscriptionEventCallbacks(incompatible_qos=watch)


def publisher_events(
    node: Node, topic: str, offered: QoSProfile, report: Report
) -> PublisherEventCallbacks:
    """For `create_publisher(event_callbacks=...)`: report subscribers that cannot hear us.

    Args:
        node: Owns the publisher.
        topic: Its topic, as given to `create_publisher`.
        offered: Its quality of service.
        report: Gets a sentence for each such subscriber.
    """

    def cannot_reach(who: str, asked: QoSProfile | None, policy: str) -> str:
        name = node.resolve_topic_name(topic)
        told = f"{who} hears nothing of ours on {name}"
        if asked is None:
            return f"{told}: we do not satisfy its {policy}; subscribe {_words(offered)}"
        wants = _unsatisfied(offered, asked)
        if not wants:
            return f"{told}: we do not satisfy its {policy}"
        return (
            f"{told}: it asks for {_policies(asked, wants)} and we offer "
            f"{_policies(offered, wants)}; subscribe {_policies(offered, wants)}"
        )

    def subscribers() -> list[Any]:
        found = node.get_subscriptions_info_by_topic(node.resolve_topic_name(topic))
        return [info for info in found if not _compatible(offered, info.qos_profile)]

    watch = _Watch(subscribers, cannot_reach, "a subscriber", report)
    return PublisherEventCallbacks(incompatible_qos=watch)


class _Watch:
    """Called for every event; tells of each peer once."""

    def __init__(
        self,
        peers: Callable[[], list[Any]],
        sentence: Callable[[str, QoSProfile | None, str], str],
        somebody: str,
        report: Report,
    ) -> None:
        self._peers, self._sentence = peers, sentence
        self._somebody, self._report = somebody, report
        self._lock = threading.Lock()
        self._known: set[bytes] = set()
        self._told = 0

    def __call__(self, event: Any) -> None:
        # The event has the policy and a number only; the graph knows who it is.
        policy = str(qos_policy_name_from_kind(event.last_policy_kind)).lower()
        with self._lock:
            peers = {bytes(info.endpoint_gid): info for info in self._peers()}
            new = [peers[gid] for gid in sorted(peers.keys() - self._known)]
            self._known = set(peers)
            sentences = [self._sentence(_name(info), info.qos_profile, policy) for info in new]
            self._told += len(new)
            if self._told < event.total_count:
                # It left again, or the graph does not show it yet.
                self._told = int(event.total_count)
                sentences = sentences or [self._sentence(self._somebody, None, policy)]
        for sentence in sentences:
            self._report(sentence)


def _name(info: Any) -> str:
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


def _compatible(offered: QoSProfile, asked: QoSProfile) -> bool:
    # A warning stands for 'cannot tell'.
    return bool(qos_check_compatible(offered, asked)[0] != QoSCompatibility.ERROR)


def _unsatisfied(offered: QoSProfile, asked: QoSProfile) -> list[str]:
    """Which of the two policies that people set do not fit."""
    names = []
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


def _policies(profile: QoSProfile, names: list[str]) -> str:
    """For example 'reliability best_effort and durability volatile'."""
    return " and ".join(f"{name} {getattr(profile, name).name.lower()}" for name in names)


def _words(profile: QoSProfile) -> str:
    return _policies(profile, ["reliability", "durability"])
