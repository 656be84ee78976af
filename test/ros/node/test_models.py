"""One model for several robots: loaded once, used in turns."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextscale_core.exceptions import GenerationCancelled
from nextscale_core.motion.clip import MotionClip
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.stopwatch import Run
from nextscale_ros.node.models import ModelStore, SharedModel, list_models

PATIENCE = 30.0


class SlowPipeline:
    """Generates when it is let to, and notices whether two do at once."""

    name = "slow"

    def __init__(self) -> None:
        self.go, self.began = threading.Event(), threading.Event()
        self.inside = self.most = 0

    def generate(self, text: str, **options: Any) -> MotionClip:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.began.set()
        assert self.go.wait(PATIENCE)
        self.inside -= 1
        return MotionClip(np.zeros((20, 22, 3), dtype=np.float32), text=text)


def test_a_model_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(name: str, device: str = "cpu") -> SlowPipeline:
        loaded.append(name)
        return SlowPipeline()

    monkeypatch.setattr(MotionPipeline, "from_pretrained", load)
    store = ModelStore()
    first, again, other = (
        store.get("a", "cpu", 1),
        store.get("a", "cpu", 1),
        store.get("b", "cpu", 1),
    )
    assert first is again and first is not other
    assert loaded == ["a", "b"]


def test_robots_take_turns() -> None:
    pipeline = SlowPipeline()
    model = SharedModel(pipeline)  # type: ignore[arg-type]
    made: list[MotionClip] = []
    threads = [
        threading.Thread(target=lambda n=n: made.append(model.generate(f"robot {n}")))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    assert pipeline.began.wait(PATIENCE)
    pipeline.go.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert {clip.text for clip in made} == {"robot 0", "robot 1", "robot 2"}
    assert pipeline.most == 1


def test_who_waits_for_the_model_can_be_canceled() -> None:
    pipeline = SlowPipeline()
    model = SharedModel(pipeline)  # type: ignore[arg-type]
    busy = threading.Thread(target=lambda: model.generate("long"))
    busy.start()
    assert pipeline.began.wait(PATIENCE)

    def progress(done: int, total: int) -> None:
        raise GenerationCancelled("not wanted any more")

    with pytest.raises(GenerationCancelled):
        model.generate("short", run=Run(progress=progress))
    pipeline.go.set()
    busy.join(PATIENCE)
    # The turn was not lost.
    assert model.generate("next").text == "next"


def test_models_of_the_package_are_listed_without_the_evaluator() -> None:
    models = dict(list_models())
    assert "moscale-cmu" in models and "evaluator-cmu" not in models
    assert "MB" in models["moscale-cmu"]


def test_the_kind_of_a_model_is_in_its_description(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, config in (("old", "{}"), ("parts", '{"kind": "scalemogen"}')):
        (tmp_path / "weights" / name / "generator").mkdir(parents=True)
        (tmp_path / "weights" / name / "generator" / "config.json").write_text(config)
    monkeypatch.setattr("nextscale_core.resources._ROOTS", (tmp_path,))
    models = dict(list_models())
    assert models["old"].startswith("MoScale,") and models["parts"].startswith("ScaleMoGen,")
