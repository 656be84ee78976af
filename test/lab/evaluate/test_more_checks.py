"""The checks beyond the core sentences: each has its own motion and one it must not take."""

from __future__ import annotations

import numpy as np
import pytest

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.clip import MotionClip
from nextscale_lab.evaluate.checks import apply_check, validate_thresholds
from nextscale_lab.evaluate.prompt_suite import load_prompt_suite

ITEMS = {item.sentence.removeprefix("a person "): item for item in load_prompt_suite()}


def shows(clip, sentence: str) -> bool:
    item = ITEMS[sentence]
    return apply_check(item.check, clip, item.thresholds).passed


def joined(*clips: MotionClip) -> MotionClip:
    """Clips one after the other, each moved to where the last one ended."""
    parts, offset = [], np.zeros(3)
    for clip in clips:
        parts.append(clip.joints + offset - clip.joints[0, 0] * [1, 1, 0])
        offset = parts[-1][-1, 0] * [1, 1, 0]
    return MotionClip(np.concatenate(parts))


def cycle(low: float, high: float, hertz: float):
    return lambda t: low + (high - low) * (0.5 - 0.5 * np.cos(2 * np.pi * hertz * t))


@pytest.fixture
def motions(person, walking, circle_walk, jumping):
    jack = cycle(0.0, 1.0, 0.8)

    def knee_up(phase: float):
        return lambda t: 0.06 + 0.45 * max(0.0, np.sin(2 * np.pi * 0.7 * t + phase))

    def bowed(t: float) -> float:
        return 1.2 * np.sin(np.pi * np.clip((t - 1) / 2, 0, 1))

    bow = person()
    joints = bow.joints.copy()
    for frame, angle in enumerate(map(bowed, np.arange(len(joints)) / 20)):
        upper = [3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]
        arm = joints[frame, upper] - joints[frame, 0]
        c, s = np.cos(angle), np.sin(angle)
        turned = np.stack([c * arm[:, 0] + s * arm[:, 2], arm[:, 1], c * arm[:, 2] - s * arm[:, 0]])
        joints[frame, upper] = joints[frame, 0] + turned.T
    return {
        "stands": person(),
        "walks": walking(1.1),
        "walks slowly": walking(0.5),
        "walks quickly": walking(1.6),
        "walks in a figure eight": joined(circle_walk(1), circle_walk(-1)),
        "walks in a counterclockwise circle": circle_walk(1),
        "clockwise circle": circle_walk(-1),
        "runs in a circle": circle_walk(1, radius=2.0, speed=2.2),
        "jogs forward": walking(2.2),
        "steps sideways to the left": walking(0.6, "left"),
        "steps sideways to the right": walking(0.6, "right"),
        "turns left": person(heading=lambda t: min(t, 1.5)),
        "turns right": person(heading=lambda t: -min(t, 1.5)),
        "jumps forward": jumping(speed=1.0),
        "jumps on the spot": jumping(),
        "jumps twice": jumping(at=(1.0, 2.5)),
        "jumps and spins around in the air": person(
            height=lambda t: 0.95
            + 0.35 * max(0.0, 1 - ((t - 1.25) / 0.25) ** 2)
            - 0.12 * np.exp(-(((t - 0.8) / 0.1) ** 2)),
            left_foot=(0, 0.1, lambda t: 0.06 + 0.35 * max(0.0, 1 - ((t - 1.25) / 0.25) ** 2)),
            right_foot=(0, -0.1, lambda t: 0.06 + 0.35 * max(0.0, 1 - ((t - 1.25) / 0.25) ** 2)),
            heading=lambda t: np.pi * np.clip((t - 1) / 0.5, 0, 1),
        ),
        "does jumping jacks": person(
            left_hand=(0.0, 0.1, lambda t: -0.5 + 1.0 * jack(t)),
            right_hand=(0.0, -0.1, lambda t: -0.5 + 1.0 * jack(t)),
            left_foot=(0.0, lambda t: 0.1 + 0.2 * jack(t), 0.06),
            right_foot=(0.0, lambda t: -0.1 - 0.2 * jack(t), 0.06),
        ),
        "only swings the arms up": person(
            left_hand=(0.0, 0.1, lambda t: -0.5 + 1.0 * jack(t)),
            right_hand=(0.0, -0.1, lambda t: -0.5 + 1.0 * jack(t)),
        ),
        "raises the right arm": person(right_hand=(0.1, -0.1, cycle(-0.5, 0.4, 0.25))),
        "raises the left arm": person(left_hand=(0.1, 0.1, cycle(-0.5, 0.4, 0.25))),
        "claps the hands": person(
            left_hand=(0.35, cycle(0.0, -0.15, 1.5), -0.2),
            right_hand=(0.35, cycle(0.0, 0.15, 1.5), -0.2),
        ),
        "throws a ball": person(
            right_hand=(lambda t: -0.2 + 0.6 * np.clip((t - 1) / 0.25, 0, 1), -0.1, 0.1)
        ),
        "punches with the right hand": person(
            right_hand=(lambda t: 0.12 + 0.38 * np.clip((t - 1) / 0.2, 0, 1), 0.0, -0.05)
        ),
        "punches with the left hand": person(
            left_hand=(lambda t: 0.12 + 0.38 * np.clip((t - 1) / 0.2, 0, 1), 0.0, -0.05)
        ),
        "kicks with the left leg": person(
            left_foot=(lambda t: 0.75 * np.sin(np.pi * np.clip((t - 1) / 0.6, 0, 1)), 0.1,
                       lambda t: 0.06 + 0.6 * np.sin(np.pi * np.clip((t - 1) / 0.6, 0, 1)))
        ),
        "kneels down": person(
            height=lambda t: 0.95 - 0.5 * np.clip(t - 1, 0, 1),
            left_foot=(lambda t: -0.35 * np.clip(t - 1, 0, 1), 0.1, 0.06),
            right_foot=(lambda t: -0.35 * np.clip(t - 1, 0, 1), -0.1, 0.06),
        ),
        "marches with high knees": person(
            left_foot=(0.1, 0.1, knee_up(0.0)), right_foot=(0.1, -0.1, knee_up(np.pi))
        ),
        "bends down": MotionClip(joints),
        "balances on one leg": person(right_foot=(0.0, -0.1, cycle(0.06, 0.4, 0.25))),
        "walks forward, then turns around and walks back": joined(
            walking(1.0, seconds=3.0),
            person(2.0, heading=lambda t: np.pi * np.clip(t / 1.5, 0, 1)),
            walking(1.0, seconds=3.0, heading=np.pi, x=lambda t: -t),
        ),
        "walks forward and then stops": joined(walking(1.0, seconds=3.0), person(1.5)),
        "runs and then jumps": joined(walking(2.5, seconds=2.0), jumping()),
        "squats and then jumps": joined(
            person(3.0, height=lambda t: 0.95 - 0.4 * np.sin(np.pi * np.clip((t - 1) / 1.5, 0, 1))),
            jumping(),
        ),
    }  # fmt: skip


