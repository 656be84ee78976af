"""Sentences in other languages are noticed, those in English never are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from nextscale_core.text.language import language_of, language_remark

ROOT = Path(__file__).resolve().parents[3]
CAPTIONS = ROOT.parent / "shared" / "data" / "cmu" / "clips.jsonl"


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        (
            "German",
            "ein Mann geht vorwärts und winkt mit der rechten Hand|Eine Person geht im Kreis|"
            "jemand springt hoch|der Roboter läuft rückwärts|gehe vorwärts|Mann winkt|winken|"
            "die Person tanzt|GEHEN UND SPRINGEN",
        ),
        (
            "French",
            "un homme marche vers l'avant|une personne saute|l'homme s'assoit|elle danse|"
            "marcher en cercle|lever le bras droit|la personne tourne à gauche|il court",
        ),
        (
            "Spanish",
            "una persona camina hacia adelante|un hombre salta y gira|alguien corre en círculo|"
            "levanta la mano derecha|saltar dos veces|saludar con la mano|baila",
        ),
        (
            "Italian",
            "una persona cammina in avanti|un uomo salta|qualcuno corre in cerchio|"
            "alza la mano destra|cammina all'indietro|persona che balla",
        ),
        (
            "Portuguese",
            "uma pessoa anda para frente|um homem pula|alguém corre em círculo|"
            "levanta a mão direita|acenar com a mão",
        ),
        ("Dutch", "een man loopt vooruit en zwaait|iemand springt omhoog"),
        (
            "another language",
            "człowiek idzie do przodu i macha ręką|bir adam ileri doğru yürüyor|"
            "en man går framåt och vinkar|hän kävelee eteenpäin|muž jde dopředu a mává",
        ),
    ],
)
def test_a_sentence_in_another_language_is_recognized(language: str, sentences: str) -> None:
    found = {sentence: language_of(sentence) for sentence in sentences.split("|")}
    assert found == dict.fromkeys(found, language)


def test_an_english_sentence_with_borrowed_words_is_english() -> None:
    sentences = (
        "pirouette|plié|grand jeté|pas de deux|en garde|a person does a pas de deux|la macarena|"
        "the person does a plié then a grand jeté|tango|paso doble|capoeira ginga|tai chi|WALK|"
        "José waves|Renée curtsies|a person walks à la Chaplin|walk to the café|naïve walk|"
        "a man in a van throws a lance over the pie|jumping jacks|person dances|el matador|run"
    )
    found = {sentence: language_remark(sentence) for sentence in sentences.split("|")}
    assert found == dict.fromkeys(found)


def test_the_sentences_of_the_prompt_battery_are_english() -> None:
    battery = yaml.safe_load(
        (ROOT / "nextscale_lab" / "config" / "prompt_suite.yaml").read_text(encoding="utf-8")
    )
    entries = battery["sentences"]
    sentences = [text for one in entries for text in (one["sentence"], *one["other_words"])]
    assert len(sentences) > 20
    assert [text for text in sentences if language_remark(text)] == []


@pytest.mark.skipif(not CAPTIONS.is_file(), reason="needs the captions beside the checkout")
def test_captions_of_recorded_motion_are_english() -> None:
    lines = CAPTIONS.read_text(encoding="utf-8").splitlines()
    captions = [caption for line in lines for caption in json.loads(line)["captions"]]
    assert len(captions) > 500
    assert [caption for caption in captions if language_remark(caption)] == []


def test_letters_that_are_not_latin_are_shown() -> None:
    remark = language_remark("a person turns by π and stops")
    assert remark is not None and "(π)" in remark


def test_an_apostrophe_that_counts_as_a_letter_is_none() -> None:
    assert language_remark("raise the person\u02bcs hand") is None
