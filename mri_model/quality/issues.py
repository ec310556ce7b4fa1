"""The quality report in words: issues that a physician understands, for the terminal, for Prefect and for the page."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from mri_model.data.near_duplicates import NEAR_DUPLICATE_CORRELATION
from mri_model.data.splits import PROTOCOLS

MAX_TESTED = 2000
"""At most this many test images are compared with the training images: ±2.2 points at 95 % confidence."""

LEAK_SERIOUS = 0.05
"""Share of test images with a near copy in training from which a split's score misleads; ``LARGE``: is mostly that."""
LEAK_LARGE = 1 / 3

PIXELS_EXCESS = 0.20
"""By how much a comparison of raw pixels must beat the largest class to be worth a issue."""

FACTS_EXCESS = 0.10
"""By how much size and format of the files alone must beat the largest class to be worth a issue."""
FACTS_EXCESS_SERIOUS = 0.20

REJECTED_SERIOUS = 0.05
"""Share of the files found."""

IMBALANCE = 10.0
"""How many times as many images the largest class may have as the smallest."""

FEW = 3
"""With fewer images or groups a class is missing in training, validation or test."""

FEW_TESTED = 10
"""With fewer test images a class's figure moves in steps of more than ten points."""

SPLITS = {"train": "training", "val": "validation", "test": "test"}
LEVELS = {"serious": "Serious", "notice": "To note", "good": "Good"}

Issue = dict[str, str]


class Question(NamedTuple):
    """One row of the comparison of protocols: texts for ``random`` and ``grouped``; shares (0…1) where one is meant."""

    question: str
    texts: tuple[str, ...]
    shares: tuple[float | None, ...]


def list_issues(report: dict[str, Any]) -> list[Issue]:
    """What a reader must know, most serious first; a leak before everything else."""
    leaks = [found for protocol in PROTOCOLS for found in find_leak(report, protocol)]
    rest = [
        *find_missing_splits(report),
        *find_conflicts(report),
        *find_resemblance(report),
        *find_short_cut(report),
        *find_copies(report),
        *find_rejected(report),
        *find_wrong_extensions(report),
        *find_classes(report),
        *find_no_leak(report),
    ]
    order = list(LEVELS)
    return [issue for found in (leaks, rest) for issue in sorted(found, key=lambda one: order.index(one["level"]))]


def issue(level: str, claim: str, meaning: str, advice: str) -> Issue:
    return {"level": level, "claim": claim, "issue": f"{claim} {meaning}".strip(), "advice": advice}


def find_leak(report: dict[str, Any], protocol: str) -> Iterator[Issue]:
    facts = report["protocols"][protocol]
    duplicate, group, n_test = facts["near_duplicate_in_train"], facts["group_in_train"], facts["sizes"]["test"]
    if not (duplicate["n"] or group["n"]):
        return
    if duplicate["n"]:
        at_least = "" if report["copies"]["complete"] else "at least "
        claim = (
            f"{at_least}{percent(duplicate['share'])} of the test pictures of the {protocol} split "
            f"({duplicate['n']} of {n_test}) have a near copy among its training pictures."
        )
    else:
        claim = (
            f"{percent(group['share'])} of the test pictures of the {protocol} split ({group['n']} of {n_test}) "
            "belong to a series or a group of near copies that it also trains on."
        )
    leak = max(duplicate["share"], group["share"])
    series = f" Counting pictures of the same series or group, it is {percent(group['share'])}."
    meaning = (
        f"A score on this split {'mostly' if leak >= LEAK_LARGE else 'partly'} shows how well a network recognises "
        "pictures it has practically seen; for new patients expect less."
    ) + (series if 0 < duplicate["n"] < group["n"] else "")
    other = "Use the grouped split, or" if protocol == "random" else "Report"
    advice = f"{other} the score on those test pictures that have no near copy in training."
    yield issue("serious" if leak >= LEAK_SERIOUS else "notice", capital(claim), meaning, advice)


def find_no_leak(report: dict[str, Any]) -> Iterator[Issue]:
    for protocol, facts in report["protocols"].items():
        known = facts["near_duplicate_in_train"]["n"] + facts["group_in_train"]["n"]
        if trainable(facts) and not known and report["copies"]["complete"]:
            yield issue(
                "good",
                f"No test picture of the {protocol} split has a near copy among its training pictures.",
                "None belongs to a series or a group of near copies that is also trained on.",
                "Prefer a split of which this is true; it still does not keep patients apart.",
            )


