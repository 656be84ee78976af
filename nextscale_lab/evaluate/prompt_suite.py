"""The prompt battery: plain sentences, each with a geometric check of what it says.

A figure of the battery is worth something only beside the same figure for recorded motion:
`real_rates` applies each check to the clips whose captions say the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.clip import CaptionedClip, MotionClip
from nextscale_core.yaml_files import read_yaml
from nextscale_lab import CONFIG
from nextscale_lab.data.mirror import mirror_clip, mirror_text
from nextscale_lab.evaluate.checks import apply_check, validate_thresholds
from nextscale_lab.evaluate.report import PromptSuiteReport, RealRate, SampleResult

DEFAULT_BATTERY = CONFIG / "prompt_suite.yaml"

Progress = Callable[[int, int], None]


class Pipeline(Protocol):
    """What the battery needs of `nextscale_core.pipeline.MotionPipeline`."""

    def generate_batch(self, texts: Sequence[str], *, seeds: Sequence[int]) -> list[MotionClip]:
        """One motion per text and seed."""
        ...


@dataclass(frozen=True)
class CaptionQuery:
    """Which recorded clips show what a sentence says, judged by their captions alone.

    Attributes:
        include: A caption says the thing when this is found in it (lower case).
        exclude: A clip does not count when this is found in any of its captions; None for nothing.
        agreement: Share of a clip's captions that must say the thing: people who watched the
            same clip must agree, or the caption may be of a part that was cut away.
        mirrored: Ask the mirrored clip and captions too: for sentences with a side.
        window_seconds: The captions speak of a part of the clip only, so that one window of this
            length has to pass [s]; None when the whole clip is checked.
    """

    include: re.Pattern[str]
    exclude: re.Pattern[str] | None = None
    agreement: float = 0.5
    mirrored: bool = False
    window_seconds: float | None = None

    def matches(self, captions: Sequence[str]) -> bool:
        """Whether these captions of one clip say the thing."""
        lowered = [caption.lower() for caption in captions]
        if not lowered or (self.exclude and any(map(self.exclude.search, lowered))):
            return False
        saying = sum(bool(self.include.search(caption)) for caption in lowered)
        return saying > 0 and saying / len(lowered) >= self.agreement


@dataclass(frozen=True)
class Prompt:
    """One sentence of the battery.

    Attributes:
        sentence: What the generator is told.
        kind: Group for the summary: 'direction', 'speed', 'jumps', 'arms', ...
        check: Name of a registered check.
        thresholds: Keyword arguments of the check.
        real: Which recorded clips say the sentence; None when no query is given.
        core: Part of the short battery.
        other_words: The same said differently.
    """

    sentence: str
    kind: str
    check: str
    thresholds: dict[str, Any] = field(default_factory=dict)
    real: CaptionQuery | None = None
    core: bool = False
    other_words: tuple[str, ...] = ()

    def reworded(self) -> tuple[Prompt, ...]:
        """One item for each of the other wordings."""
        return tuple(replace(self, sentence=words, other_words=()) for words in self.other_words)


def load_prompt_suite(
    path: str | Path | None = None, *, core: bool = False, other_words: bool = False
) -> tuple[Prompt, ...]:
    """Read and validate a battery.

    Args:
        path: A YAML file; None for the one that comes with the package.
        core: Only the sentences marked `core: true`.
        other_words: The other wordings of the sentences in place of the sentences.

    Raises:
        ConfigError: the file is missing, is no YAML, or has an unknown key, check or threshold.
    """
    path = Path(path) if path is not None else DEFAULT_BATTERY
    try:
        content = read_yaml(path)
    except ConfigError as error:
        raise ConfigError(f"battery {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("sentences"), list):
        raise ConfigError(f"battery {path} must be a mapping with a list 'sentences'")
    unknown = sorted(map(str, set(content) - {"sentences"}))
    if unknown:
        raise ConfigError(f"battery {path}: unknown key {unknown[0]!r}; there is: sentences")
    items = []
    for number, row in enumerate(content["sentences"], start=1):
        try:
            items.append(_item(row))
        except ConfigError as error:
            raise ConfigError(f"battery {path}, sentence {number}: {error}") from error
    if other_words:
        items = [other for item in items for other in item.reworded()]
    doubled = {i.sentence for i in items if sum(j.sentence == i.sentence for j in items) > 1}
    if doubled:
        raise ConfigError(f"battery {path} holds {min(doubled)!r} twice")
    chosen = tuple(item for item in items if item.core or not core)
    if not chosen:
        which = "core " * core + "sentence" + " in other words" * other_words
        raise ConfigError(f"battery {path} holds no {which}")
    return chosen


def run_prompt_suite(
    pipeline: Pipeline,
    items: Sequence[Prompt],
    seeds: Sequence[int],
    progress: Progress | None = None,
    *,
    name: str = "",
) -> PromptSuiteReport:
    """Generate every sentence with every seed and check each motion.

    Args:
        pipeline: Makes motions from sentences.
        items: Sentences and checks.
        seeds: One sample per sentence and seed.
        progress: Called with (samples done, samples in all) after every sentence.
        name: Name of the model in the report.
    """
    results: list[SampleResult] = []
    total = len(items) * len(seeds)
    for item in items:
        clips = pipeline.generate_batch([item.sentence] * len(seeds), seeds=list(seeds))
        for seed, clip in zip(seeds, clips, strict=True):
            verdict = apply_check(item.check, clip, item.thresholds)
            results.append(
                SampleResult(item.sentence, item.kind, seed, verdict.passed, dict(verdict.figures))
            )
        if progress:
            progress(len(results), total)
    return PromptSuiteReport(name, tuple(results))


def real_rates(clips: Iterable[CaptionedClip], items: Sequence[Prompt]) -> dict[str, RealRate]:
    """Pass rate of each check on the recorded clips that show what its sentence says.

    Args:
        clips: Captioned recordings, all splits.
        items: Sentences and checks; those without a query are left out.

    Returns:
        Sentence -> rate, with the ids of the clips that fail ('~' before the id: mirrored).
    """
    passed: dict[str, list[str]] = {item.sentence: [] for item in items if item.real}
    failed: dict[str, list[str]] = {sentence: [] for sentence in passed}
    for recorded in clips:
        for item in items:
            if item.real is None:
                continue
            for mark, captions, clip in _views(recorded, item.real):
                if item.real.matches(captions):
                    book = passed if _shows(item, clip) else failed
                    book[item.sentence].append(mark + recorded.id)
    return {
        sentence: RealRate(
            len(passed[sentence]), len(passed[sentence]) + len(failures), tuple(failures)
        )
        for sentence, failures in failed.items()
    }


def _shows(item: Prompt, clip: MotionClip) -> bool:
    seconds = item.real.window_seconds if item.real else None
    length = len(clip) if seconds is None else min(len(clip), round(seconds * clip.fps))
    step = max(1, length // 4)
    starts = range(0, len(clip) - length + 1, step)
    return any(
        apply_check(item.check, clip.slice(start, start + length), item.thresholds).passed
        for start in starts
    )


def _views(
    recorded: CaptionedClip, query: CaptionQuery
) -> Iterable[tuple[str, tuple[str, ...], MotionClip]]:
    yield "", recorded.captions, recorded.clip
    if query.mirrored:
        captions = tuple(map(mirror_text, recorded.captions))
        yield "~", captions, mirror_clip(recorded.clip)


def _item(row: object) -> Prompt:
    optional = {"thresholds", "real", "core", "other_words"}
    row = _mapping(row, {"sentence", "kind", "check"}, optional)
    for key in ("sentence", "kind", "check"):
        if not isinstance(row[key], str) or not row[key].strip():
            raise ConfigError(f"{key} must be text, got {row[key]!r}")
    thresholds = row.get("thresholds") or {}
    if not isinstance(thresholds, dict):
        raise ConfigError(f"thresholds must be a mapping, got {thresholds!r}")
    validate_thresholds(row["check"], thresholds)
    core = row.get("core", False)
    if not isinstance(core, bool):
        raise ConfigError(f"core must be true or false, got {core!r}")
    real = _query(row["real"]) if row.get("real") is not None else None
    words = row.get("other_words") or []
    if not isinstance(words, list) or any(not isinstance(w, str) or not w.strip() for w in words):
        raise ConfigError(f"other_words must be a list of sentences, got {words!r}")
    return Prompt(row["sentence"], row["kind"], row["check"], thresholds, real, core, tuple(words))


def _query(row: object) -> CaptionQuery:
    row = _mapping(row, {"include"}, {"exclude", "agreement", "mirrored", "window_seconds"})
    agreement = row.get("agreement", 0.5)
    if isinstance(agreement, bool) or not isinstance(agreement, int | float):
        raise ConfigError(f"agreement must be a number from 0 to 1, got {agreement!r}")
    if not 0 <= agreement <= 1:
        raise ConfigError(f"agreement must be a number from 0 to 1, got {agreement!r}")
    mirrored = row.get("mirrored", False)
    if not isinstance(mirrored, bool):
        raise ConfigError(f"mirrored must be true or false, got {mirrored!r}")
    window = row.get("window_seconds")
    if window is not None and (isinstance(window, bool) or not isinstance(window, int | float)):
        raise ConfigError(f"window_seconds must be a number above 0, got {window!r}")
    if window is not None and window <= 0:
        raise ConfigError(f"window_seconds must be a number above 0, got {window!r}")
    exclude = row.get("exclude")
    return CaptionQuery(
        _pattern("include", row["include"]),
        _pattern("exclude", exclude) if exclude is not None else None,
        float(agreement),
        mirrored,
        None if window is None else float(window),
    )


def _pattern(key: str, text: object) -> re.Pattern[str]:
    if not isinstance(text, str):
        raise ConfigError(f"{key} must be a regular expression, got {text!r}")
    try:
        return re.compile(text)
    except re.error as error:
        raise ConfigError(f"{key} {text!r} is no regular expression: {error}") from error


def _mapping(row: object, needed: set[str], allowed: set[str]) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ConfigError(f"must be a mapping, got {row!r}")
    for key in row:
        if key not in needed | allowed:
            raise ConfigError(
                f"unknown key {key!r}; there are: {', '.join(sorted(needed | allowed))}"
            )
    missing = sorted(needed - set(row))
    if missing:
        raise ConfigError(f"{missing[0]!r} is missing")
    return row