MORE = sorted(name for name, item in ITEMS.items() if not item.core)


@pytest.mark.parametrize("sentence", MORE)
def test_the_motion_of_a_sentence_passes_its_check(motions, sentence):
    assert shows(motions[sentence], sentence)


@pytest.mark.parametrize("sentence", MORE)
def test_who_only_stands_shows_none_of_it(motions, sentence):
    assert not shows(motions["stands"], sentence)


@pytest.mark.parametrize(
    ("done", "said"),
    [
        ("walks in a counterclockwise circle", "walks in a figure eight"),
        ("clockwise circle", "walks in a counterclockwise circle"),
        ("steps sideways to the left", "steps sideways to the right"),
        ("steps sideways to the right", "steps sideways to the left"),
        ("turns left", "turns right"),
        ("turns right", "turns left"),
        ("walks quickly", "walks slowly"),
        ("walks slowly", "walks quickly"),
        ("walks", "jogs forward"),
        ("walks in a counterclockwise circle", "jogs forward"),
        ("jumps on the spot", "jumps forward"),
        ("jumps on the spot", "jumps twice"),
        ("jumps on the spot", "jumps and spins around in the air"),
        ("only swings the arms up", "does jumping jacks"),
        ("raises the right arm", "raises the left arm"),
        ("raises the left arm", "raises the right arm"),
        ("only swings the arms up", "raises the right arm"),
        ("punches with the right hand", "punches with the left hand"),
        ("punches with the left hand", "punches with the right hand"),
        ("walks", "claps the hands"),
        ("raises the right arm", "throws a ball"),
        ("walks", "marches with high knees"),
        ("walks", "balances on one leg"),
        ("walks", "bends down"),
        ("squats and then jumps", "kneels down"),
        ("walks", "walks forward, then turns around and walks back"),
        ("walks", "walks forward and then stops"),
        ("walks", "runs and then jumps"),
        ("jumps on the spot", "runs and then jumps"),
    ],
)
def test_one_thing_is_not_taken_for_another(motions, done, said):
    assert not shows(motions[done], said)


def test_the_order_of_a_sequence_counts(walking, jumping):
    def then(*names: str) -> dict:
        walk = {"direction": "forward", "min_distance": 1.5, "min_speed": 0.5, "max_speed": 2.0}
        known = {
            "walk": ("travel", walk),
            "jump": ("jump", {"min_rise": 0.2, "min_air_seconds": 0.2}),
        }
        return {"steps": [{"check": known[n][0], "thresholds": known[n][1]} for n in names]}

    clip = joined(walking(1.0, seconds=3.0), jumping())
    assert apply_check("sequence", clip, then("walk", "jump")).passed
    verdict = apply_check("sequence", clip, then("jump", "walk"))
    assert not verdict.passed
    assert verdict.figures["steps_done"] == 1.0


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "steps must have at least 1 item"),
        ("walk", "steps must be a (valid )?list"),
        ([{"thresholds": {}}], "entry 1: 'check' is missing"),
        ([{"check": "fly"}], "unknown check 'fly'"),
        ([{"check": "turn", "thresholds": {"degrees": 3}}], "unknown key 'degrees'"),
    ],
)
def test_bad_steps_are_named(steps, words):
    with pytest.raises(ConfigError, match=words):
        validate_thresholds("sequence", {"steps": steps})
