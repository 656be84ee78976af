"""Memory and start of the node and of the command: import, ready, first sentences.

    python bench/memory.py [--sentences 3]

Starts the node, waits until it is ready, sends sentences for a G1 and reads its resident memory.
Times are CPU times, which other processes disturb less.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

SENTENCES = ("a person walks forward", "a person squats", "a person waves the right hand")


def command(*arguments: str) -> float:
    """CPU time of one run of Python [s]."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def memory(process: int) -> dict[str, float]:
    """Resident memory now and at most, and its anonymous part [MB]."""
    text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    rows = {"resident": "VmRSS", "most": "VmHWM", "anonymous": "RssAnon"}
    return {
        name: int(re.search(rf"{row}:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]
        for name, row in rows.items()
    }


def cpu_of(process: int) -> float:
    """CPU time of a process so far [s]."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def node(count: int) -> None:
    """Start the node, print its memory and CPU time when it is ready and after sentences."""
    line = [sys.executable, "-m", "nextscale_ros", "generate_node", "--ros-args"]
    line += ["-p", "state_policy:=assume_nominal"]
    process = subprocess.Popen(line, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True)
    lines: list[str] = []

    def read() -> None:
        lines.extend(iter(process.stdout.readline, ""))  # type: ignore[union-attr]

    threading.Thread(target=read, daemon=True).start()
    try:
        _wait(lambda: any("ready: listening" in one for one in lines), process, lines)
        print("node ready:", _facts(process.pid))
        import rclpy
        from std_msgs.msg import String

        from nextscale_ros.msg import MotionReport

        rclpy.init()
        client, reports = rclpy.create_node("memory_bench"), []
        publisher = client.create_publisher(String, "text_command", 10)
        client.create_subscription(MotionReport, "motion_report", reports.append, 10)
        _wait(lambda: publisher.get_subscription_count() > 0, process, lines)
        for number in range(count):
            publisher.publish(String(data=SENTENCES[number % len(SENTENCES)]))
            _wait(
                lambda least=number: (
                    rclpy.spin_once(client, timeout_sec=0.1) or len(reports) > least
                ),
                process,
                lines,
            )
        print(f"node after {count} sentences:", _facts(process.pid))
        rclpy.shutdown()
    finally:
        process.terminate()
        process.wait(30)


def _facts(process: int) -> str:
    found = memory(process)
    parts = [f"{name} {value:.0f} MB" for name, value in found.items()]
    return ", ".join([*parts, f"CPU {cpu_of(process):.1f} s"])


def _wait(done, process: subprocess.Popen[str], lines: list[str], seconds: float = 300.0) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not done():
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit("the node is not ready:\n" + "".join(lines[-20:]))
        time.sleep(0.05)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sentences", type=int, default=3)
    options = parser.parse_args()
    empty = command("-c", "pass")
    print(f"import nextscale_core: {command('-c', 'import nextscale_core') - empty:.2f} s")
    print(f"nextscale --help: {command('-m', 'nextscale_core.cli', '--help'):.2f} s")
    node(options.sentences)


if __name__ == "__main__":
    main()
