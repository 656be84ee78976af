"""Replay of a recorded session: the same seeds give the same trajectories."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.bags import Bag, BagWriter
from nextscale_core.bags import definitions as kinds
from nextscale_ros.bags.bag_recorder import SESSION
from nextscale_ros.bags.compare import base_difference, compare, difference
from nextscale_ros.bags.session import Sentence, _answered, read_session
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.msg import MotionReport, TextCommand
from nextscale_ros.node.reports import GOOD
from ros.graph import HERE, REPLY, START, Graph

TEXTS = ("a person raises the right arm", "a person raises it again")


@dataclass
class Recording:
    """A bag, and the messages received while it was recorded."""

    path: Path
    reports: list[MotionReport]
    commands: list[JointTrajectory]
    states: int
    status: int
    log: str


def still(recorder: Recorder, count: int = 200) -> bool:
    """Whether the robot is exactly at rest for two seconds of joint states."""
    last = recorder.states[-count:]
    return len(last) == count and all(list(s.position) == list(last[0].position) for s in last)


def rest(recorder: Recorder, graph: Graph) -> None:
    recorder.wait(lambda: still(recorder), REPLY, "the robot to rest", graph.alive)


def moves(recorder: Recorder) -> bool:
    return any(abs(speed) > 0.1 for state in recorder.states for speed in state.velocity)


def ask_at_rest(recorder: Recorder, text: str, graph: Graph) -> None:
    """Send a sentence to the robot at rest, and wait until it moves."""
    rest(recorder, graph)
    recorder.listen(2.0)  # on a busy machine the node hears of it later than we do
    reports, commands = len(recorder.reports), len(recorder.commands)
    recorder.states.clear()
    recorder.say(text)
    recorder.wait(lambda: len(recorder.reports) > reports, REPLY, "report", graph.alive)
    report = recorder.reports[-1]
    assert report.outcome in GOOD, report.message
    recorder.wait(lambda: len(recorder.commands) > commands, REPLY, "trajectory", graph.alive)
    recorder.wait(lambda: moves(recorder), REPLY, "the robot to move", graph.alive)


@pytest.fixture(scope="module")
def recording(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Two sentences, the second when the robot has come to rest after the first."""
    path = tmp_path_factory.mktemp("bags") / "session"
    graph.start("mock_robot", {"robot": "g1"})
    graph.start("ros.fake_pipeline", {"robot": "g1", "seed": -1, "state_timeout": 5.0})
    log = graph.folder / "bag_recorder.log"
    arguments = ["--", "--out", str(path)]
    with Child("bag_recorder", ros_arguments=arguments, env=graph.env, log=log) as child:
        recorder = graph.recorder()
        recorder.wait(recorder.connected, START, "the nodes", graph.alive)
        recorder.wait(
            lambda: (
                recorder.count_subscribers("/motion_command") >= 3
                and recorder.count_subscribers("/text_command") >= 2
                # We, the node and the bag: what stood before it listened does not count.
                and recorder.count_subscribers("/joint_states") >= 3
                and recorder.count_subscribers("/odom") >= 3
            ),
            START,
            "the bag recorder",
            child.check,
        )
        # Seen by us, they may not have found the robot yet.
        recorder.listen(2.0)
        recorder.states.clear()
        for text in TEXTS:
            ask_at_rest(recorder, text, graph)
        rest(recorder, graph)
        status = child.stop()
        commands = [command for _, command in recorder.commands]
        return Recording(
            path,
            list(recorder.reports),
            commands,
            len(recorder.states),
            status,
            log.read_text(),
        )


def replayed(bag: Path, graph: Graph) -> subprocess.CompletedProcess[str]:
    """Run the replay on the command line, with the fake pipeline."""
    command = [sys.executable, "-m", "nextscale_ros.bags.bag_replay", str(bag), "--timeout", "120"]
    command += ["--node-module", "ros.fake_pipeline", "--logs", str(graph.folder / "replay")]
    env = {**graph.env, "COLUMNS": "200"}
    env["PYTHONPATH"] = f"{HERE.parent.parent}:{HERE.parent}"
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=250)


