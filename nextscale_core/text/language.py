"""Detection of sentences that are not English, by lists of common words.

The model was trained on English only. A sentence in doubt counts as English.
"""

from __future__ import annotations

import re
import unicodedata


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS = {
    "German": _words(
        "arme armen auf aus bei beide beiden bein beine beinen dabei dann das dem der dreh "
        "drehen dreht drei durch ein eine einem einen einer eines er frau fur gehe gehen geht "
        "gerade hande handen heben hebt hinter hoch hupfen hupft im ist jemand kniet kreis "
        "langsam laufe laufen lauft leute linke linken links mann mensch menschen mit nach "
        "nicht oben ohne rechte rechten rechts roboter ruckwarts schnell schritt schritte "
        "setzt sich sie sitzt springen springt steht tanzen tanzt tritt uber und unten vier "
        "vom von vor vorwarts wahrend wieder winke winken winkt wirft zu zum zur zuruck zwei"
    ),
    "French": _words(
        "alors apres arriere assied assoit au aux avance avec bras cercle court dans danse de "
        "des deux droite du elle en est et etre fait femme fois frappe gauche gens homme il "
        "jambe jambes le lentement les leurs leve mains marchant marche marcher monsieur ou "
        "pas personne pied pieds puis quelqu qui rapidement recule salue saute sauter ses sur "
        "tourne tourner trois un une vers vite"
    ),
    "Spanish": _words(
        "adelante al alguien anda andar arriba atras baila bailar brazo brazos camina "
        "caminando caminar circulo corre correr corriendo de del derecha derecho despacio "
        "despues el ella en es esta gira girar hace hacia hombre izquierda izquierdo lanza las "
        "lentamente levanta los luego mano manos mientras mujer nino para pasos persona pierna "
        "piernas por rapidamente rapido salta saltar saluda saludar se sienta sobre su sus "
        "tres un una veces y"
    ),
    "Italian": _words(
        "alza alzare avanti balla ballare braccia braccio cammina camminare cammino cerchio "
        "che corre correre del della delle destra destro di donna e fa gamba gambe gira girare "
        "gli il indietro le lentamente lo mani mano mentre nel nella passi persona piede piedi "
        "poi qualcuno salta saltare saluta si siede sinistra sinistro sta su sua suo tre un "
        "una uno uomo velocemente verso"
    ),
    "Portuguese": _words(
        "acena alguem anda andar ao aos bate braco bracos caminha caminhar circulo com corre "
        "correr da danca dancar das de depois devagar direita direito dois duas ela ele em "
        "enquanto esquerda esquerdo faz frente gira girar homem lentamente levanta mao maos "
        "mulher na nas nos os para pe pela pelo perna pernas pes pessoa por pula pular "
        "rapidamente rapido salta saltar se senta seu sua tras tres um uma"
    ),
    "Dutch": _words(
        "aan achter achteruit beide benen beweegt danst de draait een en gaat haar handen "
        "heeft hij iemand langzaam linker linkerhand links loopt lopen maakt naar op persoon "
        "rechter rechterhand rechts rennen rond snel springen springt staat stappen terug "
        "terwijl twee voor vooraan vooruit vrouw waait wuift zich zijn zit zwaait"
    ),
}
"""Common words and the words of simple motions, without accents; none is an English word."""
_ENGLISH = _words(
    "a about above across after again ahead all and arms around at away back backward "
    "backwards before both by circle dance does doing down each fast feet few foot for forward "
    "forwards from hands he head height her hip his hop hops into is it its jump jumping jumps "
    "kick kicks knee knees left leg legs like look looks low move moves moving of off on one "
    "onto other out over people quickly raised raises right run running runs she side sit sits "
    "slowly some someone something spin stand standing stands step steps stop stops straight "
    "swing take takes that the their them then they three throw throws times to turn turning "
    "turns two up walk walking walks wave waves waving while who with without woman"
)
_NEUTRAL = _words(
    "arm been con dan die dos due fare hand hun in la lance lever main man met per person pie "
    "pour rent robot son van"
)
"""Words that English shares with another language, or that occur in names of dances."""

# Ballet, fencing and dances keep their names in English sentences.
_BORROWED = re.compile(
    r"\b(?:pas de \w+|(?:port|rond|coup|cou) de \w+|en (?:garde|pointe|route|masse|\w+ant)"
    r"|tour en lair|paso doble|a la \w+|tai chi|de facto|per se)\b"
)


class TextWarning(UserWarning):
    """A sentence is accepted, but the motion may not be what it means."""


class LanguageWarning(TextWarning):
    """A sentence is accepted, but the model probably does not know its language."""


def language_of(sentence: str) -> str | None:
    """Likely language of a sentence in Latin letters.

    Returns:
        For example 'German'; 'another language' for accents without common English words; None
        for English and for doubtful sentences.
    """
    plain = _BORROWED.sub(" ", _without_accents(sentence).replace("-", " "))
    words = [word for word in re.findall(r"[a-z]+", plain) if word not in _NEUTRAL]
    english = sum(word in _ENGLISH for word in words)
    counts = {name: sum(word in known for word in words) for name, known in _WORDS.items()}
    likeliest = max(counts, key=lambda name: counts[name])
    alone = len(words) == 1 and len(words[0]) > 3
    if counts[likeliest] > english and (counts[likeliest] > 1 or alone):
        return likeliest
    accented = [word for word in re.findall(r"\w+", sentence.casefold()) if _is_accented(word)]
    return "another language" if len(accented) > max(1, english) else None


def language_remark(sentence: str) -> str | None:
    """Warning about a validated sentence in another language or script; None for English."""
    shown = sentence if len(sentence) <= 40 else f"{sentence[:39]}…"
    foreign = "".join(sorted(set(letters_of_other_scripts(sentence))))
    if foreign:
        return (
            f"{shown!r} has letters that are not Latin ({foreign[:10]}); the model reads English, "
            "so the motion may not be what they mean"
        )
    language = language_of(sentence)
    if language is None:
        return None
    return (
        f"{shown!r} seems to be in {language}; the model reads English, so the motion may not be "
        "what the sentence means"
    )


def letters_of_other_scripts(sentence: str) -> list[str]:
    """Letters of a sentence that are not Latin; apostrophes and modifiers do not count."""
    letters = (c for c in sentence if unicodedata.category(c) in ("Lu", "Ll", "Lt", "Lo"))
    return [c for c in letters if not unicodedata.name(c, "").startswith("LATIN ")]


def _is_accented(word: str) -> bool:
    """Whether a word has letters that English lacks, other than those of plié and jeté."""
    return not (word.isascii() or re.sub(r"ée?s?$", "e", word).isascii())


def _without_accents(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in parts if not unicodedata.combining(c))


def shortened(sentence: str) -> str:
    """A sentence as a message quotes it, of at most 60 characters."""
    return sentence if len(sentence) <= 60 else f"{sentence[:59]}…"
