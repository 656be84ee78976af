"""Motion models of this process: each is loaded once, however many robots it serves."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.resources import resource
from nextscale_core.stopwatch import Run
from nextscale_ros.node.plan import EditingSource

_PATIENCE = 0.05
"""How often a robot that waits for the model looks whether its request is still wanted [s]."""


class SharedModel:
    """One model for several robots: they take turns.

    Args:
        pipeline: The model.
    """

    def __init__(self, pipeline: EditingSource) -> None:
        self._pipeline = pipeline
        self._turn = threading.Lock()

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._pipeline.name

    @property
    def steps(self) -> tuple[int, ...]:
        """Passes for each of its scales, coarse to fine; empty where it does not say."""
        sampling = getattr(self._pipeline, "sampling", None)
        return tuple(getattr(sampling, "steps", ()))

    def generate(self, text: str, **options: Any) -> MotionClip:
        """See `MotionPipeline.generate`."""
        with self._my_turn(options.get("run")):
            return self._pipeline.generate(text, **options)

    def complete(
        self, known: MotionClip, known_frames: Any, text: str, **options: Any
    ) -> MotionClip:
        """See `MotionPipeline.complete`."""
        with self._my_turn(options.get("run")):
            return self._pipeline.complete(known, known_frames, text, **options)

    def sequence(self, script: Any, **options: Any) -> MotionClip:
        """See `MotionPipeline.sequence`."""
        with self._my_turn(options.get("run")):
            return self._pipeline.sequence(script, **options)

    def edit(self, clip: MotionClip, text: str, **options: Any) -> MotionClip:
        """See `MotionPipeline.edit`."""
        with self._my_turn(options.get("run")):
            return self._pipeline.edit(clip, text, **options)

    @contextmanager
    def _my_turn(self, run: Run | None) -> Iterator[None]:
        while not self._turn.acquire(timeout=_PATIENCE):
            if run is not None:
                # Raises where the request is wanted no more.
                run.progress(0, 1)
        try:
            yield
        finally:
            self._turn.release()


class ModelStore:
    """Loads models and keeps them."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str], SharedModel] = {}
        self._lock = threading.Lock()

    def get(self, model: str, device: str, torch_threads: int = 0) -> SharedModel:
        """A model, loaded if it is not yet.

        Args:
            model: Name or folder.
            device: Where it runs.
            torch_threads: Threads of torch; 0 leaves one core to everything else. Counts for the
                whole process.

        Raises:
            ModelLoadError: it cannot be loaded.
            ConfigError: no such device.
        """
        # Torch takes seconds to import; with another motion source it is not needed.
        import torch

        from nextscale_core.pipeline import MotionPipeline

        with self._lock:
            found = self._models.get((model, device))
            if found is None:
                check_device(device)
                torch.set_num_threads(torch_threads or max((os.cpu_count() or 2) - 1, 1))
                pipeline = MotionPipeline.from_pretrained(model, device=device)
                found = self._models[model, device] = SharedModel(pipeline)
            return found


def check_device(device: str) -> None:
    """Make sure that there is such a device.

    Raises:
        ConfigError: there is none; the message says what there is.
    """
    import torch

    there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"no device {device!r}; there is {', '.join(there)}") from error
    name = str(wanted) if wanted.type != "cuda" or wanted.index is not None else "cuda:0"
    if name not in there:
        raise ConfigError(f"device {device!r} is not there; there is {', '.join(there)}")


def list_models() -> list[tuple[str, str]]:
    """Name and description of the models that come with the package."""
    found = []
    for folder in sorted(resource("weights").iterdir()):
        if (folder / "generator" / "config.json").is_file():
            found.append((folder.name, _description(folder.name)))
    return found


def _description(name: str) -> str:
    try:
        size = sum(
            file.stat().st_size
            for file in resource(f"weights/{name}").rglob("*.safetensors")
            if file.is_file()
        )
    except OSError:
        return ""
    return f"MoScale, text to motion at 20 Hz, {size / 1e6:.0f} MB"
