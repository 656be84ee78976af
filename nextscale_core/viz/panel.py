"""What is written beside the picture: the sentence, the facts, the colours."""

from __future__ import annotations

from html import escape

from nextscale_core.viz.figure import Color
from nextscale_core.viz.human import LEFT, RIGHT
from nextscale_core.viz.viser_scene import STANCE

BRAND = (38, 102, 190)

_MARKS = {"pass": "#1f9d55", "repaired": "#b7791f", "rejected": "#c53030"}
"""Colour of the safety gate's line, by its first word."""


def title_html(title: str) -> str:
    """The sentence, as the head of the panel."""
    return (
        '<div style="padding: 0.35em 0.85em 0.1em; font-size: 1.05em; font-weight: 600; '
        f'line-height: 1.35">{escape(title)}</div>'
    )


def facts_html(facts: tuple[tuple[str, str], ...]) -> str:
    """Names and sentences, one below the other; a gate's line begins with a coloured mark."""
    rows = []
    for name, text in facts:
        mark = next((c for word, c in _MARKS.items() if text.startswith(word)), None)
        dot = f'<span style="color: {mark}">●</span> ' if mark else ""
        rows.append(
            f'<div style="margin: 0.45em 0"><div style="opacity: 0.6; font-size: 0.85em">'
            f"{escape(name)}</div><div>{dot}{escape(text)}</div></div>"
        )
    body = "".join(rows)
    return f'<div style="padding: 0 0.85em 0.3em; font-size: 0.87em; line-height: 1.4">{body}</div>'


def legend_html(*, human: bool) -> str:
    """What the colours mean."""
    entries: list[tuple[str, Color]] = [("foot on the floor", STANCE)]
    if human:
        entries = [("left", LEFT), ("right", RIGHT), *entries]
    spans = "".join(
        f'<span style="margin-right: 1em; white-space: nowrap">'
        f'<span style="color: {_hex(color)}">●</span> {escape(name)}</span>'
        for name, color in entries
    )
    return f'<div style="padding: 0.1em 0.95em 0.5em; font-size: 0.87em">{spans}</div>'


def _hex(color: Color) -> str:
    return "#" + "".join(f"{round(255 * value):02x}" for value in color)
