"""From the one-line descriptions of motion-capture trials to captions in plain English.

The CMU database names a trial in its operators' shorthand: 'walk, veer left', 'run/jog',
'HurtLegWalk', 'A pulls B; B resists (2 subjects - subject B)'. A text encoder that has read plain
English, and a user who writes it, are both far from that; the rules here close the gap.
"""

from __future__ import annotations

import re

from nextscale_core.text.verbs import parse_verb, third

_SUBJECT = "a person"

_TYPOS = {
    "ballancing": "balancing",
    "foward": "forward",
    "postion": "position",
    "steop": "step",
    "sideway": "sideways",
    "happy go luck": "happy go lucky",
    "achey": "aching",
    "fwd": "forward",
    "bwk": "backward",
}

_USELESS = re.compile(
    r"(?:unknown|motion|take|trial|test|range of motion|subject|various|misc)?[\s\d]*"
)

# Manner of walking: shorthand -> what comes after 'a person'.
_WALKS: dict[str, tuple[str, ...]] = {
    "attitude": ("walks with attitude",),
    "bouncy": ("walks with a bounce in each step",),
    "careful": ("walks carefully",),
    "casual": ("walks casually",),
    "casual quick": ("walks casually and quickly",),
    "cat": ("walks like a model, one foot in front of the other", "walks like a cat"),
    "chicken": ("walks like a chicken",),
    "clumsy": ("walks clumsily",),
    "confident": ("walks confidently",),
    "cool": ("walks in a cool way", "struts"),
    "creeping": ("creeps forward", "sneaks forward"),
    "depressed": ("walks as if depressed", "walks sadly with the head down"),
    "dinosaur": ("walks like a dinosaur",),
    "drag bad leg": ("walks while dragging a bad leg",),
    "drunk": ("walks as if drunk", "staggers forward drunkenly"),
    "excited": ("walks excitedly",),
    "fast": ("walks fast", "walks quickly"),
    "frankenstein male": ("walks stiffly like Frankenstein's monster",),
    "gangly teen": ("walks like a gangly teenager",),
    "ghetto": ("walks with a swagger",),
    "graceful lady": ("walks gracefully like a lady",),
    "happy": ("walks happily",),
    "happy go lucky": ("walks happily without a care",),
    "happy or fast": ("walks happily and fast",),
    "happy start": ("starts to walk happily",),
    "hurt leg": ("walks with a hurt leg", "limps"),
    "hurt stomach": ("walks with a hurt stomach",),
    "lavish": ("walks with large showy movements",),
    "macho": ("walks in a macho way", "struts with the chest out"),
    "mickey": ("walks like a cartoon character",),
    "mickey sneaking": ("sneaks like a cartoon character", "tiptoes forward stealthily"),
    "mickey sneaky": ("sneaks like a cartoon character", "tiptoes forward stealthily"),
    "mummy": ("walks like a mummy",),
    "muscular, heavyset person's": ("walks like a heavy muscular man",),
    "neutral male": ("walks normally",),
    "normal": ("walks normally", "walks at a normal pace"),
    "old man": ("walks like an old man",),
    "pigeon toed": ("walks with the toes pointing inward",),
    "quick": ("walks quickly",),
    "random": ("walks around at random", "walks around"),
    "regular": ("walks at a regular pace",),
    "sad": ("walks sadly",),
    "scared": ("walks as if scared",),
    "sexy": ("walks in a sexy way",),
    "sexy lady": ("walks like a sexy lady",),
    "shy": ("walks shyly",),
    "silent": ("walks silently", "sneaks forward"),
    "slow": ("walks slowly",),
    "spastic": ("walks with jerky movements",),
    "stern": ("walks sternly",),
    "stiff": ("walks stiffly",),
    "straight": ("walks straight ahead", "walks forward in a straight line"),
    "stretch": ("walks while stretching",),
    "strong man": ("walks like a strong man",),
    "stumble": ("walks and stumbles",),
    "synchronized": ("walks beside someone in step",),
    "too cool": ("walks in a very cool way", "struts"),
    "traffic": ("walks through traffic",),
    "zombie": ("walks like a zombie",),
}

