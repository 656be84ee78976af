"""The prompt suite: plain sentences, each with a geometric check of the motion it describes.

A pass rate is meaningful only beside the same rate for recorded motion: `real_rates` applies each
check to the recorded clips whose captions match the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import Field, StrictBool, StrictFloat, StringConstraints
from pydantic.dataclasses import dataclass

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.clip import CaptionedClip, MotionClip
from nextscale_core.motion.mirror import mirror_clip
from nextscale_core.text.mirror import mirror_text
from nextscale_core.yaml_files import read_yaml
from nextscale_lab import CONFIG
from nextscale_lab.captions.descriptions import sentence_from_description
from nextscale_lab.data.cmu import CmuFolder
from nextscale_lab.evaluate.checks import apply_check, validate_thresholds
from nextscale_lab.evaluate.prompt_suite_report import PromptSuiteReport, RealRate, SampleResult
from nextscale_lab.files import CLOSED, validated

DEFAULT_PROMPT_SUITE = CONFIG / "prompt_suite.yaml"

_LONGEST_TRIAL = 20.0  # [s]

_Text = Annotated[str, StringConstraints(pattern=r"\S")]

Progress = Callable[[int, int], object]


class Pipeline(Protocol):
    """The part of `MotionPipeline` that the prompt suite uses."""

    def generate_batch(self, texts: Sequence[str], *, seeds: Sequence[int]) -> list[MotionClip]:
        """One motion per text and seed."""
        ...


@dataclass(frozen=True, config=CLOSED)
class CaptionQuery:
    """Selection of the recorded clips that show the event of a sentence, by their captions.

    Attributes:
        include: Expression found in a matching caption (lower case).
        exclude: Expression that excludes a clip when found in any of its captions.
        agreement: Minimum share of matching captions of a clip; a single one may describe a part
            of the recording outside of the clip.
        mirrored: Also use the mirrored clip and captions; for sentences with a side.
        window_seconds: Length of the window that has to pass [s], for captions of a part of the
            clip; None to check the whole clip.
    """

    include: re.Pattern[str]
    exclude: re.Pattern[str] | None = None
    agreement: Annotated[StrictFloat, Field(ge=0, le=1)] = 0.5
    mirrored: StrictBool = False
    window_seconds: Annotated[StrictFloat, Field(gt=0)] | None = None

    def matches(self, captions: Sequence[str]) -> bool:
        """Whether the captions of one clip match."""
        lowered = [caption.lower() for caption in captions]
        if not lowered or (self.exclude and any(map(self.exclude.search, lowered))):
            return False
        matching = sum(bool(self.include.search(caption)) for caption in lowered)
        return matching > 0 and matching / len(lowered) >= self.agreement


@dataclass(frozen=True, config=CLOSED)
class Prompt:
    """One sentence of the prompt suite.

    Attributes:
        sentence: Input of the generator.
        kind: Group for the summary: 'direction', 'speed', 'jumps', 'arms', ...
        check: Name of a registered check.
        thresholds: Keyword arguments of the check.
        real: Query of matching recorded clips, if any.
        core: Part of the short suite.
        other_words: Other sentences of the same meaning, by which settings are chosen.
        unseen_words: Others again, with which nothing was chosen or trained.
    """

    sentence: _Text
    kind: _Text
    check: str
    thresholds: dict[str, Any] = field(default_factory=dict)
    real: CaptionQuery | None = None
    core: StrictBool = False
    other_words: tuple[_Text, ...] = ()
    unseen_words: tuple[_Text, ...] = ()

    def __post_init__(self) -> None:
        validate_thresholds(self.check, self.thresholds)

    def reworded(self, sentences: Sequence[str]) -> tuple[Prompt, ...]:
        """One prompt for each of other sentences."""
        return tuple(
            replace(self, sentence=words, other_words=(), unseen_words=()) for words in sentences
        )


@dataclass(frozen=True, config=CLOSED)
class _SuiteFile:
    sentences: tuple[Prompt, ...]


def load_prompt_suite(
    path: str | Path | None = None,
    *,
    core: bool = False,
    other_words: bool = False,
    unseen_words: bool = False,
) -> tuple[Prompt, ...]:
    """Read and validate a prompt suite.

    Args:
        path: A YAML file; None for the one of the package.
        core: Only the sentences marked `core: true`.
        other_words: The sentences of `other_words` in place of the sentences themselves.
        unseen_words: Those of `unseen_words`; with `other_words`, both.

    Raises:
        ConfigError: the file is missing, is invalid YAML, or has an unknown key, check or
            threshold.
    """
    path = Path(path) if path is not None else DEFAULT_PROMPT_SUITE
    try:
        content = read_yaml(path)
    except ConfigError as error:
        raise ConfigError(f"prompt suite {error}") from error
    items = list(validated(_SuiteFile, content, f"prompt suite {path}").sentences)
    if other_words or unseen_words:
        items = [
            other
            for item in items
            for other in item.reworded(
                item.other_words * other_words + item.unseen_words * unseen_words
            )
        ]
    doubled = {i.sentence for i in items if sum(j.sentence == i.sentence for j in items) > 1}
    if doubled:
        raise ConfigError(f"prompt suite {path} holds {min(doubled)!r} twice")
    chosen = tuple(item for item in items if item.core or not core)
    if not chosen:
        which = "core " * core + "sentence" + " in other words" * (other_words or unseen_words)
        raise ConfigError(f"prompt suite {path} holds no {which}")
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
        progress: Called with (samples done, all samples) after every sentence.
        name: Name of the model in the report.
    """
    results: list[SampleResult] = []
    total = len(items) * len(seeds)
    for item in items:
        clips = pipeline.generate_batch([item.sentence] * len(seeds), seeds=list(seeds))
        for seed, clip in zip(seeds, clips, strict=True):
            result = apply_check(item.check, clip, item.thresholds)
            results.append(
                SampleResult(item.sentence, item.kind, seed, result.passed, dict(result.figures))
            )
        if progress:
            progress(len(results), total)
    return PromptSuiteReport(name, tuple(results))


