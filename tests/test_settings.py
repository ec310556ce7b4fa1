"""Settings: every value of every variable is used, or refused in two lines."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from mri_model.errors import MriError
from mri_model.settings import Settings, load_settings

VARIABLES = (
    *("MRI_HOME", "MRI_DATABASE_URL", "MRI_WEIGHTS", "MRI_CHECKPOINT_SECONDS", "MRI_DATABASE_SECONDS"),
    *("MRI_INCOMING", "MRI_SETTLE_SECONDS"),
)


@pytest.fixture(autouse=True)
def empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder that this process may not write; root gives up its rights meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


def refusal(**environment: str | bytes) -> MriError:
    """The error of ``load_settings`` with these variables set; its two parts are one line each."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setitem(os.environb, name.encode(), value if isinstance(value, bytes) else value.encode())
        with pytest.raises(MriError) as caught:
            load_settings()
    assert len(str(caught.value).splitlines()) == len(caught.value.hint.splitlines()) == 1
    return caught.value


def test_the_defaults(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.root == tmp_path.resolve() / "mri-home"
    assert (settings.weights, settings.checkpoint_seconds, settings.database_url) == ("imagenet", 60.0, "")
    assert (settings.incoming, settings.settle_seconds) == (None, 60.0)
    assert settings.results_url.database == str(settings.root / "results.db")


def test_incoming_folders_are_the_same_for_a_process_in_another_folder(tmp_path: Path) -> None:
    variables = Settings(incoming=Path("in"), settle_seconds=5).as_variables()
    assert (variables["MRI_INCOMING"], variables["MRI_SETTLE_SECONDS"]) == (str(tmp_path.resolve() / "in"), "5.0")
    assert Settings().as_variables()["MRI_INCOMING"] == ""


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_variable_counts_as_unset(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unset = load_settings()
    monkeypatch.setenv(name, "")
    assert load_settings() == unset


def test_values_are_read_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRI_HOME", "elsewhere/new")
    monkeypatch.setenv("MRI_CHECKPOINT_SECONDS", "0")
    monkeypatch.setenv("MRI_WEIGHTS", "none")
    monkeypatch.setenv("MRI_DATABASE", "a variable that is not ours")
    settings = load_settings()
    assert settings.root == tmp_path.resolve() / "elsewhere" / "new"
    assert not settings.root.exists()
    assert (settings.weights, settings.checkpoint_seconds) == ("none", 0.0)


@pytest.mark.parametrize("value", ["60s", "-1", "nan", "inf", "-inf", "1e999", "one", " ", "0x10", "1,5"])
def test_unusable_checkpoint_seconds_are_refused(value: str) -> None:
    error = refusal(MRI_CHECKPOINT_SECONDS=value)
    assert str(error) == f"MRI_CHECKPOINT_SECONDS is {value!r}, but it must be a number of seconds, 0 or more"
    assert error.hint == "set MRI_CHECKPOINT_SECONDS to another value, or unset it to use the default"


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "it must be a folder: it is a file" in str(refusal(MRI_HOME="file"))
    assert f"it must be a folder: {tmp_path / 'file'} is a file" in str(refusal(MRI_HOME="file/below/it"))
    (tmp_path / "mri-home").touch()
    assert "MRI_HOME is 'mri-home', but" in str(refusal())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("x" * 300, "File name too long"),
        ("~no-such-user/home", "Could not determine home directory"),
        ("loop/home", "Symlink loop"),
        (b"home-\xff", "not UTF-8"),
        (b"home-\xed\xa0\x80", "not UTF-8"),
    ],
)
def test_a_home_that_cannot_be_made_is_refused(value: str | bytes, reason: str) -> None:
    Path("loop").symlink_to("loop")
    assert reason in str(refusal(MRI_HOME=value))