_WALK_TAILS: dict[str, str] = {
    "8": "in a figure eight",
    "digital 8": "in a square figure eight",
    "figure 8": "in a figure eight",
    "right angle turns": "making right-angle turns",
    "forward": "forward",
    "straight": "straight ahead",
    "backwards": "backwards",
    "looking around": "while looking around",
    "exact footfalls": "with even steps",
    "and search": "and searches around",
}

# Whole descriptions whose shorthand no grammar would guess.
_WHOLE: dict[str, tuple[str, ...]] = {
    "180 degree jump": ("jumps and turns 180 degrees in the air", "jumps and spins halfway around"),
    "180 jump": ("jumps and turns 180 degrees in the air", "jumps and spins halfway around"),
    "2 foot jump": ("jumps with both feet",),
    "2 jump": ("jumps twice", "jumps two times"),
    "360 jump": ("jumps and spins 360 degrees in the air", "jumps and spins all the way around"),
    "360 jumps": ("jumps and spins 360 degrees in the air", "jumps and spins several times"),
    "angle jumps": ("jumps and turns in the air at several angles",),
    "around the world high five low": ("swings the arm around to give high fives and low fives",),
    "arm up wide leg roll": ("raises an arm and rolls the body with the legs wide",),
    "balance beam": ("walks along a balance beam", "balances with the arms out while walking"),
    "balance object on forehead": ("balances an object on the forehead",),
    "basketball free throw": ("takes a basketball free throw", "shoots a basketball"),
    "basketball jump shot": ("jumps and shoots a basketball",),
    "basketball lay up": ("does a basketball layup",),
    "basketball shoot": ("shoots a basketball",),
    "basketball signals": ("makes basketball referee signals", "gives hand signals"),
    "bend, lift": ("bends down and lifts something",),
    "bend, pick up": ("bends down and picks something up",),
    "breakdance": ("breakdances",),
    "catch and throw": ("catches something and throws it",),
    "catch and throw football": ("catches and throws a football",),
    "chicken dance": ("does the chicken dance",),
    "chug a beer": ("drinks a beer quickly",),
    "chugging": ("drinks something quickly",),
    "crawling": ("crawls on hands and knees", "crawls on the floor"),
    "direct traffic, wave": ("directs traffic and waves", "waves and directs traffic"),
    "direct traffic, wave, point": ("directs traffic, waves and points",),
    "drink soda": ("drinks a soda", "drinks from a can"),
    "drunk coffee mug": ("drunkenly drinks from a coffee mug",),
    "drunk pick up": ("drunkenly picks something up",),
    "drunk wait": ("waits drunkenly, swaying",),
    "endof break dance": ("finishes a break dance",),
    "fix hair and walk forward": ("fixes the hair and walks forward",),
    "flamingo, lift legs high": ("walks lifting the legs high", "marches with high knees"),
    "football - throw, catch": ("throws and catches a football",),
    "football - throw, catch, jump around": ("throws and catches a football and jumps around",),
    "forward ball walk": ("walks forward on the balls of the feet",),
    "backward ball walk": ("walks backward on the balls of the feet",),
    "forward jump": ("jumps forward", "does a forward jump"),
    "hand signals - horizontally revolve forearms": ("rolls the forearms around each other",),
    "hard days drink": ("takes a drink",),
    "high five": ("gives a high five",),
    "high jump": ("jumps high", "jumps up as high as possible"),
    "high-five, walk": ("gives a high five and walks",),
    "jump": ("jumps", "jumps up"),
    "jump backwards off ledge": ("jumps backwards off a ledge",),
    "jump distances": ("jumps forward several times, farther and farther",),
    "jump forward": ("jumps forward",),
    "jump kick": ("does a jump kick", "jumps and kicks"),
    "jump off ledge": ("jumps down off a ledge",),
    "jump sideways": ("jumps sideways",),
    "jump small forward": ("takes a small jump forward", "jumps forward a little"),
    "jump stop": ("jumps and stops",),
    "jump turn": ("jumps and turns in the air",),
    "jump twist": ("jumps and twists in the air",),
    "jump up and down, hop on one foot": ("jumps up and down and hops on one foot",),
    "jump up to grab, reach for, tiptoe": ("jumps up to grab something and reaches on tiptoe",),
    "jump with kick and spin": ("jumps, kicks and spins",),
    "jump, balance": ("jumps and balances", "jumps and keeps balance"),
    "jumping distances": ("jumps forward several times, farther and farther",),
    "jumping heights": ("jumps up several times, higher and higher",),
    "jumping twists": ("jumps and twists in the air several times",),
    "left punch sequence": ("punches several times with the left hand",),
    "limping, hurt right leg": ("limps with a hurt right leg", "limps on the right leg"),
    "link arms, walk": ("walks arm in arm with someone",),
    "long jump forward": ("does a long jump forward", "jumps far forward"),
    "long jumps": ("does long jumps forward",),
    "low-five, walk": ("gives a low five and walks",),
    "macarena dance": ("dances the macarena",),
    "mawashigeri": ("does a roundhouse kick", "does a karate kick"),
    "mickey dance": ("dances like a cartoon character",),
    "moonwalk": ("does the moonwalk", "slides backward in a moonwalk"),
    "navigate around obstacles": ("walks around obstacles",),
    "follow path, walk around obstacles": ("follows a path and walks around obstacles",),
    "pull heavy object": ("pulls a heavy object",),
    "pulling a gun": ("pulls a gun",),
    "pulling a nail": ("pulls out a nail",),
    "pump jump": ("pumps the arms and jumps",),
    "punch sequence": ("throws a series of punches", "punches several times"),
    "punch/strike": ("punches", "throws punches", "strikes with the fists"),
    "push heavy object": ("pushes a heavy object",),
    "push object that is high in air": ("pushes an object that is high in the air",),
    "push turn left": ("pushes off and turns left",),
    "push turn right": ("pushes off and turns right",),
    "putting on a pull over": ("puts on a pullover",),
    "roadrunner": ("runs fast like a roadrunner",),
    "rug pull fall": ("falls down as if the rug was pulled away",),
    "run evasive": ("runs evasively",),
    "run, scramble for last seat": ("runs and scrambles for a seat",),
    "russian dance": ("does a russian dance", "squats and kicks in a russian dance"),
    "singing in the rain jump": ("jumps and clicks the heels in the air",),
    "slap hands, throw it back": ("slaps hands and throws the hand back",),
    "stand still; casual walk forward": ("stands still and then walks forward casually",),
    "static dance pose - folded in, head lowered, leg bent": (
        "holds a dance pose, folded in with one leg bent",
    ),
    "steop on walk down": ("steps onto something and walks down",),
    "step on walk down": ("steps onto something and walks down",),
    "stretches and jumps": ("stretches and jumps",),
    "sweeping, push broom": ("sweeps the floor with a push broom",),
    "toss and catch": ("tosses something and catches it",),
    "throw and catch": ("throws something and catches it",),
    "unscrew bottlecap, drink soda": ("unscrews a bottle cap and drinks",),
    "unscrew bottlecap, drink soda, screw on bottlecap": (
        "unscrews a bottle cap, drinks and screws the cap back on",
    ),
    "drink soda, screw on bottlecap": ("drinks and screws the bottle cap back on",),
    "walk crossover": ("walks crossing one leg over the other",),
    "walk digital figure eight": ("walks in a square figure eight",),
    "walk duck footed": ("walks with the toes pointing outward",),
    "walk evasive right": ("walks evasively to the right",),
    "walk to run": ("walks and then starts to run",),
    "walk up and over": ("walks up and over something",),
    "walk crawl": ("walks and crawls",),
    "walk jump": ("walks and jumps",),
    "walk around": ("walks around",),
    "wave hello": ("waves hello", "waves with one hand"),
    "wide leg roll": ("rolls the body with the legs wide",),
    "wide leg run": ("runs with the legs wide apart",),
    "wash self": ("washes the body", "washes himself"),
    "washing": ("makes washing movements",),
    "jumps kicks and punches": ("jumps, kicks and punches",),
    "alternating jumping jacks": ("does jumping jacks",),
    "alternating squats": ("does squats", "squats several times"),
    "synchronized jumping jacks": ("does jumping jacks",),
    "adjust hair walk forward": ("adjusts the hair and walks forward",),
    "bouncing basketball, shooting basketball, dribble basketball, two handed dribble": (
        "bounces, dribbles and shoots a basketball",
    ),
    "careful run": ("runs carefully",),
    "careful run in circle": ("runs carefully in a circle",),
    "careful run in figure eight": ("runs carefully in a figure eight",),
    "dance, whirl": ("dances and whirls",),
    "dance, twist": ("dances the twist", "dances and twists"),
    "jump and spin kick": ("does a jump and a spin kick", "jumps and does a spinning kick"),
    "jump, shape": ("jumps",),
    "old man drink": ("drinks like an old man",),
    "run duck underneath": ("runs and ducks underneath something",),
    "run in circles": ("runs in circles", "runs in a circle"),
    "run jump over": ("runs and jumps over something",),
    "run left": ("runs to the left", "runs and curves to the left"),
    "run over": ("runs over something",),
    "run quick stop run": ("runs, stops quickly and runs again",),
    "run right": ("runs to the right", "runs and curves to the right"),
    "run roll underneath": ("runs and rolls underneath something",),
    "run dive over roll run": ("runs, dives over something, rolls and runs on",),
    "run side step right": ("runs and sidesteps to the right",),
    "run through": ("runs", "runs straight through"),
    "run to quick stop": ("runs and stops quickly",),
    "run to sneak": ("runs and then sneaks",),
    "run, 90-degree left turn": ("runs and turns left 90 degrees",),
    "running no ball": ("runs",),
    "running straight": ("runs straight ahead", "runs forward"),
    "running tighter right": ("runs in a tight curve to the right",),
    "running wide left": ("runs in a wide curve to the left",),
    "running wide right": ("runs in a wide curve to the right",),
    "small jump turn": ("takes a small jump and turns in the air",),
    "start run": ("starts to run", "stands and then runs"),
    "start to run": ("starts to run", "stands and then runs"),
    "start walk left": ("starts to walk to the left",),
    "start walk right": ("starts to walk to the right",),
    "start walk stop": ("starts to walk and stops", "walks a little and stops"),
    "stretch - rotate head, shoulders, arms, legs": (
        "stretches and rotates the head, shoulders, arms and legs",
    ),
    "walk and step over": ("walks and steps over something",),
    "walk around, frequent turns, cyclic walk along a line": (
        "walks around with frequent turns", "walks back and forth along a line"
    ),
    "walk left": ("walks to the left", "walks and curves to the left"),
    "walk right": ("walks to the right", "walks and curves to the right"),
    "walk, 90-degree left turn": ("walks and turns left 90 degrees",),
    "walk, mope around": ("walks and mopes around",),
    "walk wounded leg": ("walks with a wounded leg", "limps"),
    "walk leaning to the right": ("walks while leaning to the right",),
    "walk swinging shoulders": ("walks while swinging the shoulders",),
    "walk figure 8": ("walks in a figure eight",),
    "walk figure eight": ("walks in a figure eight",),
    "walk digital 8": ("walks in a square figure eight",),
    "walk zig zag": ("walks in a zigzag",),
    "walk sideways, cross legs": ("walks sideways, crossing the legs",),
    "walk sideways, foot to foot": ("walks sideways, bringing foot to foot",),
    "walk with legs apart": ("walks with the legs apart",),
    "walk with wild arms": ("walks while swinging the arms wildly",),
    "walk with wild legs": ("walks while kicking the legs wildly",),
    "walk with arms out, balancing": ("walks with the arms out to keep balance",),
    "wash windows, paint figure eights; hand signals": (
        "washes windows, paints figure eights and gives hand signals",
    ),
    "whistle, walk jauntily": ("whistles and walks jauntily",),
}

