"""Human motion onto robots: targets, contacts and the whole-clip solver."""

from __future__ import annotations

import warnings
from typing import Any

from nextscale_core.retarget.retargeter import Retargeter
from nextscale_core.retarget.stream.clip_stream import stream_clip
from nextscale_core.retarget.stream.streaming import StreamedPose, StreamingRetargeter

__all__ = ["Retargeter", "StreamedPose", "StreamingRetargeter", "stream_clip"]

_MOVED = ("RobotState", "RobotTrajectory", "SafetyGate", "load_robot")


def __getattr__(name: str) -> Any:
    """Names that moved, for one release."""
    if name in _MOVED:
        import nextscale_core

        warnings.warn(
            f"import {name} from nextscale_core, not from nextscale_core.retarget",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(nextscale_core, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