def rewritten(
    source: Path, target: Path, change: Callable[[str, bytes, int], bytes | None]
) -> Path:
    """A copy with each message replaced by `change(topic, data, number)`."""
    counts: dict[str, int] = {}
    with Bag(source) as bag, BagWriter(target) as copy:
        for topic in bag.topics:
            copy.add(topic.name, topic.kind)
        for message in bag.messages([topic.name for topic in bag.topics]):
            number = counts.get(message.topic, 0)
            counts[message.topic] = number + 1
            data = change(message.topic, message.data, number)
            if data is not None:
                copy.write(message.topic, message.time, data)
    return target


# -- the recording


def test_the_recorder_ends_cleanly_and_logs_its_messages(recording: Recording) -> None:
    assert recording.status == 0, recording.log
    assert "recorded" in recording.log and "messages to" in recording.log
    assert (recording.path / "metadata.yaml").is_file()


def test_everything_of_the_session_is_in_the_bag(recording: Recording) -> None:
    with Bag(recording.path) as bag:
        there = {topic.name: topic for topic in bag.topics}
        assert set(there) == {f"/{topic.name}" for topic in SESSION}
        assert there["/text_command"].count == len(TEXTS)
        assert there["/motion_report"].count == len(TEXTS)
        assert there["/motion_command"].count == there["/motion_command/base"].count == len(TEXTS)
        assert there["/joint_states"].count > 400
        assert there["/odom"].count > 100
        said = [kinds.decode(m.kind, m.data).data for m in bag.messages(["/text_command"])]
    assert said == list(TEXTS)


def test_messages_are_recorded_to_the_last_bit(recording: Recording) -> None:
    with Bag(recording.path) as bag:
        commands = [
            deserialize_message(m.data, JointTrajectory) for m in bag.messages(["/motion_command"])
        ]
        reports = [
            deserialize_message(m.data, MotionReport) for m in bag.messages(["/motion_report"])
        ]
    assert commands == recording.commands
    assert reports == recording.reports


def test_a_session_brings_together_what_belongs_together(recording: Recording) -> None:
    with Bag(recording.path) as bag:
        session = read_session(bag)
    assert session.unanswered == 0
    assert [one.command.text for one in session.sentences] == list(TEXTS)
    assert [one.command.seed for one in session.sentences] == [
        report.seed for report in recording.reports
    ]
    assert [one.trajectory for one in session.sentences] == recording.commands
    assert all(one.at_rest and one.base is not None for one in session.sentences)


# -- the replay


def test_the_same_seeds_give_the_same_trajectories(recording: Recording, graph: Graph) -> None:
    done = replayed(recording.path, graph)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 sentences that began at rest gave the same answer" in done.stdout
    for text, report in zip(TEXTS, recording.reports, strict=True):
        (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith(text)]
        assert str(report.seed) in line and "stood" in line and line.rstrip().endswith("same")


def test_a_tampered_bag_is_noticed(recording: Recording, graph: Graph, tmp_path: Path) -> None:
    def nudge(topic: str, data: bytes, number: int) -> bytes:
        if topic == "/motion_report" and number == 1:
            report = deserialize_message(data, MotionReport)
            report.findings = [*report.findings, "a finding of its own"]
            return bytes(serialize_message(report))
        if topic != "/motion_command" or number != 1:
            return data
        command = deserialize_message(data, JointTrajectory)
        command.points[5].positions[3] += 1e-4
        return bytes(serialize_message(command))

    bag = rewritten(recording.path, tmp_path / "tampered", nudge)
    done = replayed(bag, graph)
    assert done.returncode == 1, done.stdout + done.stderr
    first, second = (
        next(line for line in done.stdout.splitlines() if line.strip().startswith(text))
        for text in TEXTS
    )
    assert first.rstrip().endswith("same") and second.rstrip().endswith("DIFFERENT")
    assert "1.00e-04" in second
    assert f"{TEXTS[1]}: recorded only: a finding of its own" in done.stdout


