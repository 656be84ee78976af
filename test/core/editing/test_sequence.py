"""Sentence after sentence as one motion."""

from __future__ import annotations

import itertools
from types import GeneratorType

import numpy as np
import pytest

from core.editing.sway import sway
from nextscale_core.exceptions import ConfigError, GenerationCancelled, InvalidTextError
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.stopwatch import Run

SCRIPT = [("a person walks forward", 2.0), ("a person waves", 1.5), ("someone squats", 3.0)]


def test_a_sequence_lasts_as_long_as_its_sentences(pipeline):
    clip = pipeline.sequence(SCRIPT, seed=1)
    assert len(clip) == 40 + 30 + 60
    assert clip.seed == 1
    assert clip.text == "a person walks forward; a person waves; someone squats"
    assert clip.contacts is not None and len(clip.contacts) == len(clip)


def test_a_stream_gives_the_pieces_of_the_sequence(pipeline):
    pieces = list(pipeline.stream(SCRIPT, seed=1))
    assert [piece.text for piece in pieces] == [text for text, _ in SCRIPT]
    whole = pipeline.sequence(SCRIPT, seed=1)
    assert np.array_equal(np.concatenate([piece.joints for piece in pieces]), whole.joints)


def test_a_piece_is_there_before_the_next_is_made(pipeline):
    passes: list[int] = []
    run = Run(progress=lambda done, total: passes.append(done))
    stream = pipeline.stream(SCRIPT, candidates=1, run=run)
    next(stream)
    first = len(passes)
    next(stream)
    assert len(passes) == 2 * first
    assert isinstance(stream, GeneratorType)


def test_later_sentences_do_not_change_what_was_given_out(pipeline):
    other = [*SCRIPT[:2], ("a person jumps", 2.0)]
    one, two = (list(pipeline.stream(script, seed=4)) for script in (SCRIPT, other))
    assert np.array_equal(one[0].joints, two[0].joints)
    assert np.array_equal(one[1].joints, two[1].joints)
    assert one[2].joints.shape != two[2].joints.shape


def test_the_same_seed_gives_the_same_sequence(pipeline):
    one, two, other = (pipeline.sequence(SCRIPT, seed=seed).joints for seed in (5, 5, 6))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_sequence_goes_on_from_a_motion(pipeline):
    start = sway(60)
    clip = pipeline.sequence(SCRIPT[:1], start=start, seed=3)
    assert len(clip) == 40
    wanted = pipeline.complete(start.slice(40, 60), None, SCRIPT[0][0], seconds=3.0, seed=3)
    assert np.array_equal(clip.joints, wanted.joints[20:])


def test_without_seconds_the_model_chooses(pipeline):
    pieces = list(pipeline.stream([(text, None) for text, _ in SCRIPT], overlap=0.5))
    assert all(1.0 <= piece.seconds <= 9.3 for piece in pieces)


def test_seconds_of_the_options_are_those_of_sentences_without_their_own(pipeline):
    pieces = list(pipeline.stream([("a person waves", None), SCRIPT[1]], seconds=3.0))
    assert [len(piece) for piece in pieces] == [60, 30]


def test_a_caller_can_stop_a_stream(pipeline):
    count = itertools.count()

    def stop(done: int, total: int) -> None:
        if next(count) == 25:
            raise GenerationCancelled("newer sentence")

    with pytest.raises(GenerationCancelled):
        list(pipeline.stream(SCRIPT, run=Run(progress=stop)))


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ([], {}),
        ([("a person waves", 9.5)], {}),
        ([("a person waves", 0.5)], {}),
        ([("a person waves", float("nan"))], {}),
        (SCRIPT, {"overlap": 0.0}),
        (SCRIPT, {"overlap": 9.0}),
        (SCRIPT, {"seed": 2**63 - 2}),
    ],
)
def test_impossible_sequences_are_refused_at_once(pipeline, script, options):
    with pytest.raises(ConfigError):
        pipeline.stream(script, **options)


def test_a_bad_sentence_is_refused_before_anything_is_made(pipeline):
    with pytest.raises(InvalidTextError):
        pipeline.stream([*SCRIPT, ("", 2.0)])


def test_the_trained_model_stays_on_the_floor_and_goes_on_from_where_it_was(trained):
    script = [("a person walks forward", 3.0), ("a person waves", 3.0), ("a person squats", 3.0)]
    pieces = list(trained.stream(script * 2, seed=0))
    joints = np.concatenate([piece.joints for piece in pieces])
    lowest = joints[..., 2].min(axis=1)
    assert lowest.min() > -0.03
    floors = [np.percentile(piece.joints[..., 2].min(axis=1), 10) for piece in pieces]
    assert max(floors) - min(floors) < 0.03
    step = np.linalg.norm(np.diff(joints, axis=0), axis=-1) * 20.0
    assert step[59::60].max() < 2.0 * np.percentile(step, 99)


def test_a_script_may_be_plain_sentences_but_not_one(pipeline: MotionPipeline) -> None:
    plain = pipeline.sequence(["a person walks", "a person waves"], seed=1)
    pairs = pipeline.sequence([("a person walks", None), ("a person waves", None)], seed=1)
    assert np.array_equal(plain.joints, pairs.joints)
    with pytest.raises(ConfigError, match="a list of sentences"):
        pipeline.sequence("a person walks", seed=1)


def test_options_by_position_are_refused_with_what_is_right(pipeline: MotionPipeline) -> None:
    with pytest.raises(ConfigError, match=r"by name.*seed=1"):
        pipeline.generate("a person walks", 1)  # type: ignore[arg-type]
