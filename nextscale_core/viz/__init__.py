"""Pictures and browser pages of human motions and robot trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nextscale_core.viz.pictures import draw_human, draw_robot

__all__ = ["draw_human", "draw_robot"]


def __getattr__(name: str) -> Any:
    """Import matplotlib, which takes seconds, only for pictures."""
    if name in __all__:
        from nextscale_core.viz import pictures

        return getattr(pictures, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
