"""Ctrl-C ends what it should, also in the middle of a message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nextscale_ros.__main__ import ANSWERS, NODES, PROGRAMS

ROOT = Path(__file__).resolve().parents[3]

SIGNALS = [("SIGINT", -2), ("SIGTERM", 143), ("SIGHUP", 129)]
"""Signals and the exit status that they leave."""

PROGRAM = """
import os, signal, sys
from nextscale_ros.bringup.processes import end_on_signals, private_graph, signals_held
{body}
print("went on")
"""


def run(body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(("name", "status"), SIGNALS)
def test_a_signal_unwinds_the_stack(name: str, status: int) -> None:
    done = run(
        f"""
end_on_signals()
try:
    os.kill(os.getpid(), signal.{name})
finally:
    print("cleaned up")
"""
    )
    assert done.returncode == status, done.stderr
    assert done.stdout == "cleaned up\n"


@pytest.mark.parametrize(("name", "status"), SIGNALS)
def test_a_held_signal_waits_for_the_end_of_the_outermost_block(name: str, status: int) -> None:
    done = run(
        f"""
end_on_signals()
with signals_held():
    with signals_held():
        os.kill(os.getpid(), signal.{name})
        print("inner")
    print("outer")
"""
    )
    assert done.returncode == status, done.stderr
    assert done.stdout == "inner\nouter\n"


def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    """As `nohup` leaves it."""
    done = run(
        """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
end_on_signals()
os.kill(os.getpid(), signal.SIGHUP)
"""
    )
    assert done.returncode == 0 and done.stdout == "went on\n", done.stderr


def test_an_error_in_the_block_is_not_hidden() -> None:
    done = run(
        """
end_on_signals()
try:
    with signals_held():
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError("broken")
except ValueError as error:
    print(error)
"""
    )
    # The signal came first, but it is the error that unwinds; the next block ends it.
    assert done.stdout == "broken\nwent on\n", done.stderr


def test_a_message_that_is_interrupted_while_it_is_made_does_not_lose_the_signal() -> None:
    done = run(
        """
import rclpy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String
from nextscale_ros.demo.recorder import Recorder
import pathlib, tempfile

make, armed = String.__init__, []

def interrupted(self, *args, **kwargs):
    make(self, *args, **kwargs)
    if armed:
        # As if Ctrl-C came while rclpy fills the message in C++.
        armed.clear()
        os.kill(os.getpid(), signal.SIGINT)

String.__init__ = interrupted
end_on_signals()
with private_graph(pathlib.Path(tempfile.mkdtemp())) as env:
    os.environ.update(env)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    recorder = Recorder()
    heard = []
    recorder.create_subscription(String, "words", heard.append, 10)
    publisher = recorder.create_publisher(String, "words", 10)
    try:
        recorder.wait(publisher.get_subscription_count, 30.0, "the subscription")
        hello = String(data="hello")
        armed.append(True)
        publisher.publish(hello)
        recorder.wait(lambda: False, 30.0, "the signal")
    finally:
        print("cleaned up", [message.data for message in heard])
        recorder.destroy_node()
        rclpy.try_shutdown()
"""
    )
    assert done.returncode == -2, done.stderr
    assert done.stdout == "cleaned up ['hello']\n"


@pytest.mark.parametrize("sign", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("name", [*NODES, *PROGRAMS])
def test_a_signal_during_the_imports_of_an_executable_leaves_no_traceback(
    name: str, sign: str
) -> None:
    assert f'"{name}"' in (ROOT / "setup.py").read_text(), "it is installed"
    done = run(
        f"""
from nextscale_ros import __main__
__main__.importlib.import_module = lambda _: os.kill(os.getpid(), signal.{sign})
sys.argv = ["/usr/bin/{name}"]
__main__.executable()
"""
    )
    assert done.returncode == (130 if name in ANSWERS else 0)
    assert not done.stdout and not done.stderr
