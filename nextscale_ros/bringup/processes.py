"""Child processes of a private ROS graph, ended in every case, without `ros2 launch`."""

from __future__ import annotations

import os
import random
import signal
import site
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from domain_coordinator import domain_id

from nextscale_core.ending_signals import ending_signals
from nextscale_core.exceptions import NextscaleError

TAIL_LINES = 25
"""Number of output lines in the message of a `ChildError`."""


class ChildError(NextscaleError, RuntimeError):
    """A process ended unexpectedly; the message contains the end of its output."""


@contextmanager
def private_graph(ros_home: Path) -> Iterator[dict[str, str]]:
    """Reserve a ROS domain that nobody uses on this machine for the duration of the `with` block.

    Args:
        ros_home: Folder for ROS's own logs.

    Yields:
        Environment for the processes of the graph; they communicate on localhost only.

    Raises:
        RuntimeError: all domains of this machine are in use.
    """
    # Random order: a domain used a moment ago may still have a process that publishes late.
    candidates = iter(random.sample(range(1, 101), 100))
    # `domain_id` only knows of the domains it reserved: another one may hold a real robot.
    reservation = domain_id(lambda: next(d for d in candidates if d not in _domains_in_use()))
    domain = reservation.__enter__()
    env = dict(os.environ)
    # The former is deprecated and would override the discovery range.
    env.pop("ROS_LOCALHOST_ONLY", None)
    env.pop("ROS_LOG_DIR", None)
    env.update(
        ROS_DOMAIN_ID=str(domain),
        ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST",
        ROS_HOME=str(ros_home),
    )
    try:
        yield env
    finally:
        # Without the block's exception: `domain_id` takes any OSError for a domain in use.
        reservation.__exit__(None, None, None)


def _domains_in_use() -> set[int]:
    """Domains of the participants on this machine, by the UDP ports that RTPS gives a domain."""
    tables = (path for path in map(Path, ("/proc/net/udp", "/proc/net/udp6")) if path.exists())
    sockets = (line.split()[1] for path in tables for line in path.read_text().splitlines()[1:])
    return {(int(address.rpartition(":")[2], 16) - 7400) // 250 for address in sockets}


class Child:
    """A ROS node in a process of its own, ended on leaving the `with` block.

    It gets SIGTERM where this process is killed. To be made in the main thread: the kernel takes
    the end of the thread that made it for that of the process.

    Args:
        module: Python module to run, or an executable of the package such as 'generate_node'.
        parameters: ROS parameters; written as YAML, so a float needs its decimal point.
        ros_arguments: Further arguments after `--ros-args`.
        env: Environment; None for that of this process.
        log: File for the output; None for this terminal.
    """

    def __init__(
        self,
        module: str,
        *,
        parameters: Mapping[str, object] | None = None,
        ros_arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.name = module.rpartition(".")[2]
        self.log = log
        command = [sys.executable, "-m", "nextscale_ros", "--parent", str(os.getpid()), module]
        command.append("--ros-args")
        for name, value in (parameters or {}).items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["-p", f"{name}:={text}"]
        command += ros_arguments
        environment = dict(os.environ if env is None else env)
        environment["PYTHONUNBUFFERED"] = "1"
        # "-m" would import scripts of the current folder: an h2.py for a robot in place of the h2
        # that HTTP libraries look for. From Python 3.11 on.
        environment["PYTHONSAFEPATH"] = "1"
        # The child must import the package from where this process imported it.
        root = str(Path(__file__).resolve().parents[2])
        if root not in site.getsitepackages():
            before = environment.get("PYTHONPATH")
            environment["PYTHONPATH"] = os.pathsep.join([root, before] if before else [root])
        output = None if log is None else log.open("wb")
        try:
            # In a new session: Ctrl-C reaches this process, which ends the children in order.
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                start_new_session=True,
            )
        finally:
            if output is not None:
                output.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def tail(self) -> str:
        """The last lines of the output so far."""
        if self.log is None:
            return ""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def check(self) -> None:
        """Check that the process still runs.

        Raises:
            ChildError: the process has ended.
        """
        status = self.process.poll()
        if status is not None:
            raise ChildError(f"{self.name} ended with status {status}\n{self.tail()}".rstrip())

    def interrupt(self) -> None:
        """Send SIGINT without waiting for the process."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def stop(self, patience: float = 5.0) -> int:
        """End the process by SIGINT, SIGTERM, then SIGKILL, `patience` [s] apart.

        Returns:
            Exit status, negative if a signal ended the process.
        """
        for sign in (signal.SIGINT, signal.SIGTERM):
            if self.process.poll() is None:
                self.process.send_signal(sign)
                try:
                    self.process.wait(patience)
                except subprocess.TimeoutExpired:
                    continue
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()


class _PendingSignal:
    """The signal received last, and whether its effect is deferred."""

    def __init__(self) -> None:
        self.sign = 0
        self.held = 0

    def on_signal(self, number: int, frame: object) -> None:
        self.sign = number
        if not self.held:
            self.leave()

    def leave(self) -> None:
        """Unwind the stack, once: a second signal must not interrupt ending the children."""
        sign, self.sign = self.sign, 0
        for number in ending_signals():
            # SIG_IGN, because Python's finalization would replace a handler by the default.
            signal.signal(number, signal.SIG_IGN)
        if sign == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + sign)


_pending = _PendingSignal()


def end_on_signals() -> None:
    """Make `ending_signals` unwind the stack, so that `with` blocks end the children."""
    for number in ending_signals():
        signal.signal(number, _pending.on_signal)


@contextmanager
def signals_held() -> Iterator[None]:
    """Defer the signals of `end_on_signals` to the end of the block.

    For short calls into rclpy, where an exception raised while C++ creates a message is lost or
    replaced by another one.
    """
    _pending.held += 1
    try:
        yield
    finally:
        _pending.held -= 1
    if _pending.sign and not _pending.held:
        _pending.leave()