def find_missing_splits(report: dict[str, Any]) -> Iterator[Issue]:
    for protocol, facts in report["protocols"].items():
        if missing := [split for split, n in facts["sizes"].items() if not n]:
            names = " and no ".join(SPLITS[split] for split in missing)
            yield issue(
                "serious",
                f"The {protocol} split has no {names} pictures.",
                "Without them a network can be neither chosen nor validated on this split.",
                "Add pictures: every class needs several independent ones.",
            )


def find_conflicts(report: dict[str, Any]) -> Iterator[Issue]:
    conflicts = report["conflicts"]
    if not conflicts["n_sets"]:
        return
    two = all(len({file["label"] for file in found}) == 2 for found in conflicts["sets"])
    pictures = many(conflicts["n_sets"], "picture", "stands", "stand")
    yield issue(
        "serious",
        f"{pictures} in {'two' if two else 'several'} classes at once ({many(conflicts['n_images'], 'file')}).",
        "Not all of these labels can be right: a network is taught a contradiction and graded by it.",
        "Have an expert decide and remove the wrong files. Until then the grouped split leaves them out; the random "
        "split does not.",
    )


def find_resemblance(report: dict[str, Any]) -> Iterator[Issue]:
    """What a comparison of raw pixels reaches, where it is more than guessing."""
    for protocol in PROTOCOLS:
        facts = report["protocols"][protocol]
        if not beats_largest(facts, "pixels", PIXELS_EXCESS):
            continue
        leaks = (facts["near_duplicate_in_train"]["share"] or 0) >= LEAK_SERIOUS
        apart, grouped = facts["pixels_without_near_duplicate"], report["protocols"]["grouped"]["pixels"]
        others = [
            ("on the test pictures without a near copy in training", apart if leaks else None),
            ("on the grouped split", grouped if protocol == "random" else None),
            ("always guessing the largest class", facts["largest_class"]),
        ]
        told = "; ".join(f"{where} {percent(one['accuracy'])}" for where, one in others if one)
        yield issue(
            "serious" if leaks else "notice",
            "A program that only compares raw pixels, without learning anything, already classifies "
            f"{percent(facts['pixels']['accuracy'])} of the test pictures of the {protocol} split correctly.",
            f"For comparison: {told}.",
            "Hold every network's score against these figures: at or below them it shows resemblance, not learning.",
        )
        return


def find_short_cut(report: dict[str, Any]) -> Iterator[Issue]:
    """What the files themselves give away; asked of the grouped split, where copies do not help."""
    for protocol in reversed(PROTOCOLS):
        facts = report["protocols"][protocol]
        if facts["file_facts"] is None:
            continue
        if beats_largest(facts, "file_facts", FACTS_EXCESS):
            excess = facts["file_facts"]["accuracy"] - facts["largest_class"]["accuracy"]
            yield issue(
                "serious" if excess >= FACTS_EXCESS_SERIOUS else "notice",
                "Size and format of the file alone, without a look at the picture, give the right class in "
                f"{percent(facts['file_facts']['accuracy'])} of cases (always guessing the largest class: "
                f"{percent(facts['largest_class']['accuracy'])}; {protocol} split).",
                "A network may learn where a picture comes from instead of what it shows.",
                "Collect every class from the same sources, and test on pictures from another one.",
            )
        return


def beats_largest(facts: dict[str, Any], guess: str, excess: float) -> bool:
    """Whether a guess beats the largest class by ``excess``, and by more than two standard errors (at most 1/√n)."""
    if facts[guess] is None:
        return False
    above = facts[guess]["accuracy"] - facts["largest_class"]["accuracy"]
    return above >= max(excess, facts[guess]["n"] ** -0.5)


def find_copies(report: dict[str, Any]) -> Iterator[Issue]:
    copies = report["copies"]
    same, resaved = copies["same_bytes_pairs"], copies["same_pixels_pairs"] or 0
    if same or resaved:
        told = [
            many(same, "pair of files", "is", "are") + " identical byte for byte" if same else "",
            many(resaved, "pair of files", "holds", "hold") + " the same pixels in other bytes" if resaved else "",
        ]
        yield issue(
            "notice",
            "; ".join(filter(None, told)) + ".",
            "Copies add nothing to learn from and count more than once wherever they stand.",
            "Keep one of each.",
        )
    if not copies["complete"]:
        yield issue(
            "notice",
            "There are more pairs of near copies than were kept.",
            "Every number of near copies in this report is a lower bound.",
            "Remove copies, then ingest again.",
        )


