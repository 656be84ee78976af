"""Windows of actions that a person does on the spot."""

from __future__ import annotations

from nextscale_lab.auto_captions import guards
from nextscale_lab.auto_captions.arms import Action, claps, punches, throws, waves
from nextscale_lab.auto_captions.body import Body
from nextscale_lab.auto_captions.held_arms import held_arms
from nextscale_lab.auto_captions.legs import jumping_jacks, kicks, one_leg_stands
from nextscale_lab.auto_captions.postures import bends, kneels, sits, squats
from nextscale_lab.auto_captions.signals import Signals
from nextscale_lab.auto_captions.windows import LONGEST, SHORTEST, Window


def action_windows(signals: Signals, description: str) -> list[Window]:
    """Windows of arm, leg and posture actions.

    Args:
        signals: Of the recording.
        description: Its one line: the evidence that an action needs which other things
            look like, and the guard against recordings of other things.
    """
    body = Body(signals)
    found: list[Action] = []
    if guards.acts_are_plain(description) or guards.is_chicken_dance(description):
        found += claps(body)
    if guards.acts_are_plain(description):
        found += held_arms(body) + waves(body, description) + punches(body, description)
        found += throws(body, description) + kicks(body, description)
        found += squats(body) + bends(body, description) + kneels(body) + sits(body)
        found += one_leg_stands(body) + jumping_jacks(body, description)
    return [window for action in found for window in _window(signals, action)]


def _window(signals: Signals, action: Action) -> list[Window]:
    start, end = action.start, action.end
    missing = signals.frames(SHORTEST) - (end - start)
    if missing > 0:
        start = max(start - missing, 0)
        end = min(start + signals.frames(SHORTEST), len(signals))
    if not SHORTEST <= signals.seconds(start, end) <= LONGEST:
        return []
    return [Window(action.kind, start, end, (action.plain,), (action.detailed,))]