def real_rates(
    clips: Iterable[CaptionedClip],
    items: Sequence[Prompt],
    reconstruct: Callable[[MotionClip], MotionClip] | None = None,
) -> dict[str, RealRate]:
    """Pass rate of each check on the recorded clips that match its sentence.

    Args:
        clips: Captioned recordings, all splits.
        items: Sentences and checks; those without a query are left out.
        reconstruct: If given, the rate is that of reconstructed clips, among those whose recording
            passes.

    Returns:
        Rate by sentence, with the ids of failing clips ('~' before the id of a mirrored clip).
    """
    passed: dict[str, list[str]] = {item.sentence: [] for item in items if item.real}
    failed: dict[str, list[str]] = {sentence: [] for sentence in passed}
    for recorded in clips:
        for item in items:
            if item.real is None:
                continue
            for mark, captions, clip in _views(recorded, item.real):
                if not item.real.matches(captions):
                    continue
                shown = _shows(item, clip)
                if reconstruct is not None:
                    if not shown:
                        continue
                    shown = _shows(item, reconstruct(clip))
                book = passed if shown else failed
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


def recorded_clips(folder: str | Path) -> Iterator[CaptionedClip]:
    """All captioned clips of a CMU folder, then other trials of up to 20 s.

    Captions of a trial are its description in plain English and its KIT-ML sentences. The
    description of a longer trial lists many actions or only the first.

    Raises:
        MotionFileError: the folder is incomplete or malformed.
    """
    data = CmuFolder(folder)
    yield from data.clips()
    cut = data.spans("train", "val", "test")
    for trial in data.trials.values():
        if trial.name in cut or not trial.descriptions:
            continue
        first, *others = trial.descriptions
        captions = (*sentence_from_description(first)[:1], *others)
        clip = data.trial_clip(trial)
        if captions and clip.seconds <= _LONGEST_TRIAL:
            yield CaptionedClip(trial.name, "trial", captions, clip.with_text(captions[0]))
