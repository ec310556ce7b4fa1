"""The quality report as text: for the terminal, and for Prefect's artifacts."""

import pandas as pd

from mri_model.data.splits import PROTOCOLS
from mri_model.quality.check import LEVEL_NAMES
from mri_model.quality.leakage import GROUP, NEAR_DUPLICATE
from mri_model.quality.questions import list_questions
from mri_model.quality.report import QualityReport
from mri_model.quality.wording import escaped, visible


def describe_quality(report: QualityReport, most: int = 8) -> str:
    """The report for a terminal: how many issues there are, and the claims of the first ``most`` of them."""
    issues = [issue for issue in report.issues if issue.level != "good"]
    n_serious = sum(issue.level == "serious" for issue in issues)
    lines = [f"quality report: {n_serious} serious, {len(issues) - n_serious} to note"]
    lines += [f"  {LEVEL_NAMES[issue.level].lower():<7}  {visible(issue.claim)}" for issue in issues[:most]]
    if len(issues) > most:
        lines.append(f"  … and {len(issues) - most} more, all in the quality report")
    return "\n".join(lines)


def quality_table(report: QualityReport) -> pd.DataFrame:
    """The comparison of the protocols: columns question, random and grouped, all text."""
    rows = [(row.question, *row.texts) for row in list_questions(report)]
    return pd.DataFrame(rows, columns=["question", *PROTOCOLS], dtype=object)


def quality_markdown(report: QualityReport) -> str:
    """Issues and the comparison of the protocols as Markdown, names escaped."""
    issues = [
        f"- **{LEVEL_NAMES[issue.level]}.** {escaped(issue.text)} *{escaped(issue.advice)}*" for issue in report.issues
    ]
    header = ["| Question | " + " | ".join(PROTOCOLS) + " |", "| --- |" + " ---: |" * len(PROTOCOLS)]
    rows = [
        "| " + " | ".join(escaped(cell) for cell in (row.question, *row.texts)) + " |" for row in list_questions(report)
    ]
    return "\n".join(["## Data quality report", "", *issues, "", *header, *rows, "", f"{NEAR_DUPLICATE} {GROUP}", ""])