def test_a_home_that_may_not_be_written_is_refused_if_it_has_to_be_made(
    read_only_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRI_HOME", str(read_only_folder))
    assert load_settings().root == read_only_folder.resolve()  # reading what is there needs no writing
    assert "read-only" in str(refusal(MRI_HOME=str(read_only_folder / "new")))


def test_a_home_with_a_nul_is_refused() -> None:
    """No environment can hold one; a caller of the library can."""
    with pytest.raises(ValueError, match="embedded null byte"):
        Settings(home=Path("a\0b"))


@pytest.mark.parametrize("name", ["MRI_DATABASE_URL", "MRI_WEIGHTS"])
def test_a_value_that_is_not_utf8_is_refused(name: str) -> None:
    assert name in str(refusal(**{name: b"\xff"}))


def test_all_unusable_variables_are_named_at_once_and_no_password_is_shown() -> None:
    error = refusal(
        MRI_CHECKPOINT_SECONDS="soon",
        MRI_DATABASE_SECONDS="-1",
        MRI_SETTLE_SECONDS="inf",
        MRI_INCOMING=b"\xff",
        MRI_HOME=b"\xff",
        MRI_DATABASE_URL=b"postgresql://u:secret\xff@h/d",
    )
    assert all(name in str(error) and name in error.hint for name in VARIABLES if name != "MRI_WEIGHTS")
    assert "secret" not in str(error)


@given(
    value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), name=st.sampled_from(VARIABLES)
)
@hypothesis_settings(deadline=None, max_examples=200)
def test_any_text_is_used_or_refused_in_two_lines(name: str, value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        try:
            _ = load_settings().results_url
        except MriError as error:
            assert len(str(error).splitlines()) == len(error.hint.splitlines()) == 1
            assert len(str(error)) < 1000


@pytest.mark.parametrize("command", ["query", "evaluate", "doctor", "down"])
def test_the_command_line_shows_two_lines(command: str) -> None:
    arguments = [sys.executable, "-m", "mri_model.cli", command]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "MRI_CHECKPOINT_SECONDS": "60s"}
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "mri: MRI_CHECKPOINT_SECONDS is '60s', but it must be a number of seconds, 0 or more",
        "     set MRI_CHECKPOINT_SECONDS to another value, or unset it to use the default",
    ]


def database_file(settings: Settings) -> str:
    """The file that SQLite itself says it has opened."""
    engine = create_engine(settings.results_url)
    with engine.connect() as connection:
        file = connection.exec_driver_sql("PRAGMA database_list").fetchone()
    engine.dispose()
    assert file
    return str(file[2])


def test_two_homes_that_differ_after_a_question_mark_have_two_databases(tmp_path: Path) -> None:
    for name in ("up?x", "up?other"):
        home = tmp_path / name / "home"
        home.mkdir(parents=True)
        assert database_file(Settings(home=home)) == str(home.resolve() / "results.db")
    assert not (tmp_path / "up").exists()


folder_name = st.text(
    st.sampled_from("?#%@:&=+;~$ '\"\\[]{}aé語\n") | st.characters(exclude_characters="/\0", exclude_categories=["Cs"]),
    min_size=1,
    max_size=30,
).filter(lambda name: name not in (".", "..") and not name.startswith("~"))


@given(name=folder_name)
@example("a?b=c&d")
@example("%3F")
@example("user:pass@host")
@example("file:x?uri=true")
@example(":memory:")
@hypothesis_settings(deadline=None, max_examples=60)
def test_the_database_is_in_the_home_whatever_its_name(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / name
        home.mkdir()
        assert database_file(Settings(home=home)) == str(home.resolve() / "results.db")


@given(name=folder_name)
@hypothesis_settings(deadline=None, max_examples=60)
def test_a_relative_database_is_made_absolute_whatever_the_name_of_the_current_folder(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        here = Path(folder) / name
        here.mkdir()
        patch.chdir(here)
        assert Settings(database_url="sqlite:///some.db").results_url.database == str(here.resolve() / "some.db")
        patch.chdir("/")


@pytest.mark.parametrize(
    "url", ["sqlite:///:memory:", "sqlite://", "postgresql://host/name", "sqlite:///file:x?uri=true"]
)
def test_other_databases_stay_as_they_are(url: str) -> None:
    assert str(Settings(database_url=url).results_url) == url


@pytest.mark.parametrize("url", ["nonsense", "://", "sqlite:////tmp/up?x/home/results.db", "postgresql://h:secret/d"])
def test_a_database_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(MriError) as caught:
        _ = Settings(database_url=url).results_url
    assert caught.value.hint
    assert "secret" not in str(caught.value)


def same_settings_elsewhere(settings: Settings, folder: Path) -> Settings:
    """What a process in ``folder`` reads from the variables that these settings export."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.as_variables().items():
            patch.setenv(name, value)
        patch.chdir(folder)
        return load_settings()


@pytest.mark.parametrize("url", ["", "sqlite:///some%20 #.db", "postgresql://u:p%40ss%2F@host/name?sslmode=require"])
def test_a_process_in_another_folder_gets_the_same_settings(url: str, tmp_path: Path) -> None:
    (tmp_path / "my.pth").touch()
    settings = Settings(home=Path("a?b/home"), database_url=url, weights="my.pth", checkpoint_seconds=1.5)
    other = same_settings_elsewhere(settings, Path("/"))
    assert (other.root, other.results_url) == (settings.root, settings.results_url)
    assert (other.weights, other.checkpoint_seconds) == (str(tmp_path.resolve() / "my.pth"), 1.5)


@pytest.mark.parametrize("folder", ["a?b", "a?b=c"])
def test_a_path_that_a_url_cannot_hold_is_refused(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / folder)
    with pytest.raises(MriError, match="it has a '\\?'") as caught:
        Settings(database_url="sqlite:///some.db").as_variables()
    assert caught.value.hint