def test_a_bag_without_a_session_is_an_error_with_the_missing_topic(
    recording: Recording, graph: Graph, tmp_path: Path
) -> None:
    with BagWriter(tmp_path / "other") as bag:
        bag.add("/text_command", kinds.TEXT)
        bag.put("/text_command", kinds.TEXT, 1, kinds.message(kinds.TEXT, data="walk"))
    done = replayed(tmp_path / "other", graph)
    assert done.returncode == 2
    assert "is not a recorded session: it has no topic joint_states" in done.stderr


def test_reports_that_belong_to_nothing_are_nothing_to_replay(
    recording: Recording, graph: Graph, tmp_path: Path
) -> None:
    bag = rewritten(
        recording.path,
        tmp_path / "dumb",
        lambda topic, data, number: None if topic == "/motion_report" else data,
    )
    done = replayed(bag, graph)
    assert done.returncode == 2
    assert "there is nothing to replay" in done.stderr


def test_of_a_bag_cut_short_the_whole_part_is_read_with_a_note(
    recording: Recording, graph: Graph, tmp_path: Path
) -> None:
    copy = tmp_path / "short"
    shutil.copytree(recording.path, copy)
    (file,) = copy.glob("*.mcap")
    # Before the first sentence, so that there is nothing to replay.
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 10])
    done = replayed(copy, graph)
    assert done.returncode == 2
    assert "was cut short, as where a recorder is killed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_session_with_two_senders_that_contradict_each_other_is_not_replayed(
    recording: Recording, graph: Graph, tmp_path: Path
) -> None:
    def zeros_between(topic: str, data: bytes, number: int) -> bytes:
        if topic != "/joint_states" or number % 2:
            return data
        state = kinds.decode(kinds.JOINT_STATE, data)
        state.position = 0.0 * state.position
        return kinds.encode(kinds.JOINT_STATE, state)

    done = replayed(rewritten(recording.path, tmp_path / "two", zeros_between), graph)
    assert done.returncode == 2
    assert "two senders contradict each other" in done.stderr
    assert "cannot tell them apart" in done.stderr


# -- what is promised


def sentence(trajectory: JointTrajectory | None, moved: float, outcome: str) -> Sentence:
    report = MotionReport(outcome=outcome, text="walk")
    return Sentence(0, TextCommand(), report, 1, 1, trajectory, None, moved)


def made(shift: float = 0.0) -> JointTrajectory:
    from trajectory_msgs.msg import JointTrajectoryPoint

    from nextscale_ros.messages.conversions import duration

    points = [
        JointTrajectoryPoint(
            positions=[n * 0.1, shift], velocities=[0.0, 0.0], time_from_start=duration(n * 0.1)
        )
        for n in range(4)
    ]
    return JointTrajectory(joint_names=["a", "b"], points=points)


@pytest.fixture
def answers() -> Callable[..., object]:
    from nextscale_ros.bags.player import ReplayedAnswer

    return lambda trajectory, outcome="pass": ReplayedAnswer(
        MotionReport(outcome=outcome), trajectory
    )


@pytest.mark.parametrize(
    ("moved", "shift", "promised", "same"),
    [
        (0.0, 0.0, True, True),
        (0.0, 1e-7, True, True),
        (0.0, 1e-5, True, False),
        (0.3, 1e-5, False, False),
        (np.nan, 1e-5, False, False),
    ],
)
def test_only_what_began_at_rest_must_be_the_same(
    moved: float, shift: float, promised: bool, same: bool, answers: Callable[..., object]
) -> None:
    comparison = compare(sentence(made(), moved, "pass"), answers(made(shift)), 1e-6)
    assert (comparison.promised, comparison.same) == (promised, same)
    assert comparison.differs == (promised and not same)
    assert comparison.difference == pytest.approx(shift)


