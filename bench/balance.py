"""What `feasibility` foretells and what `balance` changes, in physics.

    python bench/balance.py --policy TWIST2.onnx [--seed 5] [--core] [--json OUT]

Every sentence of the prompt suite, with and without balance: the gate's feasibility, and the
rollout of a tracker in MuJoCo. Prints the rank correlation of the figures with the error of the
root's velocity, and means by missing wrench, by verdict and by balance.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from nextscale_core.npz import write_text
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.planning import MotionPlanner
from nextscale_core.simulation.policies import make_balancer
from nextscale_core.simulation.rollout import simulate
from nextscale_core.yaml_files import read_yaml

SUITE = Path(__file__).parents[1] / "nextscale_lab" / "config" / "prompt_suite.yaml"
FIGURES = ("missing_wrench", "zmp_outside", "centre_depth", "torque_use")


def rollouts(policy: Path, seed: int, core: bool, model: str) -> list[dict[str, Any]]:
    """Figures of every sentence, without and with balance."""
    pipeline = MotionPipeline.from_pretrained(model)
    planners = {wanted: MotionPlanner("g1", balance=wanted) for wanted in (False, True)}
    balancer = make_balancer(planners[False].robot, "tracker", policy)
    rows = []
    for entry in read_yaml(SUITE)["sentences"]:
        if core and not entry.get("core"):
            continue
        clip = pipeline.generate(entry["sentence"], seed=seed)
        for wanted, planner in planners.items():
            trajectory, report = planner.plan(clip)
            assert report.feasibility is not None
            done = simulate(planner.robot, trajectory, balancer).to_dict()
            rows.append({**done, "balance": wanted, **asdict(report.feasibility)})
            print(f"{clip.text}, balance {wanted}: {report.feasibility.line()}", flush=True)
    return rows


def line(name: str, rows: list[dict[str, Any]]) -> str:
    """Means of some rollouts."""
    if not rows:
        return f"{name}: none"
    mean = {key: np.mean([row[key] for row in rows]) for key in ("joint_error_deg", "up")}
    speed = np.mean([row["velocity_error_m_s"] for row in rows])
    drift = np.median([row["root_drift_m"] for row in rows])
    return (
        f"{name}: {len(rows)} motions, up {mean['up']:.0%}, joints {mean['joint_error_deg']:.1f} "
        f"deg, root velocity {speed:.2f} m/s, drift at the end {100 * drift:.0f} cm (median)"
    )


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--policy", type=Path, required=True, help="ONNX file of the tracker")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--core", action="store_true", help="only the sixteen core sentences")
    parser.add_argument("--model", default="moscale-cmu")
    parser.add_argument("--json", type=Path, help="file for all figures")
    options = parser.parse_args()
    rows = rollouts(options.policy, options.seed, options.core, options.model)
    if options.json:
        write_text(options.json, json.dumps(rows, indent=1) + "\n")
    error = np.array([row["velocity_error_m_s"] for row in rows])
    for key in FIGURES:
        value = np.array([np.nan if row[key] is None else row[key] for row in rows], dtype=float)
        known = np.isfinite(value)
        rank = spearmanr(value[known], error[known]).statistic
        print(f"Spearman of {key} with the error of the root velocity: {rank:.2f}")
    for low, high in ((0.0, 0.03), (0.03, 0.1), (0.1, np.inf)):
        some = [row for row in rows if low <= row["missing_wrench"] < high]
        print(line(f"missing wrench {low:g} to {high:g}", some))
    for verdict in ("balanced", "needs a tracker", "flight"):
        print(line(verdict, [row for row in rows if row["verdict"] == verdict]))
    for wanted in (False, True):
        print(line(f"balance {wanted}", [row for row in rows if row["balance"] is wanted]))


if __name__ == "__main__":
    main()
