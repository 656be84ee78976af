"""ONNX policies: found, recognised by their inputs, and run."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nextscale_core.exceptions import ConfigError, ModelLoadError
from nextscale_core.robots.robot import Robot
from nextscale_core.simulation.balancer import Balancer, PdBalancer
from nextscale_core.simulation.config import INSTALL
from nextscale_core.simulation.tracker import TrackerBalancer
from nextscale_core.simulation.walking import WalkingBalancer

CONTROLLERS = ("pd", "walking", "tracker")

WALKING_PACKAGE = "holosoma_inference"
WALKING_FILE = Path("models/loco/g1_29dof/fastsac_g1_29dof.onnx")
WALKING_INSTALL = "pip install --no-deps holosoma-inference==0.1.3"

_BALANCERS = {policy.INPUTS: policy for policy in (TrackerBalancer, WalkingBalancer)}


@dataclass(frozen=True, eq=False)
class OnnxPolicy:
    """A network from an ONNX file with one input and one output.

    Attributes:
        path: The file.
        inputs: Length of its observation.
        outputs: Length of its action.
        metadata: Texts that the file holds.
        session: onnxruntime's session.
    """

    path: Path
    inputs: int
    outputs: int
    metadata: dict[str, str]
    session: Any

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        """The action (A,) of an observation (O,)."""
        row = observation[None].astype(np.float32)
        (action,) = self.session.run(None, {self.session.get_inputs()[0].name: row})
        return np.asarray(action[0], dtype=np.float64)


def load_policy(path: Path) -> OnnxPolicy:
    """Read a policy from an ONNX file.

    Raises:
        ModelLoadError: the file is missing, is not ONNX, or is not a policy with one observation.
        ConfigError: onnxruntime is not installed; the message holds the command to install it.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise ConfigError(f"policies need onnxruntime: {INSTALL}")
    import onnxruntime

    if not path.is_file():
        raise ModelLoadError(f"no policy file {path}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    # onnxruntime's errors have no common class but this.
    except Exception as error:
        raise ModelLoadError(f"{path} is not an ONNX model: {str(error)[:200]}") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shapes = [list(value.shape) for value in (*inputs, *outputs)]
    if len(inputs) != 1 or any(len(shape) != 2 for shape in shapes):
        raise ModelLoadError(
            f"{path} is no known policy: it has inputs {[i.name for i in inputs]} and outputs "
            f"{[o.name for o in outputs]} of shapes {shapes}; {_KNOWN}"
        )
    size, actions = shapes[0][1], shapes[1][1]
    metadata = dict(session.get_modelmeta().custom_metadata_map)
    return OnnxPolicy(path, size, actions, metadata, session)


_KNOWN = (
    f"known are whole-body trackers with {TrackerBalancer.INPUTS} inputs (TWIST2) and walking "
    f"policies with {WalkingBalancer.INPUTS} inputs (holosoma)"
)


def find_walking_policy() -> Path:
    """The walking policy of the installed distribution holosoma-inference.

    Raises:
        ModelLoadError: it is not installed; the message holds the command to install it.
    """
    spec = importlib.util.find_spec(WALKING_PACKAGE)  # finds it without importing it
    for folder in [] if spec is None else spec.submodule_search_locations or []:
        if (Path(folder) / WALKING_FILE).is_file():
            return Path(folder) / WALKING_FILE
    raise ModelLoadError(
        f"no walking policy: give the path of its ONNX file, or install one: {WALKING_INSTALL}"
    )


def make_balancer(
    robot: Robot, controller: str | None = None, policy: str | Path | None = None
) -> Balancer:
    """A controller for a robot.

    Args:
        robot: The robot.
        controller: One of `CONTROLLERS`; None for the one that the policy is made for, or 'pd'
            without a policy.
        policy: ONNX file; None for the walking policy that is installed.

    Raises:
        ConfigError: an unknown controller, one that the policy is not made for, or onnxruntime is
            not installed.
        ModelLoadError: the policy is missing or is not a known one.
        RobotError: the policy is made for another robot.
    """
    if controller is not None and controller not in CONTROLLERS:
        raise ConfigError(f"unknown controller {controller!r}; there are: {', '.join(CONTROLLERS)}")
    if controller == "pd" or (controller is None and policy is None):
        if policy is not None:
            raise ConfigError("the controller 'pd' needs no policy; leave it out")
        return PdBalancer(robot)
    if policy is None:
        if controller == "tracker":
            raise ConfigError(
                "the controller 'tracker' needs the path of a policy: the ONNX file of TWIST2's "
                "general motion tracker"
            )
        policy = find_walking_policy()
    loaded = load_policy(Path(policy))
    kind = _BALANCERS.get(loaded.inputs)
    if kind is None:
        raise ModelLoadError(
            f"{policy} is no known policy: it has {loaded.inputs} inputs and {loaded.outputs} "
            f"outputs; {_KNOWN}"
        )
    if controller is not None and kind.name != controller:
        raise ConfigError(
            f"{policy} is a policy for the controller {kind.name!r}, not for {controller!r}"
        )
    return kind(robot, loaded)