def test_where_the_node_saw_a_movement_nothing_is_promised(answers: Callable[..., object]) -> None:
    """It hears of a rest later than the recording, now and then."""
    taken_over = made()
    taken_over.header.stamp.sec = 3
    comparison = compare(sentence(taken_over, 0.0, "pass"), answers(made(0.2)), 1e-6)
    assert not comparison.promised and not comparison.differs
    lost = answers(made(0.2))
    lost.report.findings = ["continuation: nothing is continued: a gap"]
    assert not compare(sentence(made(), 0.0, "pass"), lost, 1e-6).promised


def test_a_trembling_robot_stands_within_the_given_motion(answers: Callable[..., object]) -> None:
    trembling = sentence(made(), 1e-4, "pass")
    assert not compare(trembling, answers(made(1e-4)), 1e-6).differs
    assert compare(trembling, answers(made(1e-4)), 1e-6, still=1e-3).differs
    assert not compare(trembling, answers(made(1e-4)), 1e-3, still=1e-3).differs


def test_no_answer_and_another_outcome_are_differences(answers: Callable[..., object]) -> None:
    assert compare(sentence(made(), 0.0, "pass"), None, 1e-6).differs
    assert compare(sentence(made(), 0.0, "pass"), answers(None, "rejected"), 1e-6).differs
    assert compare(sentence(None, np.nan, "bad_input"), answers(made()), 1e-6).differs
    assert not compare(
        sentence(None, np.nan, "bad_input"), answers(None, "bad_input"), 1e-6
    ).differs
    assert not compare(sentence(None, 0.0, "superseded"), answers(made()), 1e-6).differs


def test_trajectories_of_other_joints_or_lengths_cannot_be_the_same() -> None:
    shorter, other = made(), made()
    shorter.points = shorter.points[:-1]
    other.joint_names = ["b", "a"]
    assert np.isnan(difference(made(), shorter)) and np.isnan(difference(made(), other))
    assert np.isnan(difference(made(), None))


def test_when_a_trajectory_begins_does_not_count() -> None:
    later = made()
    later.header.stamp.sec = 1234
    assert difference(made(), later) == 0.0


def test_opposite_quaternions_are_the_same_orientation(
    make_trajectory: Callable[..., object],
) -> None:
    from dataclasses import replace

    from nextscale_ros.messages.conversions import base_trajectory

    trajectory = make_trajectory()
    turned = replace(trajectory, base_quaternion=-trajectory.base_quaternion)
    before, now = base_trajectory(trajectory, "odom"), base_trajectory(turned, "odom")
    assert base_difference(before, now) == 0.0
    now.points[2].transforms[0].translation.z += 0.01
    assert base_difference(before, now) == pytest.approx(0.01)


def test_where_too_little_is_known_nothing_is_promised(
    recording: Recording, tmp_path: Path
) -> None:
    with Bag(recording.path) as bag:
        first = read_session(bag).sentences[0]

    def late(topic: str, time: int) -> int | None:
        if topic == "/nextscale/ready":
            return first.time - 10**9
        return None if topic == "/joint_states" and time < first.time - 10**9 else time

    for kind in ("/nextscale/ready", "/joint_states"):
        target = tmp_path / kind.rpartition("/")[2]
        with Bag(recording.path) as bag, BagWriter(target) as copy:
            whole = [
                (late(m.topic, m.time) if m.topic == kind else m.time, m)
                for m in bag.messages([topic.name for topic in bag.topics])
            ]
            for time, message in sorted((n for n in whole if n[0] is not None), key=lambda n: n[0]):
                copy.add(message.topic, message.kind)
                copy.write(message.topic, time, message.data)
        with Bag(target) as bag:
            session = read_session(bag)
        assert [one.at_rest for one in session.sentences] == [False, True]
        assert np.isnan(session.sentences[0].moved)


# -- recording itself