# What one of two people does; keys are the description without its bracket.
_PAIRS: dict[tuple[str, str], tuple[str, ...]] = {
    ("a pulls b", "a"): ("pulls someone",),
    ("a pulls b", "b"): ("resists being pulled",),
    ("a pulls b by the elbow", "a"): ("pulls someone by the elbow",),
    ("a pulls b by the elbow", "b"): ("resists being pulled by the elbow",),
    ("a passes soda to b", "a"): ("passes a soda to someone and drinks",),
    ("a passes soda to b", "b"): ("takes a soda from someone and drinks",),
    ("navigate busy sidewalk", "a"): ("leads someone by the arm along a busy sidewalk",),
    ("navigate busy sidewalk", "b"): ("is led by the arm along a busy sidewalk",),
}


# Noun phrases and clipped orders inside a list of actions.
_PHRASES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), spoken)
    for pattern, spoken in (
        (r"(?:turn )?90[- ]degrees? (left|right) turn", r"turns \1 90 degrees"),
        (r"90[- ]degrees? (left|right) turns", r"turns \1 90 degrees several times"),
        (r"sudden stop", "stops suddenly"),
        (r"walk forward 90 degree (left|right) turn", r"walks forward and turns \1 90 degrees"),
        (
            r"walk forward 90 degree smooth (left|right) turn",
            r"walks forward and turns smoothly \1 90 degrees",
        ),
        (
            r"walk forward turn 90 degrees (left|right) walk forward",
            r"walks forward, turns \1 90 degrees and walks forward",
        ),
        (r"turn both directions", "turns in both directions"),
        (r"side twists", "twists from side to side"),
        (r"jumping jacks", "does jumping jacks"),
        (r"squats", "does squats"),
        (r"slow walk", "walks slowly"),
        (r"(normal|casual) walk", r"walks \1ly"),
        (r"exaggerated stride", "takes exaggerated strides"),
        (r"fists up", "puts the fists up"),
        (r"(wipe|wash) (windows?|mirror)", r"\1s the \2"),
        (r"washing (?:a )?windows?", "washes a window"),
        (r"lift open window", "lifts open a window"),
        (r"smash against wall", "smashes against a wall"),
        (r"drinking", "drinks"),
        (r"backwards?", "walks backward"),
        (r"forward", "walks forward"),
        (r"sideways", "walks sideways"),
        (r"on a diagonal", "walks on a diagonal"),
        (r"attack with a punch", "attacks with a punch"),
        (r"feign a few attacks", "feigns a few attacks"),
        (r"attack", "attacks"),
        (r"carry back object", "carries it back"),
        (r"set down object", "sets it down"),
        (r"pick up object", "picks up an object"),
        (r"walk up to object", "walks up to an object"),
        (r"set down in another place", "sets it down in another place"),
        (r"pick up laundry basket", "picks up a laundry basket"),
        (r"push(?:ing)? (?:on )?(heavy object|broom|swing)", r"pushes a \1"),
        (r"(forward|backward|sideways) dribble", r"dribbles a basketball \1"),
        (r"crossover dribble", "dribbles a basketball from hand to hand"),
        (r"low", "dribbles a basketball low"),
        (r"fast free style dribble", "dribbles fast"),
        (r"lay-up shot", "does a layup"),
        (r"throw ball", "throws a ball"),
        (r"explain with hand gestures", "explains something with hand gestures"),
        (r"jump around", "jumps around"),
        (r"outstretched arms", "stretches out the arms"),
        (r"hold hands", "holds hands"),
        (r"knee kicking", "kicks with the knee"),
        (r"dustpan", "uses a dustpan"),
        (r"jump and spin kick", "jumps and does a spin kick"),
    )
)


