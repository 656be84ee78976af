"""Goals of the action, for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Time
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from unique_identifier_msgs.msg import UUID

from nextscale_ros.action import GenerateMotion
from nextscale_ros.demo.recorder import DemoTimeoutError, Recorder
from ros.graph import REPLY

SUCCEEDED, CANCELED, ABORTED = (
    GoalStatus.STATUS_SUCCEEDED,
    GoalStatus.STATUS_CANCELED,
    GoalStatus.STATUS_ABORTED,
)


@dataclass
class Sent:
    """One goal; its feedback may come after its result."""

    handle: Any
    feedback: list[GenerateMotion.Feedback]
    future: Any = None

    def is_in(self, stage: str) -> bool:
        """Whether this is the stage that the last feedback so far tells of."""
        return bool(self.feedback) and self.feedback[-1].stage == stage


class Goals:
    """A client of the action.

    Args:
        recorder: The node to live in; it is spun while something is waited for.
        name: The action.
    """

    def __init__(self, recorder: Recorder, name: str = "/generate_motion") -> None:
        self._recorder = recorder
        # A subscription of its own: rclpy's client drops feedback that it hears after the result.
        self._feedback: dict[bytes, list[GenerateMotion.Feedback]] = {}
        kind = GenerateMotion.Impl.FeedbackMessage
        topic = f"{name}/_action/feedback"
        self._subscription = recorder.create_subscription(kind, topic, self._hear, 1000)
        for last in (False, False, True):
            self._client = ActionClient(recorder, GenerateMotion, name)
            self.wait(self._client.server_is_ready, "the action server")
            try:
                self._until_answered()
                break
            except DemoTimeoutError:
                self._client.destroy()
                if last:
                    raise
        self.wait(lambda: self._subscription.get_publisher_count() > 0, "the feedback's topic")

    def _until_answered(self) -> None:
        """Ask for the result of no goal: a first answer may be lost, see `ros.services.call`."""
        response = SimpleNamespace(accepted=True, stamp=Time())
        nothing = ClientGoalHandle(self._client, UUID(), response).get_result_async()
        self._recorder.wait(nothing.done, REPLY / 3, "the action server")

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        self._recorder.wait(condition, REPLY, what)

    def send(self, *texts: str, **fields: Any) -> Sent:
        """Send a goal and wait until it was accepted or rejected."""
        name = uuid4().bytes
        feedback = self._feedback.setdefault(name, [])
        goal = GenerateMotion.Goal(texts=list(texts), **fields)
        future = self._client.send_goal_async(goal, goal_uuid=UUID(uuid=list(name)))
        self.wait(future.done, "the answer to a goal")
        sent = Sent(future.result(), feedback)
        if sent.handle.accepted:
            sent.future = sent.handle.get_result_async()
        return sent

    def _hear(self, message: Any) -> None:
        heard = self._feedback.get(bytes(message.goal_id.uuid))
        if heard is not None:
            heard.append(message.feedback)

    def result(self, sent: Sent) -> tuple[int, GenerateMotion.Result]:
        self.wait(sent.future.done, "the result of a goal")
        answer = sent.future.result()
        return answer.status, answer.result

    def ask(self, *texts: str, **fields: Any) -> tuple[int, GenerateMotion.Result]:
        """Send a goal and wait for its end."""
        sent = self.send(*texts, **fields)
        assert sent.handle.accepted
        return self.result(sent)

    def cancel(self, sent: Sent) -> int:
        """Ask to cancel; how many goals are being canceled."""
        future = sent.handle.cancel_goal_async()
        self.wait(future.done, "the answer to the cancellation")
        return len(future.result().goals_canceling)

    def destroy(self) -> None:
        self._client.destroy()
        self._recorder.destroy_subscription(self._subscription)
