"""Runs one step of setup.sh, writes its output to a file and shows the progress.

    progress.py packages LOG REQUIREMENTS -- pip install --progress-bar raw ...
    progress.py build LOG -- pip install --verbose ...

On a terminal one line is rewritten, elsewhere a line is printed every ten seconds. Only the
standard library is used: this runs before anything is installed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

MEGABYTE = 1_000_000
PACKAGE_OVERHEAD = 2.0
"""Time that pip needs per package, as an equivalent download [MB]."""
INSTALL_RATE = 15.0
"""Assumed rate at which pip unpacks wheels, until it is measured [MB/s]."""
SETTLING = 3.0
"""Time after which a download rate counts as measured [s]."""
SECOND_BUILD = 0.5
"""Duration of the second build relative to the first."""
MEASURED_SHARE = 0.1
"""Completed share from which the remaining time is extrapolated."""

_UNITS = {"bytes": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
_FILE = r"(?:\S*/)?([^\s/]+\.(?:whl|tar\.gz|zip))"
_ARRIVAL = re.compile(
    rf"\s*(Downloading|Using cached|Processing) {_FILE}(?: \(([\d.]+) (bytes|[kMG]B)\))?"
)
_METADATA = re.compile(rf"\s*(?:Downloading|Using cached) {_FILE}\.metadata")
_PIN = re.compile(
    r"(?P<name>[\w.-]+)==\S+(?: ; python_full_version (?P<than>>=|<) '(?P<version>[\d.]+)')?"
    r"(?:  # (?P<size>\d+) MB)?"
)
_GPU = re.compile(r"# .* (\d+) GPU libraries more: (\d+) MB")


class Step(Protocol):
    """Parser of a command's output."""

    def read(self, line: str, now: float) -> None:
        """Parse one line of the command's output."""

    def status(self, now: float) -> tuple[str, float | None]:
        """Progress as text, and the estimated remaining time [s]."""


class Packages:
    """Progress of pip's downloads and installations.

    Args:
        requirements: Text of the pinned requirements with their sizes, see lock.sh.
        site_packages: Folder that pip installs to.
    """

    def __init__(self, requirements: str, site_packages: Path) -> None:
        self._site_packages = site_packages
        self._before = self._installed()
        self._sizes: dict[str, float] = {}
        self._gpu = (0, 0.0)
        for line in requirements.splitlines():
            if (pin := _PIN.fullmatch(line)) and _applies(pin["than"], pin["version"]):
                self._sizes[_normal(pin["name"])] = float(pin["size"] or 0)
            elif gpu := _GPU.fullmatch(line):
                self._gpu = (int(gpu[1]), float(gpu[2]))
        self._arrived: set[str] = set()
        self._requirements = 0
        self._current, self._partial = "", 0.0
        self._begin: float | None = None
        self._install_begin: float | None = None
        self._install_count = 0

    def read(self, line: str, now: float) -> None:
        """Parse one line of pip's output."""
        self._begin = now if self._begin is None else self._begin
        if line.startswith("Progress "):
            self._partial = float(line.split()[1]) / MEGABYTE
        elif line.startswith("Collecting "):
            self._requirements += 1
        elif metadata := _METADATA.match(line):
            self._expect_gpu_libraries(metadata[1])
        elif arrival := _ARRIVAL.match(line):
            self._requirements += arrival[1] == "Processing"
            self._finish()
            self._expect_gpu_libraries(arrival[2])
            name = _normal(arrival[2].split("-")[0])
            self._learn(name, float(arrival[3]) * _UNITS[arrival[4]] if arrival[3] else None)
            if arrival[1] == "Downloading":
                self._current = name
            else:
                self._arrived.add(name)
        elif line.startswith("Installing collected packages: "):
            self._finish()
            self._install_begin, self._install_count = now, line.count(",") + 1

    def status(self, now: float) -> tuple[str, float | None]:
        """Progress as text, and the estimated remaining time [s]."""
        count = len(self._sizes) + self._gpu[0]
        weight = sum(self._sizes.values()) + self._gpu[1] + PACKAGE_OVERHEAD * count
        if self._begin is None:
            return "starting", None
        if self._install_begin is not None:
            names = self._installed() - self._before
            done = sum(self._sizes.get(name, 0.0) + PACKAGE_OVERHEAD for name in names)
            elapsed = now - self._install_begin
            left = weight / INSTALL_RATE - elapsed
            if done > MEASURED_SHARE * weight:
                left = elapsed * (weight - done) / done
            text = f"installing: {len(names)} of {self._install_count} packages"
            return text, max(0.0, left)
        got = sum(self._sizes[name] for name in self._arrived) + self._partial
        if not self._arrived and not self._current:
            return f"resolving: {self._requirements} of {count} packages", None
        text = f"downloading: {len(self._arrived)} of {count} packages, {got:.0f} of "
        text += f"{sum(self._sizes.values()) + self._gpu[1]:.0f} MB"
        done_weight = got + PACKAGE_OVERHEAD * len(self._arrived)
        elapsed = now - self._begin
        if elapsed < SETTLING or not done_weight:
            return text, None
        left = elapsed * (weight - done_weight) / done_weight + weight / INSTALL_RATE
        return text, max(0.0, left)

    def _finish(self) -> None:
        """Mark the current download as complete."""
        if self._current:
            self._arrived.add(self._current)
        self._current, self._partial = "", 0.0

    def _learn(self, name: str, size: float | None) -> None:
        """Replace the locked size of a file by the actual one; None for a local file."""
        if name not in self._sizes:  # not in the lock: a GPU library
            count, total = self._gpu
            self._gpu = (max(0, count - 1), max(0.0, total - (size or 0.0)))
        self._sizes[name] = self._sizes.get(name, 0.0) if size is None else size

    def _expect_gpu_libraries(self, file: str) -> None:
        if file.startswith("torch-") and "+cpu" in file.replace("%2B", "+"):
            self._gpu = (0, 0.0)

    def _installed(self) -> set[str]:
        found = self._site_packages.glob("*.dist-info")
        return {_normal(path.name.partition("-")[0]) for path in found}