def sentence_from_description(description: str) -> list[str]:
    """Plain-English captions for the one-line description of a mocap trial.

    Args:
        description: For example 'walk, veer left', 'run/jog', 'HurtLegWalk' or
            'A pulls B; B resists (2 subjects - subject B)'.

    Returns:
        Captions that say the same thing ('a person walks and veers left'), the plainest first;
        empty when the description says nothing about the motion ('unknown', 'motion 1').
    """
    text, role = _tidy(description)
    if not text or _USELESS.fullmatch(text):
        return []
    predicates = _paired(text, role) or _WHOLE.get(text) or _walk(text) or _listed(text)
    return [f"{_SUBJECT} {predicate}" for predicate in predicates]


def _tidy(description: str) -> tuple[str, str]:
    """Lower-case words without brackets, camel case and take numbers; and the role 'a' or 'b'."""
    text = re.sub(r"_?\d{3}$", "", description.strip().rstrip("."))
    text = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", text.replace("_", " "))
    text = re.sub(r"\s+", " ", text).lower()
    role = re.search(r"subject ([ab])\)", text)
    text = re.sub(r"\s*\([^)]*\)", "", text).strip()
    for wrong, right in _TYPOS.items():
        text = re.sub(rf"\b{wrong}\b(?! lucky)", right, text)
    return text, role.group(1) if role else "a"


