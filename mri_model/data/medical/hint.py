"""What a DICOM header says about the contrast of an image: a hint, because descriptions are free text."""

import re
from dataclasses import dataclass

T1, T1C, T2 = "T1", "T1C+", "T2"

ENHANCED = re.compile(r"\+ ?C\b|\bC ?\+|\bT1C\b|\bPOST|\bGAD|\bGD\b|\bCE\b|CONTRAST|\bKM\b|\bCONTRASTE\b")
POST = re.compile(r"\bPOST")
NOT_ENHANCED = re.compile(r"\bPRE\b|\bW/?O\b|WITHOUT|\bNON?\b|\bSIN\b|\bOHNE\b|\bNATIV")
NO_AGENT = re.compile(r"(NO|NONE|NOT|N|N/?A|NULL|NIL|WITHOUT|UNKNOWN|OHNE|SIN|0)\b.*|[-.\s]*", re.DOTALL)
"""Values of ContrastBolusAgent that say that there was none."""

SHORT_TR, SHORT_TE = 1000.0, 30.0
LONG_TR, LONG_TE = 2000.0, 70.0
"""Milliseconds. Spin echo images with both times short are T1-weighted, with both long T2-weighted (Bitar et al.,
RadioGraphics 2006; 26:513-537)."""


@dataclass(frozen=True)
class Acquisition:
    """What a header says about how an image was made.

    Attributes:
        words: Descriptions of the series and its protocol.
        agent: ContrastBolusAgent.
        echo_time, repetition_time: Milliseconds; None if not stated.
    """

    words: str = ""
    agent: str = ""
    echo_time: float | None = None
    repetition_time: float | None = None

    def contrast(self) -> str | None:
        """``T1``, ``T1C+`` or ``T2``; None if the header does not say.

        >>> Acquisition("ax t1 se +C").contrast()
        'T1C+'
        """
        words = re.sub(r"[_\-.,;:]", " ", self.words.upper())
        weighting = self._named(words) or self._timed()
        if weighting != T1:
            return weighting
        if NOT_ENHANCED.search(words) and POST.search(words):
            return None  # "pre and post": both, or a subtraction
        return T1C if self._is_enhanced(words) else T1

    def _named(self, words: str) -> str | None:
        named = set(re.findall(r"(?<![A-Z0-9])T([12])(?![0-9])", words))
        return f"T{named.pop()}" if len(named) == 1 else None

    def _timed(self) -> str | None:
        if self.echo_time is None or self.repetition_time is None:
            return None
        if self.repetition_time <= SHORT_TR and self.echo_time <= SHORT_TE:
            return T1
        return T2 if self.repetition_time >= LONG_TR and self.echo_time >= LONG_TE else None

    def _is_enhanced(self, words: str) -> bool:
        if NOT_ENHANCED.search(words):
            return False
        return bool(ENHANCED.search(words)) or not NO_AGENT.fullmatch(self.agent.strip().upper())