def test_a_recorder_ends_with_an_error_where_the_bag_is_there_already(
    graph: Graph, tmp_path: Path
) -> None:
    (tmp_path / "session").mkdir()
    log = tmp_path / "log"
    arguments = ["--", "--out", str(tmp_path / "session")]
    child = Child("bag_recorder", ros_arguments=arguments, env=graph.env, log=log)
    assert child.process.wait(START) == 1
    assert "exists already" in log.read_text()


def test_a_recorder_in_a_namespace_records_what_is_there(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "session"
    arguments = ["-r", "__ns:=/robot1", "--", "--out", str(path), "--topic", "extra"]
    log = tmp_path / "log"
    with Child("bag_recorder", ros_arguments=arguments, env=graph.env, log=log) as child:
        from std_msgs.msg import Float64, String

        recorder = graph.recorder()
        texts = recorder.create_publisher(String, "/robot1/text_command", 10)
        extra = recorder.create_publisher(Float64, "/robot1/extra", 10)

        def heard() -> bool:
            return texts.get_subscription_count() > 0 and extra.get_subscription_count() > 0

        recorder.wait(heard, START, "the bag recorder", child.check)
        texts.publish(String(data="walk"))
        extra.publish(Float64(data=2.5))
        recorder.listen(1.0)
        child.process.send_signal(signal.SIGTERM)
        assert child.process.wait(REPLY) == 0
    with Bag(path) as bag:
        found = {message.topic: value.data for message, value in bag.decoded(
            ["/robot1/text_command", "/robot1/extra"]
        )}  # fmt: skip
    assert found == {"/robot1/text_command": "walk", "/robot1/extra": 2.5}


def test_a_full_disk_ends_the_recording_with_a_reason_and_a_bag(
    graph: Graph, tmp_path: Path
) -> None:
    import resource as limits

    path, log = tmp_path / "session", tmp_path / "log"
    before = limits.getrlimit(limits.RLIMIT_FSIZE)
    # What a file may grow to stands in for a disk: the child inherits it.
    limits.setrlimit(limits.RLIMIT_FSIZE, (3 << 19, before[1]))
    try:
        child = Child(
            "bag_recorder",
            ros_arguments=["--", "--out", str(path)],
            env=graph.env,
            log=log,
        )
    finally:
        limits.setrlimit(limits.RLIMIT_FSIZE, before)
    with child:
        from std_msgs.msg import String

        recorder = graph.recorder()
        texts = recorder.create_publisher(String, "/text_command", 10)
        recorder.wait(lambda: texts.get_subscription_count() > 0, START, "it", child.check)

        def say() -> bool:
            texts.publish(String(data="walk " * 4000))
            return child.process.poll() is not None

        recorder.wait(say, REPLY, "the recorder to end")
    assert child.process.returncode == 1, log.read_text()
    assert "cannot write" in log.read_text() and "can be read" in log.read_text()
    with Bag(path) as bag:
        said = [value.data for _, value in bag.decoded(["/text_command"])]
    assert said and set(said) == {"walk " * 4000}


@pytest.mark.parametrize(
    ("sent", "answered", "until"),
    [
        # The report is recorded with its trajectory, or long after it; there is no trajectory.
        (1_000, 1_001, 951),
        (1_000, 1_600, 1_000),
        (None, 1_600, 1_550),
        (None, 110, 100),
    ],
)
def test_a_robot_cannot_have_begun_before_its_trajectory_was_sent(
    sent: int | None, answered: int, until: int
) -> None:
    """Times in milliseconds; the sentence comes at 100."""
    ms = 1_000_000
    report = MotionReport(text="a person waves", outcome=MotionReport.PASS, published=True)
    commands = [] if sent is None else [(sent * ms, JointTrajectory())]
    said = [(100 * ms, TextCommand(text="a person waves"))]
    (found,) = _answered(said, [(answered * ms, report)], commands, [])
    assert found.until == until * ms