def _paired(text: str, role: str) -> tuple[str, ...]:
    passed = re.fullmatch(r"walk; a catches (\w+) thrown by b|walk; b catches (\w+) thrown by a", text)
    if passed:
        thing = passed.group(1) or passed.group(2)
        catcher = "a" if passed.group(1) else "b"
        if role == catcher:
            return (f"walks and catches {_a(thing)}",)
        return (f"walks and throws {_a(thing)} to someone",)
    return _PAIRS.get((text.split(";")[0], role), ())


def _a(thing: str) -> str:
    return thing if thing.endswith("s") else f"a {thing}"


def _walk(text: str) -> tuple[str, ...]:
    """'sad walk forward', 'slow walk 8': a manner, the word walk, a tail."""
    match = re.fullmatch(r"(?:(?P<manner>.+?) )?(?:walk|walking|walks?/stride)(?:,? (?P<tail>.+))?", text)
    if not match:
        return ()
    manner, tail = match.group("manner") or "", match.group("tail") or ""
    if manner not in _WALKS and manner or tail not in _WALK_TAILS and tail or not (manner or tail):
        return ()
    ways = _WALKS[manner] if manner else ("walks",)
    return tuple(f"{way} {_WALK_TAILS[tail]}".strip() if tail else way for way in ways)


