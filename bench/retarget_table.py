"""The table of the retargeting benchmark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

FRAMES = 196
"""Number of frames that times refer to: the longest motion of the generators."""

CPU = "CPU"
"""Key of the CPU time, which other processes disturb less than wall time."""

BARS = {
    "bone direction [deg]": {"g1": "3.5", "talos": "4"},
    "stance foot speed [cm/s]": {"g1": "0.6", "talos": "0.8"},
    "frames with penetration over 1 cm [%]": {"g1": "0.5", "talos": "1"},
    "jerk over the human's": {"": "1"},
    "published: limit violations [samples]": {"": "0"},
    "published: self-collisions [samples]": {"": "0"},
    "times as fast as the baseline, time": {"": "20"},
    "times as fast as the baseline, CPU time": {"": "20"},
}
"""Target of the mean by metric and robot; '' for any robot."""

_SPREAD = ("mean", "median", "worst")


@dataclass
class Measured:
    """Figures of all clips on one robot.

    Attributes:
        robot: Its name.
        outcomes: How many clips passed the gate, were repaired, rejected or failed.
        remarks: A line for each clip that did not simply pass.
        rows: Our figures, one dictionary for each clip.
        times: Our wall time by stage, and CPU time [ms for 196 frames], one dictionary for
            each clip.
        plain_times: Our times without the compiled kernels, in the same way; or empty.
        baseline_rows: The baseline's figures, in the same order; empty without it.
        baseline_times: The baseline's, in the same way.
    """

    robot: str
    outcomes: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)
    times: list[dict[str, float]] = field(default_factory=list)
    plain_times: list[dict[str, float]] = field(default_factory=list)
    baseline_rows: list[dict[str, float]] = field(default_factory=list)
    baseline_times: list[dict[str, float]] = field(default_factory=list)


def _cells(rows: Sequence[dict[str, float]], name: str) -> list[str]:
    """Mean, median and worst of one figure over the clips that have it."""
    values = np.array([row[name] for row in rows if name in row])
    values = values[np.isfinite(values)]
    if not len(values):
        return ["-"] * len(_SPREAD)
    return [f"{value:.2f}" for value in (values.mean(), np.median(values), values.max())]


def _bar(name: str, robot: str) -> str:
    bars = BARS.get(name, {})
    return bars.get(robot, bars.get("", ""))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown(measured: Measured) -> str:
    """One robot's figures: bars, ours and, where it ran, the baseline's.

    What is called 'published' is what left the gate. The baseline has none: there its frames
    stand, as 50 Hz samples of a spline.
    """
    both = bool(measured.baseline_rows)
    columns = [f"ours, {spread}" for spread in _SPREAD]
    if both:
        columns += [f"GMR-style, {spread}" for spread in _SPREAD]
    lines = [_line([measured.robot, "bar", *columns]), _line(["---"] * (2 + len(columns)))]
    names = list(dict.fromkeys(name for row in measured.rows for name in row))
    for name in names:
        cells = _cells(measured.rows, name)
        if both:
            cells += _cells(measured.baseline_rows, name)
        lines.append(_line([name, _bar(name, measured.robot), *cells]))
    return "\n".join([*lines, *_times(measured, both), "", *_outcomes(measured)])


def _times(measured: Measured, both: bool) -> list[str]:
    """Rows of times and of the speed-up over the baseline."""
    blank = [""] * len(_SPREAD)
    lines = []
    for stage in dict.fromkeys(stage for stages in measured.times for stage in stages):
        if stage != CPU:
            cells = _cells(measured.times, stage) + (blank if both else [])
            lines.append(_line([f"time of {FRAMES} frames: {stage} [ms]", "", *cells]))
    for kind in ("time", "CPU time"):
        ours, theirs = (_total(times, kind) for times in (measured.times, measured.baseline_times))
        name = f"{kind} of {FRAMES} frames [ms]"
        cells = _cells(ours, kind) + (_cells(theirs, kind) if both else [])
        lines.append(_line([name, _bar(name, measured.robot), *cells]))
        if measured.plain_times:
            plain = _cells(_total(measured.plain_times, kind), kind) + (blank if both else [])
            lines.append(_line([f"{name}, without kernels", "", *plain]))
        if both:
            name = f"times as fast as the baseline, {kind}"
            ratios = np.array(
                [slow[kind] / fast[kind] for fast, slow in zip(ours, theirs, strict=True)]
            )
            cells = [f"{value:.2f}" for value in (ratios.mean(), np.median(ratios), ratios.min())]
            lines.append(_line([name, _bar(name, measured.robot), *cells, *blank]))
    return lines


def _total(times: Sequence[dict[str, float]], kind: str) -> list[dict[str, float]]:
    """Total time of each clip, wall or CPU."""
    if kind == "CPU time":
        return [{kind: stages[CPU]} for stages in times]
    return [{kind: sum(v for stage, v in stages.items() if stage != CPU)} for stages in times]


def _outcomes(measured: Measured) -> list[str]:
    """Counts of gate outcomes, and remarks."""
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in measured.outcomes.most_common())
    return [f"{measured.robot}, gate: {outcomes}", *(f"- {remark}" for remark in measured.remarks)]