def find_rejected(report: dict[str, Any]) -> Iterator[Issue]:
    files = report["files"]
    if not files["rejected"]:
        claim = f"{many(files['found'], 'file')} found, all readable and accepted."
        yield issue("good", claim, "", "Nothing to do.")
        return
    reasons = "; ".join(f"{reason} ({n})" for reason, n in list(files["rejected_by_reason"].items())[:3])
    more = "; …" if len(files["rejected_by_reason"]) > 3 else ""
    yield issue(
        "serious" if files["rejected"] >= REJECTED_SERIOUS * files["found"] else "notice",
        f"{many(files['rejected'], 'file', 'was', 'were')} rejected, of {files['found']} found: {reasons}{more}.",
        "They take part in nothing.",
        "If they are missed, mend or replace them and ingest again; the manifest names each with its reason.",
    )


def find_wrong_extensions(report: dict[str, Any]) -> Iterator[Issue]:
    files = report["files"]
    if not files["wrong_extension"]:
        return
    kinds = "; ".join(f"{kind} ({n})" for kind, n in list(files["wrong_extension_by_kind"].items())[:3])
    yield issue(
        "notice",
        f"{many(files['wrong_extension'], 'file', 'has', 'have')} an ending that does not fit the content: {kinds}.",
        "Files are read by their content, so nothing is lost here; other programs may fail on them.",
        "Rename them if other programs are to read them.",
    )


def find_classes(report: dict[str, Any]) -> Iterator[Issue]:
    classes = report["classes"]
    if classes["n"] < 2:
        yield issue(
            "serious",
            "There is only one class." if classes["n"] else "There is no class.",
            "A network has nothing to tell apart.",
            "Give a folder that holds one folder for each class.",
        )
        return
    if few := sorted({*classes["few_images"], *classes["few_groups"]}):
        yield issue(
            "serious" if classes["few_images"] else "notice",
            f"{many(len(few), 'class', 'has', 'have')} fewer than {FEW} pictures, or fewer than {FEW} independent "
            f"groups of pictures: {', '.join(few[:3])}{' …' if len(few) > 3 else ''}.",
            "Such a class is missing in training, in validation or in the test.",
            "Add independent pictures, or leave these classes out.",
        )
    if classes["imbalance"] >= IMBALANCE:
        largest, smallest = classes["largest"], classes["smallest"]
        yield issue(
            "notice",
            f"The largest class has {classes['imbalance']:.0f} times as many pictures as the smallest "
            f"({largest}: {classes['sizes'][largest]}; {smallest}: {classes['sizes'][smallest]}).",
            "Accuracy then speaks mostly of the large classes.",
            "Look at macro-F1, which counts every class alike, and at the figures of the single classes.",
        )
    if few_tests := {name: facts["few_tested"] for name, facts in report["protocols"].items() if facts["few_tested"]}:
        told = " and ".join(f"{n} ({name} split)" for name, n in few_tests.items())
        yield issue(
            "notice",
            f"Of {many(classes['n'], 'class')}, {told} have fewer than {FEW_TESTED} test pictures.",
            "The share recognised of such a class moves by more than ten points with a single picture.",
            "Read the figure of a class beside its number of test pictures, and do not rank such classes.",
        )
    yield issue(
        "notice",
        "Nothing says which pictures belong to the same patient.",
        "Two different pictures of one patient can stand in training and in the test, under both splits.",
        "Read every score as an upper bound for new patients; test on patients who are in no other set.",
    )


def trainable(facts: dict[str, Any]) -> bool:
    return bool(facts["sizes"]["train"] and facts["sizes"]["test"])