def _listed(text: str) -> tuple[str, ...]:
    """A list of actions: 'walk, veer left', 'run/jog, sudden stop', 'walking, kicking and yawning'."""
    topic, _, rest = text.rpartition(" - ")
    if topic == "dance":
        return ("dances", "does a ballet dance", f"dances, {rest}")
    found = []
    for choice in _alternatives(rest or text):
        phrases = re.split(r",\s*(?:and\s+)?|;\s*|\s+and\s+|\s+then\s+", choice)
        spoken = [_predicate(phrase.strip(), topic) for phrase in phrases if phrase.strip()]
        found.append(_joined([phrase for phrase in spoken if phrase]))
    return tuple(dict.fromkeys(phrase for phrase in found if phrase))


def _alternatives(text: str) -> list[str]:
    """'run/jog, stop' -> ['run, stop', 'jog, stop']."""
    slash = re.search(r"(\w+)/(\w+)", text)
    if not slash:
        return [text]
    return [text.replace(slash.group(), slash.group(side)) for side in (1, 2)]


def _predicate(phrase: str, topic: str) -> str:
    """One action in the third person, or '' when it names no action."""
    for pattern, spoken in _PHRASES:
        match = pattern.fullmatch(phrase)
        if match:
            return match.expand(spoken)
    words = phrase.split()
    at = 1 if words[0].endswith("ly") and len(words) > 1 else 0
    verb = parse_verb(words[at])
    if verb is None or verb[1] == "past":
        return ""
    words[at] = third(verb[0])
    # 'run stop run' is a row of verbs; each is an action of its own.
    tail = [parse_verb(word) for word in words[at + 1 :]]
    if tail and all(other and other[1] == "base" for other in tail):
        return _joined([words[at], *(third(other[0]) for other in tail if other)])
    if topic == "basketball" and verb[0] in ("dribble", "shoot") and len(words) == 1:
        words.append("a basketball")
    return " ".join(words)


def _joined(phrases: list[str]) -> str:
    """'walks, jumps and stops'."""
    return " and ".join([", ".join(phrases[:-1]), phrases[-1]]) if phrases[1:] else "".join(phrases)
