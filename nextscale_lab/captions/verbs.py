"""The verbs of motion captions and their forms: walk, walks, walking, walked."""

from __future__ import annotations

from typing import Literal

Form = Literal["base", "third", "gerund", "past"]

_VERBS = """
    act adjust alternate attempt balance begin bend bob bounce bow bring brush carry catch chop
    chug circle clap climb come complete continue crawl creep crouch curl curve dance direct do
    dodge drag dribble drift drink drop duck dust explain extend face fall feign flail flap flex
    flip fold follow gallop gesture get give go grab halt hang have high-kick hobble hold hop
    jerk jog jump keep kick kneel land lean leap lie lift limp look lower lunge make march mime
    mimic mope move navigate nod open pace paint pantomime pass perform pick pivot place play
    point pose practice prance pretend proceed pull pump punch push put raise reach repeat
    resist resume return revolve rise roll rotate run rush scoop screw search set shake shift
    shoot shrug shuffle sidestep sit skip slap slide slow slump smash smoke sneak spin sprint
    squat stagger stalk stand start step stomp stop stretch stride strike stroll strut stumble
    swap sway sweep swing take throw tilt tiptoe toss touch trip trot turn twirl twist unscrew
    use veer wait walk wander warm wash wave whirl whistle wipe yawn
""".split()  # noqa: SIM905 - a list of two hundred quoted words reads worse

_PAST = {
    "bend": "bent",
    "begin": "began",
    "bring": "brought",
    "catch": "caught",
    "come": "came",
    "creep": "crept",
    "do": "did",
    "drink": "drank",
    "fall": "fell",
    "get": "got",
    "give": "gave",
    "go": "went",
    "hang": "hung",
    "have": "had",
    "hold": "held",
    "keep": "kept",
    "kneel": "knelt",
    "lie": "lay",
    "make": "made",
    "put": "put",
    "rise": "rose",
    "run": "ran",
    "set": "set",
    "shake": "shook",
    "shoot": "shot",
    "sit": "sat",
    "slide": "slid",
    "sneak": "sneaked",
    "spin": "spun",
    "stand": "stood",
    "stride": "strode",
    "strike": "struck",
    "sweep": "swept",
    "swing": "swung",
    "take": "took",
    "throw": "threw",
}

# One syllable (or a stressed last one), ending consonant-vowel-consonant: the last one doubles.
_DOUBLING = """
    begin bob chop chug clap drag drop flap flip get grab hop jog nod put run set shrug sit skip
    slap spin step stop strut squat swap trip trot
""".split()  # noqa: SIM905

_VOWELS = "aeiou"


def third(lemma: str) -> str:
    """Third person singular: 'walk' -> 'walks', 'punch' -> 'punches', 'carry' -> 'carries'."""
    if lemma == "have":
        return "has"
    if lemma.endswith(("s", "sh", "ch", "x", "z", "do", "go")):
        return lemma + "es"
    if lemma.endswith("y") and lemma[-2] not in _VOWELS:
        return lemma[:-1] + "ies"
    return lemma + "s"


def gerund(lemma: str) -> str:
    """Present participle: 'walk' -> 'walking', 'run' -> 'running', 'wave' -> 'waving'."""
    if lemma in _DOUBLING:
        return lemma + lemma[-1] + "ing"
    if lemma.endswith("ie"):
        return lemma[:-2] + "ying"
    if lemma.endswith("e") and not lemma.endswith(("ee", "oe")):
        return lemma[:-1] + "ing"
    return lemma + "ing"


def past(lemma: str) -> str:
    """Past tense: 'walk' -> 'walked', 'run' -> 'ran'."""
    if lemma in _PAST:
        return _PAST[lemma]
    if lemma in _DOUBLING:
        return lemma + lemma[-1] + "ed"
    if lemma.endswith("e"):
        return lemma + "d"
    if lemma.endswith("y") and lemma[-2] not in _VOWELS:
        return lemma[:-1] + "ied"
    return lemma + "ed"


def _forms() -> dict[str, tuple[str, Form]]:
    forms: dict[str, tuple[str, Form]] = {}
    for lemma in _VERBS:
        forms.setdefault(past(lemma), (lemma, "past"))
    for lemma in _VERBS:
        forms[gerund(lemma)] = (lemma, "gerund")
        forms[third(lemma)] = (lemma, "third")
        forms[lemma] = (lemma, "base")
    return forms


_FORMS = _forms()


def parse_verb(word: str) -> tuple[str, Form] | None:
    """Lemma and form of a word, or None when it is no verb known here.

    Args:
        word: One lower-case word, for example 'running'.

    Returns:
        For example ('run', 'gerund').
    """
    return _FORMS.get(word)


def inflect(lemma: str, form: Form) -> str:
    """The lemma in the given form."""
    if form == "third":
        return third(lemma)
    if form == "gerund":
        return gerund(lemma)
    return past(lemma) if form == "past" else lemma