def questions(quality: dict[str, Any]) -> list[Question]:
    """The comparison of the two protocols, row by row."""
    at_least = "" if quality["copies"]["complete"] else "≥ "
    splits = [quality["protocols"][protocol] for protocol in PROTOCOLS]
    sizes = tuple(" / ".join(str(n) for n in facts["sizes"].values()) for facts in splits)
    pairs = tuple(f"{at_least}{facts['cross_pairs']['n']}" for facts in splits)
    part = any(facts["pixels"] and facts["pixels"]["n"] < facts["sizes"]["test"] for facts in splits)
    sampled = f" (measured on {MAX_TESTED} of them)" if part else ""
    duplicate = [facts["near_duplicate_in_train"]["share"] for facts in splits]
    return [
        Question("pictures for training / validation / test", sizes, (None, None)),
        Question("test pictures with a near copy in training", texts(duplicate, at_least), tuple(duplicate)),
        asked("test pictures of a series or group also in training", [f["group_in_train"] for f in splits], "share"),
        Question("pairs of near copies on two splits of the split", pairs, (None, None)),
        asked(f"right class by comparing raw pixels only{sampled}", [f["pixels"] for f in splits]),
        asked("… macro-F1 of this", [f["pixels"] for f in splits], "macro_f1"),
        asked(
            "… on test pictures without a near copy in training", [f["pixels_without_near_duplicate"] for f in splits]
        ),
        asked("right class by size and format of the file only", [f["file_facts"] for f in splits]),
        asked("right class by always guessing the largest class", [f["largest_class"] for f in splits]),
    ]


def asked(question: str, facts: list[dict[str, Any] | None], name: str = "accuracy") -> Question:
    shares = [one[name] if one else None for one in facts]
    if name == "macro_f1":
        return Question(question, tuple("–" if value is None else f"{value:.2f}" for value in shares), tuple(shares))
    return Question(question, texts(shares), tuple(shares))


def texts(shares: list[float | None], prefix: str = "") -> tuple[str, ...]:
    return tuple("–" if value is None else prefix + percent(value) for value in shares)


def quality_table(quality: dict[str, Any]) -> pd.DataFrame:
    """Columns question, random, grouped; texts only."""
    return pd.DataFrame(
        [(row.question, *row.texts) for row in questions(quality)], columns=["question", *PROTOCOLS], dtype=object
    )


def describe_quality(quality: dict[str, Any], most: int = 8) -> str:
    """What a terminal shows, at most 11 lines: how many issues, and what they claim."""
    pressing = [found for found in quality["issues"] if found["level"] != "good"]
    n_serious = sum(found["level"] == "serious" for found in pressing)
    lines = [f"quality report: {n_serious} serious, {len(pressing) - n_serious} to note"]
    lines += [f"  {LEVELS[found['level']].lower():<7}  {visible(found['claim'])}" for found in pressing[:most]]
    if len(pressing) > most:
        lines.append(f"  … and {len(pressing) - most} more, all in the quality report")
    return "\n".join(lines)


def quality_markdown(quality: dict[str, Any]) -> str:
    """Findings and the comparison of the protocols, names escaped."""
    told = [
        f"- **{LEVELS[found['level']]}.** {escaped(found['issue'])} *{escaped(found['advice'])}*"
        for found in quality["issues"]
    ]
    table = ["| Question | " + " | ".join(PROTOCOLS) + " |", "| --- |" + " ---: |" * len(PROTOCOLS)]
    table += [
        "| " + " | ".join(escaped(cell) for cell in (row.question, *row.texts)) + " |" for row in questions(quality)
    ]
    note = "Near duplicate: the same bytes, or a correlation of at least "
    note += f"{NEAR_DUPLICATE_CORRELATION} between small grey versions."
    return "\n".join(["## Trust report", "", *told, "", *table, "", note, ""])


def visible(text: str) -> str:
    """Control characters, line ends and direction marks as escapes, so that a name can neither hide nor act."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def escaped(text: str) -> str:
    """Text that Markdown shows as it stands: no markup, no HTML, no link."""
    plain = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~@$]|(?<=www)\.|:(?=//))", r"\\\1", plain)


def percent(value: float) -> str:
    """Whole percent; what is not quite nothing or not quite all does not look as if it were."""
    if 0 < value < 0.005:
        return "<1 %"
    if 0.995 <= value < 1:
        return ">99 %"
    return f"{100 * value:.0f} %"


def many(n: int, thing: str, one: str = "", several: str = "") -> str:
    """``1 class has``, ``2 classes have``: a number, its noun (of which the first word is bent) and its verb."""
    noun, _, rest = thing.partition(" ")
    plural = noun + ("es" if noun.endswith("s") else "s")
    return " ".join(filter(None, [str(n), noun if n == 1 else plural, rest, one if n == 1 else several]))


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
