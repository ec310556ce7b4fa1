"""Small helpers for text that people read."""

import re
from collections.abc import Mapping


def percent(value: float) -> str:
    """Whole percent; small shares read ``<1 %`` and not 0 %, large ones ``>99 %`` and not 100 %."""
    if 0 < value < 0.005:
        return "<1 %"
    if 0.995 <= value < 1:
        return ">99 %"
    return f"{100 * value:.0f} %"


def many(n: int, noun: str, singular: str = "", plural: str = "") -> str:
    """A number, its noun and its verb: ``1 class has``, ``2 classes have``, ``2 pairs of files are``.

    Args:
        n: The number.
        noun: In the singular; its first word gets the plural ending.
        singular: The verb for one.
        plural: The verb for any other number.
    """
    first, _, rest = noun.partition(" ")
    plural_first = first + ("es" if first.endswith("s") else "s")
    return " ".join(filter(None, [str(n), first if n == 1 else plural_first, rest, singular if n == 1 else plural]))


def most_frequent(counts: Mapping[str, int], most: int = 3) -> str:
    """The first entries of ``counts`` with their numbers: ``empty file (2); not an image (1); …``."""
    told = "; ".join(f"{name} ({n})" for name, n in list(counts.items())[:most])
    return told + ("; …" if len(counts) > most else "")


def capitalized(text: str) -> str:
    """``text`` with a capital first letter, the rest unchanged."""
    return text[:1].upper() + text[1:]


def visible(text: str) -> str:
    """``text`` with control characters, line breaks and direction marks shown as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def escaped(text: str) -> str:
    """``text`` escaped for Markdown: no markup, HTML or link in it takes effect."""
    plain = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~@$]|(?<=www)\.|:(?=//))", r"\\\1", plain)
