"""What a pipeline does with motions of which a part is given: `MotionPipeline`'s other methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from nextscale_core.editing.complete import complete
from nextscale_core.editing.edit import edit
from nextscale_core.editing.frame_mask import KnownFrames
from nextscale_core.editing.sequence import Script, joined, stream
from nextscale_core.model.sampling import Progress
from nextscale_core.motion.clip import MotionClip
from nextscale_core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from nextscale_core.pipeline import MotionPipeline


class CompletionMethods:
    """Complete, edit and chain motions; a base of `MotionPipeline`."""

    def complete(
        self,
        known: MotionClip,
        known_frames: KnownFrames,
        text: str,
        *,
        seconds: float | None = None,
        seed: int = 0,
        guidance: float | None = None,
        steps: Sequence[int] | None = None,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
    ) -> MotionClip:
        """Go on from, lead to, or fill in a motion of which some frames are given.

        Known frames come back as they went in, where they were in the world; new ones join them
        without a jump, with limbs as long as the known body's.

        Args:
            known: Motion at 20 fps, anywhere on the floor z = 0: the start (prefix) or the end
                (suffix) of the new motion, or any parts of it.
            known_frames: Which frames of the result are known. None: all of the clip, from the
                start. A (T,) mask as long as the clip says which of its frames count, the others
                are not looked at; a longer mask with as many True as the clip has frames says
                where they go. Or a list of half-open spans (start, stop) of the clip [s].
            text: What the person does, in English.
            seconds: Length of the result with the known part, 1 to 9.8 s; what goes beyond the
                mask is new. None for the mask's length, or, without a mask, for the clip and as
                long as the sentence usually takes, within 9.8 s in all.
            seed: The same seed gives the same motion on the same machine.
            guidance: See `MotionPipeline.generate`.
            steps: See `MotionPipeline.generate`.
            stopwatch: Takes the stages 'text', 'encode', 'generate' and 'decode'.
            progress: Called with (passes done, passes in all); may raise to stop.

        Returns:
            A clip at 20 fps in the world of `known`. With no frame known, that of `generate`.

        Raises:
            InvalidTextError: the sentence cannot be used.
            InvalidMotionError: the known clip has another rate than 20 fps.
            ConfigError: a mask or span that does not fit, or a value out of range.
        """
        return complete(
            self._pipeline,
            known,
            known_frames,
            text,
            seconds=seconds,
            seed=seed,
            guidance=guidance,
            steps=steps,
            stopwatch=stopwatch,
            progress=progress,
        )

    def edit(
        self,
        clip: MotionClip,
        text: str,
        *,
        span: tuple[float, float] | None = None,
        parts: Sequence[str] | None = None,
        seed: int = 0,
        guidance: float | None = None,
        steps: Sequence[int] | None = None,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
    ) -> MotionClip:
        """Change a part of a motion to what a sentence says, and keep the rest.

        Args:
            clip: Motion at 20 fps, of any length of at least 1 s.
            text: What the person does in the changed part.
            span: (start, stop) of the part to change [s], at most 9.8 s; None for all of it.
            parts: Names from `BODY_PARTS` that change, such as ['left_arm']; None for the whole
                body. The tokens hold the whole body, so the new motion is made whole and only
                these parts of it are taken, by the turns of their bones.
            seed: See `complete`.
            guidance: See `complete`.
            steps: See `complete`.
            stopwatch: See `complete`.
            progress: See `complete`.

        Returns:
            A clip as long as the given one, in its world; frames outside of the span as they were.

        Raises:
            InvalidTextError: the sentence cannot be used.
            InvalidMotionError: another rate than 20 fps.
            ConfigError: neither span nor parts, a span outside the clip, an unknown part.
        """
        return edit(
            self._pipeline,
            clip,
            text,
            span=span,
            parts=parts,
            seed=seed,
            guidance=guidance,
            steps=steps,
            stopwatch=stopwatch,
            progress=progress,
        )

    def sequence(
        self,
        script: Script,
        *,
        seed: int = 0,
        overlap: float = 1.0,
        start: MotionClip | None = None,
        guidance: float | None = None,
        steps: Sequence[int] | None = None,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
    ) -> MotionClip:
        """One motion for sentence after sentence, of any length in all; see `stream`."""
        pieces = self.stream(
            script,
            seed=seed,
            overlap=overlap,
            start=start,
            guidance=guidance,
            steps=steps,
            stopwatch=stopwatch,
            progress=progress,
        )
        return joined(list(pieces), seed)

    def stream(
        self,
        script: Script,
        *,
        seed: int = 0,
        overlap: float = 1.0,
        start: MotionClip | None = None,
        guidance: float | None = None,
        steps: Sequence[int] | None = None,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
    ) -> Iterator[MotionClip]:
        """Motion for sentence after sentence, each piece given out as soon as it is made.

        A piece goes on from the last `overlap` seconds before it, which the model sees as the
        start of a clip; nothing older is kept, so memory does not grow.

        Args:
            script: (sentence, seconds) pairs; None lets the model choose a length. A piece lasts
                1 s to 9.8 s less the overlap.
            seed: Seed of the first piece; the next have the next numbers.
            overlap: Motion that a piece goes on from, 0.2 to 4 s.
            start: Motion to go on from, at 20 fps, not given out again; None begins above the
                origin, facing +x.
            guidance: See `complete`.
            steps: See `complete`.
            stopwatch: See `complete`.
            progress: See `complete`; counts the passes of each piece.

        Returns:
            Pieces at 20 fps in one world, each without the motion before it.

        Raises:
            InvalidTextError: a sentence cannot be used.
            ConfigError: no sentence, or a length or an overlap out of range.
        """
        return stream(
            self._pipeline,
            script,
            seed=seed,
            overlap=overlap,
            start=start,
            guidance=guidance,
            steps=steps,
            stopwatch=stopwatch,
            progress=progress,
        )

    @property
    def _pipeline(self) -> MotionPipeline:
        return cast("MotionPipeline", self)
