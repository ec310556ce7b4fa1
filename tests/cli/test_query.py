"""``mri query`` and ``mri export`` as a person or a script meets them."""

import json
from pathlib import Path

import pandas as pd
import pytest

from mri_model.cli.query import print_notes, read_words, screen_table
from mri_model.errors import UsageError
from mri_model.results.store import Store
from mri_model.results.subjects import Answer
from mri_model.settings import Settings
from tests.cli.test_main import answer, mri
from tests.results import result_samples as samples


@pytest.fixture
def recorded(settings: Settings) -> Settings:
    with Store.open(settings.results_url) as store:
        samples.record_model(store, id="resnet18-one")
        samples.record_evaluation(store, model_id="resnet18-one")
    return settings


@pytest.mark.parametrize(
    "words",
    [
        ["compare", "--model", "a b", "--other=c"],
        ["--model", "a b", "compare", "--other=c"],
        ["--other=c", "--model=a b", "compare"],
    ],
)
def test_parameters_stand_before_or_after_the_name(words: list[str]) -> None:
    assert read_words(words) == ("compare", {"model": "a b", "other": "c"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "--model"], "--model needs a value"),
        (["compare", "--model="], "--model needs a value"),
        (["compare", "--model", "a", "--model=b"], "--model is given twice"),
        (["compare", "models"], "'models' is one word too many"),
    ],
)
def test_words_that_make_no_sense_are_wrong_usage(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_words(words)


def test_a_value_may_hold_an_equals_sign_or_start_with_a_dash() -> None:
    assert read_words(["p", "--path=a=b", "--label", "-x"]) == ("p", {"path": "a=b", "label": "-x"})


@pytest.mark.usefixtures("recorded")
@pytest.mark.slow
def test_a_question_with_parameters_in_every_output() -> None:
    rows = answer(mri("query", "worst-classes", "--model", "resnet18-o", "--json"))["rows"]
    assert [row["label"] for row in rows][:2] == ["Granuloma T1", "Granuloma T2"]
    as_csv = mri("query", "--csv", "--model=resnet18", "worst-classes")
    assert as_csv.stdout.splitlines()[0].startswith("label,f1,")
    as_table = mri("query", "worst-classes")
    assert "Granuloma T1" in as_table.stdout and max(map(len, as_table.stdout.splitlines())) <= 100


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["worst-classes", "--days", "3"], 2, "its parameters: --model"),
        (["models", "--model", "x"], 2, "its parameters: none"),
        (["scored-mix", "--days", "soon"], 2, "--days soon is not a number of days"),
        (["worst-classes", "--model"], 2, "--model needs a value"),
        (["--model", "x"], 2, "--model needs a question"),
        (["nonsense"], 2, "there is no question 'nonsense'"),
        (["champion-on", "--day", "soon"], 2, "--day soon is not a day"),
        (["worst-classes", "--model", "nobody"], 1, "no model has an id that starts with 'nobody'"),
    ],
)
def test_a_wrong_parameter_is_a_line_why_and_a_line_what_to_do(arguments: list[str], code: int, words: str) -> None:
    done = mri("query", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.usefixtures("recorded")
@pytest.mark.slow
def test_what_an_answer_is_about_is_on_stderr_and_in_json() -> None:
    about = "about  model resnet18-one (candidate, random protocol), e1 (test split, 672 images), data set d1"
    for words in ([], ["--csv"]):
        assert mri("query", "worst-classes", *words).stderr.startswith(about)
    (facts,) = answer(mri("query", "worst-classes", "--json"))["about"]
    assert (facts["model"], facts["evaluation"], facts["dataset"]) == ("resnet18-one", "e1", "d1")


def test_what_a_long_answer_is_about_is_wrapped_to_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"model": "resnet18-" + 60 * "m", "stage": "champion", "protocol": "grouped", "dataset": 16 * "d"}
    print_notes(Answer(pd.DataFrame(), [facts], ""))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 1 and max(map(len, lines)) <= 100
    assert all(line.startswith(" " * 7) for line in lines[1:])
    assert "\\n" not in "".join(lines)


@pytest.mark.usefixtures("recorded")
@pytest.mark.slow
def test_an_answer_without_rows_says_why_and_is_no_error() -> None:
    reason = "nothing is scored yet; run: mri score FOLDER"
    printed = mri("query", "predictions")
    assert (printed.returncode, printed.stdout, printed.stderr) == (0, "(no rows)\n", f"no rows: {reason}\n")
    as_json = answer(mri("query", "predictions", "--json"))
    assert (as_json["reason"], as_json["total"], as_json["rows"]) == (reason, 0, [])
    assert "reason" not in answer(mri("query", "models", "--json"))


@pytest.mark.usefixtures("recorded")
@pytest.mark.slow
def test_a_limit_applies_to_every_output() -> None:
    assert mri("query", "classes", "--limit", "2").stdout.splitlines()[3:] == [
        "",
        "2 of 44 rows; all of them: --limit 0, --csv or --json",
    ]
    assert len(mri("query", "classes", "--csv", "--limit=2").stdout.splitlines()) == 3
    limited = answer(mri("query", "classes", "--json", "--limit", "2"))
    assert (limited["total"], len(limited["rows"])) == (44, 2)
    assert mri("query", "classes", "--limit", "-1").returncode == 2


@pytest.mark.parametrize(
    ("limit", "columns", "shown", "last"),
    [
        (None, 3, 50, "50 of 60 rows; all of them: --limit 0, --csv or --json"),
        (0, 3, 60, "row 59"),
        (None, 40, 10, "10 of 60 rows; all of them: --limit 0, --csv or --json"),
    ],
)
def test_the_screen_shows_the_first_rows_and_says_how_many_there_are(
    limit: int | None, columns: int, shown: int, last: str
) -> None:
    rows = pd.DataFrame({f"column {n}": [f"row {row}" for row in range(60)] for n in range(columns)})
    text = screen_table(rows, limit)
    assert text.splitlines()[-1].startswith(last)
    assert f"row {shown - 1}" in text and f"row {shown} " not in text


@pytest.mark.slow
def test_questions_are_listed_with_their_parameters_and_explained_one_by_one() -> None:
    listed = mri("query")
    assert "[--model] [--other]" in listed.stdout
    assert max(map(len, listed.stdout.splitlines())) <= 100
    explained = mri("query", "compare", "--help")
    assert "--other     a model id or the start of one; default: " in explained.stdout
    facts = answer(mri("query", "--json"))["scored-mix"]
    assert facts["question"].endswith("?") and facts["parameters"]["days"].endswith("default: 7")
    assert "--csv" in mri("query", "--help").stdout


@pytest.mark.slow
def test_export_writes_a_folder_of_tables_once(recorded: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    exported = answer(mri("export", folder, "--json"))
    assert exported["folder"] == str(folder) and exported["tables"]["class_metric"] == 44
    assert len(list(folder.glob("*.parquet"))) == len(exported["tables"])
    refused = mri("export", folder)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "is not an empty folder" in refused.stderr and len(refused.stderr.splitlines()) == 2
    printed = mri("export", tmp_path / "second")
    assert printed.stdout.splitlines()[-1] == str(tmp_path / "second")
    assert json.dumps(exported)
