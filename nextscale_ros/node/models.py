"""Motion models of this process, each loaded once and shared by the robots that it serves."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from nextscale_core.motion.clip import MotionClip
from nextscale_core.resources import packaged_models, resource
from nextscale_core.stopwatch import Run

_PATIENCE = 0.05
"""Period in which a request that waits for the model checks whether it is still wanted [s]."""

Generate = Callable[..., MotionClip]
"""A method of `MotionPipeline` that returns a motion."""


class MotionSource(Protocol):
    """A motion model with methods of `MotionPipeline`; the last four may be missing."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def domain_remark(self) -> Callable[[str], str | None]:
        """Why a sentence is out of the model's reach; None for one that is not."""
        ...

    @property
    def generate(self) -> Generate:
        """A motion for a sentence."""
        ...

    @property
    def complete(self) -> Generate:
        """A motion for a sentence, continuing a known one."""
        ...

    @property
    def sequence(self) -> Generate:
        """A motion for several sentences, continuing a known one."""
        ...

    @property
    def edit(self) -> Generate:
        """A known motion with a part of it changed."""
        ...

    @property
    def come_to_rest(self) -> Generate:
        """A known motion, continued to a standstill."""
        ...

    @property
    def motion_remark(self) -> Callable[[str, MotionClip, float], str | None]:
        """Why a motion does not show what its sentence asks for; None where it may."""
        ...


def own_steps(source: MotionSource) -> tuple[int, ...]:
    """Passes for each of a model's scales, coarse to fine; empty where unknown."""
    return tuple(getattr(source, "steps", ()))


def steps_problem(source: MotionSource, steps: Sequence[int] | None) -> str | None:
    """Why a model cannot take these passes per scale; None where it can."""
    known = own_steps(source)
    if not steps or not known or len(steps) == len(known):
        return None
    return f"the model has {len(known)} scales, steps must hold as many, got {list(steps)}"


class SharedModel:
    """A model that several robots use in turn.

    Args:
        pipeline: The model.
    """

    def __init__(self, pipeline: MotionSource) -> None:
        self._pipeline = pipeline
        self._turn = threading.Lock()

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._pipeline.name

    @property
    def steps(self) -> tuple[int, ...]:
        """Passes for each scale, coarse to fine; empty where unknown."""
        sampling = getattr(self._pipeline, "sampling", None)
        return tuple(getattr(sampling, "steps", ()))

    def domain_remark(self, text: str) -> str | None:
        """See `MotionPipeline.domain_remark`."""
        with self._turn:
            return self._pipeline.domain_remark(text)

    def generate(self, *arguments: Any, **options: Any) -> MotionClip:
        """See `MotionPipeline.generate`."""
        return self._call(self._pipeline.generate, arguments, options)

    def complete(self, *arguments: Any, **options: Any) -> MotionClip:
        """See `MotionPipeline.complete`."""
        return self._call(self._pipeline.complete, arguments, options)

    def sequence(self, *arguments: Any, **options: Any) -> MotionClip:
        """See `MotionPipeline.sequence`."""
        return self._call(self._pipeline.sequence, arguments, options)

    def edit(self, *arguments: Any, **options: Any) -> MotionClip:
        """See `MotionPipeline.edit`."""
        return self._call(self._pipeline.edit, arguments, options)

    def come_to_rest(self, *arguments: Any, **options: Any) -> MotionClip:
        """See `MotionPipeline.come_to_rest`."""
        return self._call(self._pipeline.come_to_rest, arguments, options)

    def motion_remark(self, text: str, clip: MotionClip, scale: float) -> str | None:
        """See `MotionPipeline.motion_remark`."""
        return self._pipeline.motion_remark(text, clip, scale)

    def _call(
        self, method: Generate, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> MotionClip:
        run = options.get("run") or Run()
        while not self._turn.acquire(timeout=_PATIENCE):
            run.progress(0, 1)  # raises where the request has become pointless
        try:
            return method(*arguments, **options)
        finally:
            self._turn.release()


class ModelStore:
    """Loads models and keeps them."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str], SharedModel] = {}
        self._lock = threading.Lock()

    def get(self, model: str, device: str, torch_threads: int = 0) -> SharedModel:
        """Return a model, loaded at the first call.

        Args:
            model: Name or folder.
            device: Torch device.
            torch_threads: Threads of torch in this process; 0 leaves one core to other work.

        Raises:
            ModelLoadError: it cannot be loaded.
            ConfigError: unknown device.
        """
        # Importing torch takes seconds, and other motion sources do without.
        import torch

        from nextscale_core.pipeline import MotionPipeline

        with self._lock:
            found = self._models.get((model, device))
            if found is None:
                torch.set_num_threads(torch_threads or max((os.cpu_count() or 2) - 1, 1))
                pipeline = MotionPipeline.from_pretrained(model, device=device)
                found = self._models[model, device] = SharedModel(pipeline)
            return found


def list_models() -> list[tuple[str, str]]:
    """Name and description of the models that come with the package."""
    return [(name, _description(name)) for name in packaged_models()]


def _description(name: str) -> str:
    try:
        kind = _kind(name)
        files = resource(f"weights/{name}").rglob("*.safetensors")
        size = sum(file.stat().st_size for file in files if file.is_file())
    except (OSError, ValueError):
        return ""
    return f"{kind}, text to motion at 20 Hz, {size / 1e6:.0f} MB"


def _kind(name: str) -> str:
    config = json.loads(resource(f"weights/{name}/generator/config.json").read_text("utf-8"))
    return {"scalemogen": "ScaleMoGen"}.get(config.get("kind"), "MoScale")
