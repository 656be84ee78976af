"""The SROS2 policies: sound in form, and naming what the running nodes use, no less and no more."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rclpy.action import (
    get_action_client_names_and_types_by_node,
    get_action_server_names_and_types_by_node,
)
from rclpy.node import Node

from nextscale_core.resources import resource
from nextscale_ros.demo.recorder import Recorder
from ros.graph import START, Graph

POLICY = "config/sros2/nextscale.policy.xml"
VERSION = "0.2.0"

ROLES = {
    "topics": ("publish", "subscribe"),
    "services": ("reply", "request"),
    "actions": ("execute", "call"),
}
"""Element -> its attributes, of which each element has one (sros2's policy.xsd)."""

Use = set[tuple[str, str]]
"""(role, full name)."""


@pytest.fixture(scope="module")
def policy() -> ElementTree.Element:
    return ElementTree.parse(resource(POLICY)).getroot()


def full(name: str, node: str) -> str:
    """A name of the policy as it is in the root namespace."""
    if name.startswith("~/"):
        return f"/{node}/{name[2:]}"
    return name if name.startswith("/") else f"/{name}"


def allowed(policy: ElementTree.Element, node: str) -> Use:
    """What the policy allows a node."""
    found: Use = set()
    for profile in policy.iter("profile"):
        if profile.get("node") != node:
            continue
        for element in profile:
            (role,) = element.attrib
            assert element.get(role) == "ALLOW"
            found |= {(role, full(str(one.text).strip(), node)) for one in element}
    return found


def used(client: Node, node: str) -> Use:
    """What a node in the root namespace has in the graph."""

    def names(pairs: list[tuple[str, list[str]]]) -> set[str]:
        # An action is made of topics and services that the policy's actions stand for.
        return {name for name, _ in pairs if "/_action/" not in name}

    by = {
        "publish": client.get_publisher_names_and_types_by_node(node, "/"),
        "subscribe": client.get_subscriber_names_and_types_by_node(node, "/"),
        "reply": client.get_service_names_and_types_by_node(node, "/"),
        "request": client.get_client_names_and_types_by_node(node, "/"),
        "execute": get_action_server_names_and_types_by_node(client, node, "/"),
        "call": get_action_client_names_and_types_by_node(client, node, "/"),
    }
    return {(role, name) for role, pairs in by.items() for name in names(pairs)}


def nodes_of(client: Node) -> set[str]:
    """Names of all nodes, hidden ones too."""
    return set(client.get_node_names())


# -- form


def test_it_has_the_form_of_a_policy_of_sros2(policy: ElementTree.Element) -> None:
    assert policy.tag == "policy" and policy.get("version") == VERSION
    (enclaves,) = policy
    assert enclaves.tag == "enclaves" and len(enclaves)
    for enclave in enclaves:
        assert enclave.tag == "enclave"
        assert str(enclave.get("path")).startswith("/nextscale/")
        (profiles,) = enclave
        assert profiles.tag == "profiles" and len(profiles)
        for profile in profiles:
            assert profile.tag == "profile" and set(profile.attrib) == {"ns", "node"}
            assert len(profile)
            for element in profile:
                roles = ROLES[element.tag]
                assert len(element.attrib) == 1 and set(element.attrib) <= set(roles)
                assert set(element.attrib.values()) <= {"ALLOW", "DENY"}
                assert len(element)
                for one in element:
                    assert one.tag == element.tag[:-1]
                    name = str(one.text)
                    assert name.strip() == name and "*" not in name, "no wildcards"


def test_nothing_is_named_twice(policy: ElementTree.Element) -> None:
    paths = [enclave.get("path") for enclave in policy.iter("enclave")]
    assert len(paths) == len(set(paths))
    for profile in policy.iter("profile"):
        roles = [tuple(element.attrib) for element in profile]
        assert len(roles) == len(set(roles))
        for element in profile:
            names = [one.text for one in element]
            assert len(names) == len(set(names)), profile.get("node")


# -- what runs


@pytest.fixture(scope="module")
def uses(graph: Graph) -> Iterator[dict[str, Use]]:
    """What each node uses, in all the ways of running it together."""
    client: Recorder = graph.recorder()
    found: dict[str, Use] = {}
    profile = str(resource("config/robots/g1.yaml"))
    described: dict[str, object] = {
        "robot": "robot_description",
        "profile": profile,
        "use_sim_time": True,
        "description_timeout": START,
    }
    with_action = importlib.util.find_spec("control_msgs") is not None
    output = {"output": "follow_joint_trajectory"} if with_action else {}
    ways: list[tuple[str, dict[str, object]]] = [
        ("ros.fake_pipeline", {}),
        ("ros.fake_pipeline", {**described, **output, "imu_topic": "imu"}),
        ("viewer_node", {}),
        ("viewer_node", described),
    ]

    def record(name: str) -> None:
        # Entities are announced one after the other.
        client.listen(1.0)
        for one in nodes_of(client):
            if name in one:
                found.setdefault(one, set()).update(used(client, one))

    for module, parameters in ways:
        name = "generate_node" if module == "ros.fake_pipeline" else "viewer_node"
        client.wait(
            lambda name=name: not any(name in one for one in nodes_of(client)), START, "an end"
        )
        child = graph.start(module, parameters)
        if parameters:
            # No description is published yet, so the waiting nodes are visible.
            waiting = f"{name}_description_listener"
            client.wait(
                lambda waiting=waiting: (
                    waiting in nodes_of(client)
                    and any(role == "subscribe" for role, _ in used(client, waiting))
                ),
                START,
                waiting,
                child.check,
            )
            record(name)
        mock = graph.start("mock_robot")

        def complete(name: str = name) -> bool:
            here = [one for one in (name, f"_{name}_robot") if one in nodes_of(client)]
            now: Use = set().union(*(used(client, one) for one in here))
            text = ("subscribe", "/text_command")
            return ("subscribe", "/joint_states") in now and (
                name != "generate_node" or text in now
            )

        client.wait(complete, START, f"{name} to be there", child.check)
        record(name)
        for one in (child, mock):
            one.stop()
            graph.children.remove(one)
    if not with_action:
        # Only this once does the node use what this machine cannot show.
        call = ("call", "/joint_trajectory_controller/follow_joint_trajectory")
        found["generate_node"].add(call)
    yield found


def test_the_policy_names_every_node_that_runs(
    policy: ElementTree.Element, uses: dict[str, Use]
) -> None:
    profiles = {str(profile.get("node")) for profile in policy.iter("profile")}
    # The speaker publishes sentences; it is not a node of this package.
    assert set(uses) == profiles - {"speaker"}


@pytest.mark.parametrize("node", ["generate_node", "viewer_node"])
def test_the_policy_allows_what_a_node_uses_and_nothing_else(
    policy: ElementTree.Element, uses: dict[str, Use], node: str
) -> None:
    granted = allowed(policy, node)
    assert uses[node] - granted == set(), "used and not allowed"
    assert granted - uses[node] == set(), "allowed and never used"


def test_a_speaker_may_use_what_the_node_serves(
    policy: ElementTree.Element, uses: dict[str, Use]
) -> None:
    other = {
        "publish": "subscribe",
        "subscribe": "publish",
        "request": "reply",
        "call": "execute",
    }
    everywhere = {("publish", "/rosout"), ("publish", "/parameter_events")}
    for role, name in allowed(policy, "speaker") - everywhere:
        assert (other[role], name) in uses["generate_node"], (role, name)


def test_the_documentation_says_where_it_is() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "security.md"
    if not page.is_file():
        pytest.skip("the documentation is not part of this checkout")
    text = page.read_text(encoding="utf-8")
    assert POLICY in text and "ROS_SECURITY_ENABLE" in text
