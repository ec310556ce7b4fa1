"""The champion: what evaluation and scoring use, and how it changes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mri_model import api, steps
from mri_model.cli.main import app
from mri_model.errors import MriError, RefusedError
from mri_model.models.metadata import read_metadata
from mri_model.settings import Settings
from tests.conftest import QUICK

pytestmark = pytest.mark.slow


def train(settings: Settings, seed: int) -> str:
    return api.train(settings, replace(QUICK, epochs=1, seed=seed)).models[0].id


@pytest.fixture
def trained(settings: Settings, phantom: Path) -> tuple[Settings, str, str]:
    """Two models of one manifest."""
    api.ingest(settings, phantom)
    return settings, train(settings, 0), train(settings, 1)


def used(settings: Settings) -> str:
    return steps.choose_model(settings, "champion").name


def answer_all_right(settings: Settings, model_id: str) -> None:
    """Evaluate a model, and make its recorded answers perfect."""
    evaluation = api.evaluate(settings, model_id)
    with steps.open_store(settings) as store, store.writing() as connection:
        statement = "UPDATE evaluated_image SET predicted_label = true_label WHERE evaluation_id = '{}'"
        connection.exec_driver_sql(statement.format(evaluation.id))


def test_the_first_model_is_used_until_another_one_is_promoted(
    trained: tuple[Settings, str, str], phantom: Path
) -> None:
    settings, first, second = trained
    assert used(settings) == first
    assert api.evaluate(settings).model_id == first
    answer_all_right(settings, second)
    promotion = api.promote(settings, second, "perfect")
    assert (promotion.model_id, promotion.retired) == (second, first)
    assert promotion.verdict and promotion.verdict.objections == ()
    difference = promotion.verdict.difference
    assert difference and difference.n == 44 and difference.accuracy > 0.5
    assert used(settings) == second
    assert api.score(settings, phantom / "Papiloma T1").model_id == second


def test_a_worse_model_is_refused_with_numbers_and_nothing_changes(trained: tuple[Settings, str, str]) -> None:
    settings, first, second = trained
    answer_all_right(settings, first)
    with pytest.raises(RefusedError, match=r"accuracy is lower by 0\.\d+ .* on 44 images"):
        api.promote(settings, second)
    assert used(settings) == first
    assert len(api.query(settings, "history")) == 1


def test_a_forced_promotion_warns_and_keeps_the_objections(trained: tuple[Settings, str, str]) -> None:
    settings, first, second = trained
    answer_all_right(settings, first)
    home = {"MRI_HOME": str(settings.root)}
    done = CliRunner().invoke(app, ["promote", second, "--why", "we need it", "--force"], env=home)
    assert done.exit_code == 0 and used(settings) == second
    assert "warning: forced, although the gate objects:\n  its accuracy is lower by" in done.stderr
    history = api.query(settings, "history")
    assert history["forced"].astype(bool).tolist() == [False, True, False]
    assert history["stage"].tolist() == ["retired", "champion", "champion"]
    assert "its accuracy is lower by 0." in history["objections"][1] and history["why"][1] == "we need it"
    done = CliRunner().invoke(app, ["promote", first, "--force", "--json"], env=home)
    facts = json.loads(done.stdout)
    assert (facts["objections"], facts["recorded"], facts["n"]) == ([], True, 44)
    assert api.query(settings, "history")["forced"].astype(bool).tolist()[:2] == [False, False]


def test_promoting_the_champion_records_nothing(trained: tuple[Settings, str, str]) -> None:
    settings, first, _ = trained
    for more in ([], ["--force"]):
        done = CliRunner().invoke(app, ["promote", first, *more], env={"MRI_HOME": str(settings.root)})
        assert (done.exit_code, done.stdout) == (0, f"model {first} is the champion already: nothing was recorded\n")
    assert len(api.query(settings, "history")) == 1


def test_a_comparison_that_cannot_be_made_is_an_objection(trained: tuple[Settings, str, str]) -> None:
    settings, first, second = trained
    shutil.rmtree(settings.manifests)
    with pytest.raises(RefusedError, match=f"it cannot be compared with the champion {first}: 0 manifests match"):
        api.promote(settings, second)
    promotion = api.promote(settings, second, force=True)
    assert promotion.retired == first and used(settings) == second
    assert "cannot be compared" in api.query(settings, "history")["objections"][1]


def test_a_model_of_another_manifest_is_compared_on_images_that_the_champion_has_not_seen(
    trained: tuple[Settings, str, str], phantom: Path
) -> None:
    settings, first, _ = trained
    api.ingest(settings, phantom, seed=1)
    other = train(settings, 0)
    with pytest.raises(RefusedError, match=r"both have \d+ test images in common; 30 are needed"):
        api.promote(settings, other)
    assert used(settings) == first


def test_folds_do_not_become_the_champion(settings: Settings, phantom: Path) -> None:
    api.ingest(settings, phantom)
    recipe = replace(QUICK, epochs=1, protocol="grouped", folds=3, fold=1)
    fold = api.train(settings, recipe).models[0].id
    with pytest.raises(MriError, match="no model is the champion yet") as caught:
        api.evaluate(settings)
    assert "mri promote" in caught.value.hint
    with pytest.raises(RefusedError, match=r"it is fold 1 of 3 of a cross-validation, trained on \d+ of \d+ images"):
        api.promote(settings, fold)
    shutil.rmtree(settings.manifests)
    api.promote(settings, fold, force=True)
    assert used(settings) == fold
    assert api.query(settings, "history")["objections"].tolist() == [
        "it is fold 1 of 3 of a cross-validation, trained on a part of the images"
    ]
    assert api.query(settings, "models")["protocol"].tolist() == ["fold 1/3"]


def test_without_a_model_or_its_folder_it_is_said_what_to_do(trained: tuple[Settings, str, str]) -> None:
    settings, first, second = trained
    for file in (settings.models / first).iterdir():
        file.unlink()
    with pytest.raises(MriError, match="the folder of the champion is gone"):
        api.evaluate(settings)
    api.promote(settings, second, "the other one is lost", force=True)
    assert used(settings) == second
    assert read_metadata(settings.models / second).id == second


def test_training_again_says_whether_the_model_is_in_use(settings: Settings, phantom: Path) -> None:
    lines: list[str] = []
    api.ingest(settings, phantom)
    run = api.StepRunner(log=lines.append)
    for seed in (0, 1, 0):
        api.train(settings, replace(QUICK, epochs=1, seed=seed), run=run)
    told = [line for line in lines if line.startswith("model ")]
    assert ["champion now" in told[0], "is a candidate" in told[1], "is the champion" in told[2]] == [True] * 3


def test_a_deleted_model_is_gone_with_its_files(trained: tuple[Settings, str, str], phantom: Path) -> None:
    settings, first, second = trained
    scored = api.score(settings, phantom / "Papiloma T1", second)
    page = settings.reports / f"model-{second}.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text("a page")
    shown = CliRunner().invoke(app, ["delete", second], env={"MRI_HOME": str(settings.root)})
    assert "nothing is deleted yet" in shown.stdout and str(page) in shown.stdout and page.exists()
    assert "history" not in shown.stdout
    done = CliRunner().invoke(app, ["delete", second, "--yes", "--json"], env={"MRI_HOME": str(settings.root)})
    assert done.exit_code == 0 and '"deleted": true' in done.stdout
    assert not any(path.exists() for path in (settings.models / second, page, scored.parquet))
    assert api.query(settings, "models")["id"].tolist() == [first]
    with pytest.raises(RefusedError, match="is the champion"):
        api.plan_deletion(settings, first)


def test_the_history_of_a_deleted_champion_is_kept(trained: tuple[Settings, str, str]) -> None:
    settings, first, second = trained
    api.promote(settings, second, force=True)
    home = {"MRI_HOME": str(settings.root)}
    shown = CliRunner().invoke(app, ["delete", first], env=home)
    assert "its history of 2 rows is kept" in shown.stdout
    assert CliRunner().invoke(app, ["delete", first, "--yes"], env=home).exit_code == 0
    on = api.query(settings, "champion-on")
    assert on[["model_id", "deleted"]].values.tolist() == [[first, 1], [second, 0]]
    assert api.train(settings, replace(QUICK, epochs=1, seed=0)).models[0].id == first
    assert dict(api.query(settings, "models")[["id", "stage"]].values.tolist())[first] == "candidate"
    assert used(settings) == second


def test_models_of_an_older_format_stop_nobody_and_can_be_deleted(trained: tuple[Settings, str, str]) -> None:
    settings, first, second = trained
    folder = settings.models / second
    metadata = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**metadata, "format": 1}))
    unrecorded = settings.models / "resnet18-older"
    shutil.copytree(folder, unrecorded)
    assert api.evaluate(settings, "best").model_id == first
    assert set(api.query(settings, "models")["id"]) == {first, second}
    with pytest.raises(MriError, match="is not a model folder of format") as caught:
        train(settings, 1)
    assert caught.value.hint == f"run: mri delete {second}, then train again"
    for name in (second, unrecorded.name):
        with pytest.raises(MriError, match="is not a model folder of format"):
            api.evaluate(settings, name)
        api.delete(settings, api.plan_deletion(settings, name))
    assert [each.name for each in settings.models.glob("[!.]*")] == [first]
    assert train(settings, 1) == second


def test_a_champion_of_an_older_format_can_be_replaced_and_deleted(trained: tuple[Settings, str, str]) -> None:
    settings, first, second = trained
    (settings.models / first / "model.json").write_text('{"format": 1}')
    with pytest.raises(MriError, match="is not a model folder of format"):
        api.evaluate(settings)
    with pytest.raises(RefusedError, match="cannot be compared"):
        api.promote(settings, second)
    api.promote(settings, second, force=True)
    api.delete(settings, api.plan_deletion(settings, first))
    assert api.evaluate(settings).model_id == second