class Build:
    """Progress of the two message builds by CMake and Ninja."""

    def __init__(self) -> None:
        self._part, self._done, self._steps, self._before = 0, 0, 0, 0
        self._begin: float | None = None

    def read(self, line: str, now: float) -> None:
        """Parse one line of pip's output."""
        if step := re.match(r"\s*\[(\d+)/(\d+)\]", line):
            done, steps = int(step[1]), int(step[2])
            self._begin = now if self._begin is None else self._begin
            if done < self._done or not self._part:
                self._part, self._before = self._part + 1, self._before + self._done
            self._done, self._steps = done, steps

    def status(self, now: float) -> tuple[str, float | None]:
        """Progress as text, and the estimated remaining time [s]."""
        if self._begin is None:
            return "building the ROS messages: configuring", None
        text = f"building the ROS messages: part {self._part} of 2, {self._done} of {self._steps}"
        done = self._before + self._done
        later = self._steps * SECOND_BUILD if self._part == 1 else 0.0
        left = (now - self._begin) * (self._steps - self._done + later) / done
        return text, left if done > MEASURED_SHARE * self._steps else None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _applies(than: str | None, version: str | None) -> bool:
    if than is None or version is None:
        return True
    bound = tuple(map(int, version.split(".")))
    return (sys.version_info[:3] >= bound) == (than == ">=")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def run(
    command: Sequence[str], log: Path, step: Step, screen: IO[str], interval: float | None = None
) -> int:
    """Run a command, show its progress, and return its exit status.

    Args:
        command: Program and arguments.
        log: File for the output, overwritten.
        step: Parser of the output.
        screen: Stream that shows the progress.
        interval: Period of updates [s]; None chooses by the kind of `screen`.
    """
    terminal = screen.isatty()
    pause = interval if interval is not None else (0.5 if terminal else 10.0)
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    begin = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, text=True,
        errors="replace",
    ) as child:  # fmt: skip
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        reader = threading.Thread(target=_copy, args=(child.stdout, log, step))
        reader.start()
        while reader.is_alive():
            reader.join(pause)
            now = time.monotonic()
            text, left = step.status(now)
            line = f"  {text}, {_clock(now - begin)} elapsed"
            line += "" if left is None else f", about {_clock(left)} left"
            if terminal:
                line = f"\r{line[: os.get_terminal_size(screen.fileno()).columns - 1]}\x1b[K"
            if terminal or reader.is_alive():
                print(line, end="" if terminal else "\n", file=screen, flush=True)
        if terminal:
            print("\r\x1b[K", end="", file=screen, flush=True)
    return child.returncode


def _copy(output: IO[str], log: Path, step: Step) -> None:
    with log.open("w", encoding="utf-8") as file:
        for line in output:
            step.read(line.rstrip("\n"), time.monotonic())
            if not line.startswith("Progress "):
                file.write(line)
                file.flush()


def main(arguments: Sequence[str]) -> int:
    """Run the program."""
    split = arguments.index("--")
    kind, log, *requirements = arguments[:split]
    step: Step = Build()
    if kind == "packages":
        text = "\n".join(Path(name).read_text(encoding="utf-8") for name in requirements)
        step = Packages(text, Path(sysconfig.get_paths()["purelib"]))
    try:
        return run(arguments[split + 1 :], Path(log), step, sys.stdout)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
