"""Pictures of human motions and robot trajectories, drawn without a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nextscale_core.viz.pictures import draw_human, draw_robot

__all__ = ["draw_human", "draw_robot"]


def __getattr__(name: str) -> Any:
    """Matplotlib takes seconds to import; the browser's pages do not need it."""
    if name in __all__:
        from nextscale_core.viz import pictures

        return getattr(pictures, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
