"""The report page through the stages: when it is written, what it holds of the data, and what is refused."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mri_model import api, steps
from mri_model.cli.main import app
from mri_model.errors import MriError, UsageError
from mri_model.files import safe_name
from mri_model.settings import Settings
from tests.conftest import QUICK

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]


@pytest.fixture(scope="module")
def evaluated(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home with two models, the first one evaluated; its data may be spoiled last of all."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MRI_DATABASE_URL", "MRI_WEIGHTS"):
            patch.delenv(name, raising=False)
        folder = tmp_path_factory.mktemp("page")
        patch.setenv("MRI_HOME", str(folder / "home"))
        settings = Settings()
        api.ingest(settings, Path(shutil.copytree(phantom, folder / "data")))
        first = api.train(settings, replace(QUICK, epochs=1)).models[0]
        api.evaluate(settings, first.id)
        api.train(settings, replace(QUICK, epochs=1, seed=1))
        yield settings


def model_ids(settings: Settings) -> list[str]:
    """The two models that are no folds."""
    with steps.open_store(settings) as store:
        return store.query("models").sort_values("created_at")["id"].tolist()[:2]


def test_an_evaluation_of_the_test_split_writes_the_page(evaluated: Settings) -> None:
    first, second = model_ids(evaluated)
    assert steps.report_page(evaluated, first).is_file()
    assert not steps.report_page(evaluated, second).exists()


def test_pictures_are_in_the_page_only_if_asked_for(evaluated: Settings) -> None:
    first, _ = model_ids(evaluated)
    page = api.report(evaluated, first).read_text(encoding="utf-8")
    assert "data:image" not in page and "<img" not in page and "Quality of the data" in page
    assert "The two splits compared" in page
    page = api.report(evaluated, first, with_images=True).read_text(encoding="utf-8")
    samples = page[page.index("<h3>Samples</h3>") : page.index("The two splits compared")]
    titles = re.findall(r"<figcaption><b>([^<]*)</b>", samples)
    assert titles == ["_NORMAL T1", "_NORMAL T2", "Astrocitoma T1", "Astrocitoma T1C+", "Astrocitoma T2"]
    assert page.count("regions that speak for") >= 10
    assert "This page contains images of the data" in page
    assert "Grad-CAM on the output of layer1, 8×8 cells: an earlier layer" in page


def test_an_evaluation_does_not_overwrite_the_page_with_images(evaluated: Settings) -> None:
    first, _ = model_ids(evaluated)
    with_images = api.report(evaluated, first, with_images=True)
    before = with_images.read_bytes()
    api.evaluate(evaluated, first)
    assert with_images.name == f"model-{first}-with-images.html" and with_images.read_bytes() == before
    assert b"data:image" not in steps.report_page(evaluated, first).read_bytes()


def test_a_cross_validation_writes_its_page_and_report_writes_it_again(evaluated: Settings) -> None:
    result = api.train(evaluated, replace(QUICK, epochs=1), folds=3)
    assert result.page and result.page.name == f"sweep-{result.sweep_id}.html"
    page = result.page.read_text(encoding="utf-8")
    assert "Grouped cross-validation with 3 models: each image is tested once" in page
    assert "data:image" not in page and "The two splits compared" in page
    result.page.unlink()
    shown = CliRunner().invoke(app, ["report", str(result.sweep_id)[:12]])
    assert shown.stdout == f"page  {result.page}\n" and result.page.read_text(encoding="utf-8") == page
    pictured = api.report(evaluated, str(result.sweep_id), with_images=True)
    assert pictured.name == f"sweep-{result.sweep_id}-with-images.html"
    assert "<h3>Samples</h3>" in pictured.read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="no page that compares it"):
        api.report(evaluated, result.models[0].id, str(result.sweep_id))


def test_a_sweep_without_a_pooled_evaluation_says_why(evaluated: Settings) -> None:
    with steps.open_store(evaluated) as store:
        for name in ("seeds-ffff", "folds-ffff", "folds-eeee"):
            store.record_sweep({"id": name, "kind": name[:5]}, [model_ids(evaluated)[0]])
    for name, problem in (("seeds", "a sweep of seeds"), ("folds-f", "no pooled eval"), ("folds", "sweeps match")):
        with pytest.raises(MriError, match=problem):
            api.report(evaluated, name)


def test_a_model_without_an_evaluation_says_what_to_run(evaluated: Settings) -> None:
    first, second = model_ids(evaluated)
    for names in ((second, ""), (first, second)):
        with pytest.raises(MriError, match="has no test evaluation") as caught:
            api.report(evaluated, *names)
        assert caught.value.hint == f"run: mri evaluate --model {second}"


def test_what_a_comparison_cannot_be_is_refused(evaluated: Settings) -> None:
    first, second = model_ids(evaluated)
    with pytest.raises(UsageError, match="no pictures"):
        api.report(evaluated, first, second, with_images=True)
    with pytest.raises(UsageError, match="both are the same model"):
        api.report(evaluated, first, first)


def test_the_commands_print_the_path_of_the_page(evaluated: Settings) -> None:
    first, second = model_ids(evaluated)
    shown = CliRunner().invoke(app, ["report", first])
    assert shown.stdout == f"page  {steps.report_page(evaluated, first)}\n"
    found = CliRunner().invoke(app, ["evaluate", "--model", second, "--json"])
    assert json.loads(found.stdout)["page"] == str(steps.report_page(evaluated, second))
    assert steps.report_page(evaluated, second).is_file()
    found = CliRunner().invoke(app, ["evaluate", "--model", second, "--split", "val", "--json"])
    assert json.loads(found.stdout)["page"] is None
    found = CliRunner().invoke(app, ["report", first, "--compare", second, "--json"])
    page = Path(json.loads(found.stdout)["page"])
    assert page.name == f"compare-{first}-{second}.html" and "Two models side by side" in page.read_text(
        encoding="utf-8"
    )


def test_the_page_is_written_without_the_manifest_and_the_files_too(evaluated: Settings) -> None:
    first, _ = model_ids(evaluated)
    (manifest,) = (file.parent for file in evaluated.manifests.glob("*/manifest.parquet"))
    data = json.loads((manifest / "source.json").read_text())["root"]
    shutil.rmtree(data)
    page = api.report(evaluated, first, with_images=True).read_text(encoding="utf-8")
    assert "Not shown, because the file is gone or has changed" in page
    shutil.rmtree(manifest)
    (evaluated.models / first / "history.csv").unlink()
    page = api.report(evaluated, first, with_images=True).read_text(encoding="utf-8")
    assert "The quality report of this data set is not here" in page and "<img" not in page
    assert "has no history.csv" in page


def test_a_name_cannot_leave_the_folder_of_the_reports() -> None:
    assert safe_name("../../etc/passwd") == "_.._etc_passwd"
    assert safe_name("resnet18-64px") == "resnet18-64px"
    assert safe_name("…") == "_" and safe_name("") == "_" and len(safe_name("a" * 999)) == 100
