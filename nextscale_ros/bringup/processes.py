"""Starting and surely ending the processes of a graph, where `ros2 launch` is not at hand."""

from __future__ import annotations

import os
import signal
import site
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from nextscale_core.exceptions import NextscaleError

TAIL_LINES = 25


class ChildError(NextscaleError, RuntimeError):
    """A process ended that should have gone on; the message carries the end of its output."""


class Child:
    """One ROS node as a process of its own, ended on leaving the `with` block.

    Args:
        module: Python module to run, or an executable of the package such as 'generate_node'.
        parameters: ROS parameters; values are written as YAML, so a float needs its point.
        ros_arguments: More arguments after `--ros-args`.
        env: Environment; None is this process's own.
        log: File that takes the output; None leaves it on this terminal.
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
        command = [sys.executable, "-m", "nextscale_ros", module, "--ros-args"]
        for name, value in (parameters or {}).items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["-p", f"{name}:={text}"]
        command += ros_arguments
        environment = dict(os.environ if env is None else env)
        environment["PYTHONUNBUFFERED"] = "1"
        # The child must find the package where this process found it, also from another folder.
        root = str(Path(__file__).resolve().parents[1])
        if root not in site.getsitepackages():
            before = environment.get("PYTHONPATH")
            environment["PYTHONPATH"] = os.pathsep.join([root, before] if before else [root])
        output = None if log is None else log.open("wb")
        try:
            # A session of its own: Ctrl-C reaches us first, and we end the children in order.
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
        """Make sure that the process still runs.

        Raises:
            ChildError: it has ended.
        """
        status = self.process.poll()
        if status is not None:
            raise ChildError(f"{self.name} ended with status {status}\n{self.tail()}".rstrip())

    def interrupt(self) -> None:
        """Ask the process to end, and do not wait for it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def stop(self, patience: float = 5.0) -> int:
        """End the process: ask, insist, then kill, with `patience` [s] between.

        Returns:
            Its exit status, negative when a signal ended it.
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


class _Asked:
    """What SIGINT and SIGTERM ask for, and whether it has to wait."""

    def __init__(self) -> None:
        self.sign = 0
        self.held = 0

    def on_signal(self, number: int, frame: object) -> None:
        self.sign = number
        if not self.held:
            self.leave()

    def leave(self) -> None:
        """Unwind the stack, once: a second signal must not keep it from ending the children."""
        sign, self.sign = self.sign, 0
        for number in (signal.SIGINT, signal.SIGTERM):
            # Ignored rather than not handled: Python's finalization would restore the default.
            signal.signal(number, signal.SIG_IGN)
        if sign == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + sign)


_asked = _Asked()


def end_on_signals() -> None:
    """Let SIGTERM and SIGINT unwind the stack, so that `with` blocks end the children.

    A shell that starts us in the background of a script leaves SIGINT ignored; whoever sends it
    all the same wants us to end.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _asked.on_signal)


@contextmanager
def signals_held() -> Iterator[None]:
    """Signals that `end_on_signals` hears take effect at the end of the block.

    For short calls into rclpy: an exception raised while it makes a message in C++ is lost, or
    comes out as another one.
    """
    _asked.held += 1
    try:
        yield
    finally:
        _asked.held -= 1
    if _asked.sign and not _asked.held:
        _asked.leave()
