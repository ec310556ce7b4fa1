"""The command line as a person or a script meets it: a real process, its two streams and its exit code."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mri_model.cli.output import print_result, records
from mri_model.data.profile import SHIPPED
from mri_model.settings import Settings
from tests.conftest import fail_with_json

QUICK = ["--image-size", "32", "--epochs", "1", "--batch-size", "32", "--weights", "none"]


def mri(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mri_model.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=240)


def answer(done: subprocess.CompletedProcess[str]) -> dict:
    """The one JSON object on stdout of a command that succeeded in silence."""
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.usefixtures("settings")
def test_the_stages_one_after_the_other_in_json(phantom: Path) -> None:
    ingested = answer(mri("ingest", phantom, "--profile", "auto", "--json"))
    assert (ingested["n_ok"], ingested["n_classes"]) == (176, 44)
    trained = answer(mri("train", *QUICK, "--json"))
    assert trained["weights"] == "none"
    evaluated = answer(mri("evaluate", "--json"))
    assert len(evaluated["classes"]) == 44
    assert evaluated["model"] == trained["model"]
    scored = answer(mri("score", phantom, "--json"))
    assert scored["n_scored"] + scored["n_abstained"] == 176
    assert Path(scored["parquet"]).is_file()
    rows = answer(mri("query", "report-table-1", "--json"))["rows"]
    assert {row["contrast"] for row in rows} == {"T1", "T1C+", "T2"}


@pytest.mark.slow
def test_people_read_progress_on_stderr_and_results_on_stdout(settings: Settings, phantom: Path) -> None:
    done = mri("ingest", phantom)
    assert done.returncode == 0
    assert "read: 176/176" in done.stderr
    assert "176 files: 176 accepted in 44 classes, 0 rejected" in done.stdout
    assert str(settings.manifests) in done.stdout
    assert "Warning" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_sample_draws_series_of_patients(tmp_path: Path) -> None:
    drawn = answer(mri("sample", tmp_path / "nifti", "--format", "nifti", "--per-class", "1", "--json"))
    assert drawn == {"folder": str(tmp_path / "nifti"), "n_files": 14}
    assert len(list(tmp_path.rglob("sub-*/*.nii*"))) == 14
    shown = mri("sample", tmp_path / "dicom", "--format", "dicom", "--per-class", "1")
    assert shown.stdout == f"159 dicom files in {tmp_path / 'dicom'}\n"
    assert mri("sample", tmp_path / "other", "--format", "png").returncode == 2


def test_json_is_strict_and_keeps_every_digit(capsys: pytest.CaptureFixture[str]) -> None:
    moment = pd.Timestamp("2026-11-25 04:53:16.962666", tz="UTC")
    number = 0.0005165289256198347
    table = pd.DataFrame({"number": [number, math.nan], "at": [moment, pd.NaT], "n": [1, 2], "text": ["a", None]})
    print_result(True, {"loss": math.nan, "rows": records(table)}, "")
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert printed["loss"] is None
    first, second = printed["rows"]
    assert first == {"number": number, "at": moment.isoformat(), "n": 1, "text": "a"}
    assert second == {"number": None, "at": None, "n": 2, "text": None}


@pytest.mark.slow
@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_no_output_fails_on_the_encoding_of_the_terminal(own_phantom: Path, encoding: str) -> None:
    for number in range(12):
        (own_phantom / "Meningioma T1" / f"病人 {number}.jpeg").write_bytes(b"broken")
    done = mri("ingest", own_phantom, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert "12 rejected" in done.stdout
    assert "\\u75c5\\u4eba 0.jpeg" in done.stdout
    as_json = answer(mri("ingest", own_phantom, "--json", PYTHONIOENCODING=encoding, PYTHONUTF8="0"))
    assert "Meningioma T1/病人 0.jpeg" in as_json["rejected"]


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["ingest", "nowhere"], 1, "there is no folder nowhere"),
        (["train"], 1, "nothing has been ingested yet"),
        (["evaluate"], 1, "nothing has been trained yet"),
        (["score", str(Path(__file__).parent)], 1, "nothing has been trained yet"),
        (["score", "nowhere"], 1, "there is no folder nowhere"),
        (["query", "report-table-7"], 2, "did you mean report-table-6"),
        (["ingest", "nowhere", "--profile", "x"], 1, "there is no profile 'x'"),
        (["train", "--epochs", "none"], 2, "--epochs"),
        (["ingest", "nowhere", "--on-invalid", "shrug"], 2, "shrug"),
        (["reproduce", "nowhere", "--sizes", "big"], 2, "big"),
        (["train", "--image-size", "8"], 2, "greater than or equal to"),
        (["sample", "/dev/null/x"], 1, "cannot read or write"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_what_a_user_can_cause_is_a_line_why_a_line_what_to_do_and_a_code(
    arguments: list[str], code: int, words: str
) -> None:
    done = mri(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    if code == 1:
        assert len(done.stderr.splitlines()) == 2


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("words", "code", "error", "hint"),
    [
        (["evaluate"], 1, "nothing has been trained yet", "run: mri train, or name a model folder with --model"),
        (["query", "report-table-7"], 2, "there is no question 'report-table-7'", "did you mean report-table-6"),
        (["train", "--image-size", "8"], 2, "greater than or equal to", "see --help"),
        (["frobnicate"], 2, "frobnicate", "see --help"),
        (["sample", "/dev/null/x"], 1, "cannot read or write", "fix this and run the command again"),
    ],
)
def test_an_error_with_json_is_one_object_beside_the_lines_on_stderr(
    words: list[str],
    code: int,
    error: str,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found, facts, told = fail_with_json(words, monkeypatch, capsys)
    assert (found, sorted(facts)) == (code, ["error", "hint"])
    assert error in facts["error"] and facts["hint"].startswith(hint) and told


@pytest.mark.slow
def test_ctrl_c_says_how_to_continue(settings: Settings, phantom: Path) -> None:
    assert mri("ingest", phantom).returncode == 0
    command = [sys.executable, "-m", "mri_model.cli", "train", *QUICK, "--epochs", "500"]

    def accept_ctrl_c() -> None:  # a shell starts its background jobs, tests among them, with SIGINT ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=accept_ctrl_c) as process:
        assert process.stderr
        while "epoch 1:" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert "run the same command again to continue" in process.stderr.read()
    assert process.returncode == 130
    assert list(settings.models.glob("*/checkpoint.safetensors"))


@pytest.mark.slow
@pytest.mark.usefixtures("settings")
def test_refused_data_is_exit_code_3_and_quarantine_continues(phantom: Path, tmp_path: Path) -> None:
    refused = mri("ingest", phantom, "--profile", "brain-tumor-44c")
    assert refused.returncode == 3
    assert "exactly the published number" in refused.stderr
    nothing_left = mri("ingest", phantom, "--profile", "brain-tumor-44c", "--on-invalid", "quarantine")
    assert nothing_left.returncode == 3
    assert "every image breaks a rule" in nothing_left.stderr
    assert "Traceback" not in nothing_left.stderr

    shipped = (SHIPPED / "phantom.toml").read_text()
    profile = tmp_path / "more.toml"
    sizes = shipped.replace("[347, 630]", "[1, 630]").replace("[305, 630]", "[1, 630]")
    profile.write_text(sizes.replace('" = 3\n', '" = 99\n'))
    assert mri("ingest", phantom, "--profile", profile).returncode == 3
    going_on = mri("ingest", phantom, "--profile", profile, "--on-invalid", "quarantine")
    assert going_on.returncode == 0
    assert "176 accepted" in going_on.stdout


@pytest.mark.usefixtures("settings")
def test_a_database_that_is_not_there_is_one_line_without_its_password(phantom: Path) -> None:
    done = mri("ingest", phantom, MRI_DATABASE_URL="postgresql+psycopg://u:secret@127.0.0.1:9/none")
    assert done.returncode == 1
    assert "secret" not in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    probe = (
        "import sys, typer.testing; from mri_model.cli.main import app;"
        "assert typer.testing.CliRunner().invoke(app, ['--help']).exit_code == 0;"
        "print(sorted({'torch','prefect','great_expectations','pandas','sqlalchemy','cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_library_trains_without_prefect_great_expectations_and_sqlalchemy() -> None:
    probe = (
        "import sys; import mri_model.training.trainer, mri_model.evaluation.evaluate, mri_model.scoring.scorer;"
        "print(sorted({'prefect','great_expectations','sqlalchemy','pydantic','typer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.usefixtures("settings")
def test_a_learnt_and_saved_profile_is_enforced(own_phantom: Path, tmp_path: Path) -> None:
    done = mri("profile", own_phantom)
    assert done.returncode == 0
    assert 'name = "own"' in done.stdout
    file = tmp_path / "mine.toml"
    assert mri("profile", own_phantom, "--out", file).stdout.strip() == str(file)
    assert file.read_text(encoding="utf-8").rstrip() == done.stdout.rstrip()
    assert mri("ingest", own_phantom, "--profile", file).returncode == 0
    next(own_phantom.glob("Meningioma T2/*")).unlink()
    refused = mri("ingest", own_phantom, "--profile", file)
    assert refused.returncode == 3
    assert "Meningioma T2" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.usefixtures("settings")
def test_a_name_with_line_ends_and_control_characters_is_one_line_of_an_error(tmp_path: Path) -> None:
    done = mri("ingest", tmp_path / "no\n\x1b[31mred")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 2 and "\x1b" not in done.stderr


def test_a_closed_stdout_is_no_failure() -> None:
    done = subprocess.run(
        ["sh", "-c", '"$0" -m mri_model.cli recipe --json >&-', sys.executable], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
