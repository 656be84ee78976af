"""A lifecycle node that reports why a transition failed and allows another attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.lifecycle.node import LifecycleNodeMixin
from rclpy.node import Node

from nextscale_core.exceptions import NextscaleError


class GuardedLifecycleNode(LifecycleNodeMixin, Node):
    """Base class of a lifecycle node whose transitions may raise.

    Subclasses implement `_configure`, `_activate`, `_deactivate` and `_cleanup`. A transition that
    raises a NextscaleError fails and leaves the node in its state; any other error brings it to
    unconfigured.

    Args:
        name: Name of the node.
        arguments: Further arguments of `rclpy.node.Node`.

    Attributes:
        failure: Why the node could not start by itself, or ''.
        problem: Why the last transition failed, or ''.
        loading: Whether a transition is in progress.
        closing: Set to refuse all further transitions.
    """

    def __init__(self, name: str, **arguments: Any) -> None:
        Node.__init__(self, name, **arguments)
        # Loading takes seconds and must not block parameters, diagnostics or get_state.
        LifecycleNodeMixin.__init__(self, callback_group=MutuallyExclusiveCallbackGroup())
        self._transitions = MutuallyExclusiveCallbackGroup()
        self.failure = self.problem = ""
        self.loading = self.closing = False
        self._guard_transitions()

    def start_by_itself(self) -> None:
        """Configure and activate as soon as the node is served by an executor."""
        self._autostart = self.create_timer(
            0.0,
            self._start,
            callback_group=self._transitions,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    @property
    def state_label(self) -> str:
        """Label of the lifecycle state."""
        return str(self._state_machine.current_state[1])

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load what the node needs."""
        return self._attempt("configure", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to serve."""
        return self._attempt("activate", self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop serving."""
        return self._attempt("deactivate", self._deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release what was loaded."""
        return self._attempt("cleanup", self._cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop for good."""
        return self._attempt("shutdown", self._cleanup)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured, from where everything can be tried again."""
        problem = self.problem
        result = self._attempt("cleanup", self._cleanup)
        self.problem = problem
        return result

    def _configure(self) -> None:
        raise NotImplementedError

    def _activate(self) -> None:
        raise NotImplementedError

    def _deactivate(self) -> None:
        raise NotImplementedError

    def _cleanup(self) -> None:
        raise NotImplementedError

    def _attempt(self, transition: str, work: Callable[[], None]) -> TransitionCallbackReturn:
        if self.closing:
            return TransitionCallbackReturn.FAILURE
        self.problem = ""
        self.loading = True
        result = TransitionCallbackReturn.SUCCESS
        try:
            work()
        except NextscaleError as error:
            self.problem, result = str(error), TransitionCallbackReturn.FAILURE
        except Exception as error:
            self.problem = f"{type(error).__name__}: {error}"
            result = TransitionCallbackReturn.ERROR
        finally:
            self.loading = False
        if self.problem:
            self.get_logger().error(f"{transition}: {self.problem}")
        return result

    def _guard_transitions(self) -> None:
        """Refuse a transition that does not exist in the current state; rclpy raises."""
        service = self._service_change_state
        change = service.callback
        service.callback_group = self._transitions
        self._transitions.add_entity(service)

        def guarded(request: Any, response: Any) -> Any:
            try:
                return change(request, response)
            except (rclpy_implementation.RCLError, ValueError) as error:
                wanted = request.transition.label or request.transition.id
                self.get_logger().warning(
                    f"no transition {wanted!r} from state {self.state_label!r}: {error}",
                    throttle_duration_sec=1.0,
                )
                response.success = False
                return response

        service.callback = guarded

    def _start(self) -> None:
        """Configure and activate, once."""
        self.destroy_timer(self._autostart)
        if self.state_label != "unconfigured":
            return
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != TransitionCallbackReturn.SUCCESS:
                self.failure = self.problem or "the node could not start"
                return
