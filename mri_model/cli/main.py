"""The ``mri`` command: results on stdout, words for people on stderr, exit codes 0, 1, 2, 3."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mri_model.errors import MriError
from mri_model.progress import is_first_process

if TYPE_CHECKING:
    import pandas as pd

    from mri_model.settings import Settings
    from mri_model.training.recipe import Recipe

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Classify brain MRI images by tumor type and contrast: ingest, train, evaluate, score. Research use only.",
)

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Data = Annotated[Path, typer.Argument(help="Folder that holds one folder a class.")]
Profile = Annotated[
    str, typer.Option(help="What the data must look like: auto, a shipped profile, or a TOML file (see mri profile).")
]
OnInvalid = Annotated[str, typer.Option(help="What to do when a rule is broken: fail or quarantine.")]
Seed = Annotated[int, typer.Option(min=0, help="Decides splits, initial weights and shuffling.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Epochs = Annotated[int, typer.Option(min=1)]
LearningRate = Annotated[float, typer.Option()]
Momentum = Annotated[float, typer.Option()]
OwnEpochs = Annotated[int | None, typer.Option(min=1, help="Default: the recipe's.")]
OwnSize = Annotated[int | None, typer.Option(help="Pixels square. Default: the recipe's (report 100, modern 160).")]
OwnBatchSize = Annotated[
    int | None,
    typer.Option(min=0, help="0 has it found (modern), or takes the report's 50, 25, 15 at 100, 256, 630 pixels."),
]
OwnRate = Annotated[float | None, typer.Option(help="Default: the recipe's.")]
OwnMomentum = Annotated[float | None, typer.Option(help="Default: the recipe's.")]
OwnDecay = Annotated[float | None, typer.Option(help="Default: the recipe's.")]
OwnResize = Annotated[str | None, typer.Option(help="linear or area. Default: the recipe's.")]
Precision = Annotated[str | None, typer.Option(help="auto, fp32 or bf16. Default: the recipe's.")]
Deterministic = Annotated[bool, typer.Option("--deterministic", help="A GPU repeats to the bit, more slowly.")]
RecipeName = Annotated[str, typer.Option("--recipe", help="modern, or report: exactly the report's.")]
Folds = Annotated[int, typer.Option(min=0, help="Grouped cross-validation: train and test this many times.")]
Seeds = Annotated[int, typer.Option(min=1, help="Train and test with this many seeds, from --seed on.")]
Protocol = Annotated[str, typer.Option(help="random (the report's) or grouped (near copies kept on one split).")]
Weights = Annotated[str, typer.Option(help="imagenet, none, or a state dict's path. Default: MRI_WEIGHTS or imagenet.")]
ManifestName = Annotated[str, typer.Option("--manifest", help="latest, a digest, or a manifest folder.")]
ModelName = Annotated[str, typer.Option("--model", help="latest, a model id, or a model folder.")]


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(help="New or empty folder.")],
    per_class: Annotated[int, typer.Option(min=1, help="Images in each of the 44 classes.")] = 20,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Draw a phantom data set: 44 class folders of made-up images, no patient in them."""
    from mri_model.data.phantom import write_phantom
    from mri_model.progress import show_progress

    with show_progress(as_json) as progress:
        n_files = write_phantom(out, per_class, seed, progress=progress)
    answer(as_json, {"folder": str(out), "n_files": n_files}, f"{n_files} images in {out}")


@app.command()
def ingest(
    data: Data,
    profile: Profile = "auto",
    seed: Seed = 0,
    on_invalid: OnInvalid = "fail",
    as_json: Json = False,
) -> None:
    """Read and validate every file below DATA, group near copies, split 70/15/15, write the manifest."""
    from mri_model import api
    from mri_model.progress import show_progress
    from mri_model.report.text import describe_manifest, manifest_facts

    with show_progress(as_json) as progress:
        manifest = api.ingest(settings(), data, profile, seed, one_of(on_invalid, "fail", "quarantine"), progress)
    page = api.quality_page(settings(), manifest)
    answer(as_json, {**manifest_facts(manifest), "page": page}, describe_manifest(manifest, page))


@app.command()
def profile(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="Write it to this file instead of stdout.")] = None,
    as_json: Json = False,
) -> None:
    """Learn from DATA what it looks like: a profile to edit, for mri ingest --profile FILE."""
    from mri_model import api
    from mri_model.data.profile import profile_toml
    from mri_model.files import write_text
    from mri_model.progress import show_progress

    with show_progress(as_json) as progress:
        learnt = api.learn(settings(), data, progress)
    text = profile_toml(learnt)
    if out:
        write_text(out, text)
    facts = {"profile": learnt.name, "classes": learnt.classes, "contrasts": learnt.contrasts, "out": out, "toml": text}
    answer(as_json, facts, str(out) if out else text.rstrip("\n"))


@app.command()
def train(
    manifest: ManifestName = "latest",
    recipe: RecipeName = "modern",
    image_size: OwnSize = None,
    batch_size: OwnBatchSize = None,
    epochs: OwnEpochs = None,
    learning_rate: OwnRate = None,
    momentum: OwnMomentum = None,
    weight_decay: OwnDecay = None,
    resize: OwnResize = None,
    precision: Precision = None,
    deterministic: Deterministic = False,
    weights: Weights = "",
    protocol: Protocol = "random",
    folds: Folds = 0,
    seeds: Seeds = 1,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train ResNet-18 on a manifest by a recipe, or by one with changes. Run again, it goes on where it stopped."""
    from mri_model import api
    from mri_model.models.metadata import read_metadata
    from mri_model.progress import show_progress
    from mri_model.report.text import (
        ALREADY_TRAINED,
        describe_epoch,
        describe_evaluation,
        describe_model,
        describe_series,
    )

    if folds and seeds > 1:
        raise typer.BadParameter("folds with one seed, or seeds with one split: give --folds or --seeds")
    chosen = make_recipe(
        weights,
        recipe,
        image_size=image_size,
        batch_size=batch_size,
        epochs=epochs,
        learning_rate=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        resize=resize,
        precision=precision,
        deterministic=deterministic,
        protocol="grouped" if folds else protocol,
        seed=seed,
    )
    n_epochs = 0

    def on_epoch(row: dict[str, Any]) -> None:
        nonlocal n_epochs
        n_epochs += 1
        say(describe_epoch(row), as_json)

    if seeds > 1:
        recipes = [replace(chosen, seed=seed + number) for number in range(seeds)]
        with show_progress(as_json) as progress:
            sweep, evaluations = api.train_series(settings(), recipes, manifest, device, on_epoch, progress)
        overall = [evaluation.overall for evaluation in evaluations]
        facts = {"sweep": sweep, "seeds": [recipe.seed for recipe in recipes], "evaluations": overall}
        answer(as_json, facts, describe_series(sweep, overall))
        return
    if folds:
        with show_progress(as_json) as progress:
            sweep, evaluation = api.cross_validate(settings(), chosen, folds, manifest, device, on_epoch, progress)
        facts = {"sweep": sweep, **evaluation.overall, "classes": records(evaluation.classes)}
        answer(as_json, facts, describe_evaluation(sweep, evaluation))
        return
    with show_progress(as_json) as progress:
        folder = api.train(settings(), chosen, manifest, device, on_epoch=on_epoch, progress=progress)
    if not n_epochs:
        say(ALREADY_TRAINED, as_json)
    metadata = read_metadata(folder)
    facts = {
        "model": metadata["id"],
        "folder": str(folder),
        "weights": metadata["recipe"]["weights"],
        **metadata["metrics"],
    }
    answer(as_json, facts, describe_model(metadata, folder))


@app.command()
def evaluate(
    model: ModelName = "latest",
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    manifest: Annotated[str, typer.Option(help="Default: the manifest the model was trained on.")] = "",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Evaluate a model per class and per contrast, and write it to the results database."""
    from mri_model import api
    from mri_model.progress import show_progress
    from mri_model.report.text import describe_evaluation

    with show_progress(as_json) as progress:
        evaluation_id, evaluation = api.evaluate(
            settings(), model, one_of(split, "test", "val", "train"), manifest, device, progress
        )
    facts = {
        "evaluation": evaluation_id,
        **evaluation.overall,
        "classes": records(evaluation.classes),
        "contrasts": records(evaluation.contrasts),
    }
    answer(as_json, facts, describe_evaluation(evaluation_id, evaluation))


@app.command()
def score(
    folder: Annotated[Path, typer.Argument(help="Folder of images, of any aux_loss_weight.")],
    model: ModelName = "latest",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score every file below FOLDER: one row a file, in Parquet and in the results database."""
    from mri_model import api
    from mri_model.progress import show_progress
    from mri_model.report.text import describe_scored

    with show_progress(as_json) as progress:
        scored = api.score(settings(), folder, model, device, progress)
    facts = {"run": scored.run_id, "model": scored.model_id, "parquet": str(scored.parquet), **scored.counts}
    answer(as_json, facts, describe_scored(scored))


@app.command()
def reproduce(
    data: Data,
    sizes: Annotated[str, typer.Option(help="Image sizes to compare, in pixels.")] = "100,256,630",
    profile: Profile = "auto",
    on_invalid: OnInvalid = "fail",
    epochs: Epochs = 10,
    learning_rate: LearningRate = 0.01,
    momentum: Momentum = 0.0,
    weights: Weights = "",
    protocol: Protocol = "random",
    seed: Seed = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """The report's experiment: train at each size, evaluate the best on the test split, print the six tables."""
    from mri_model import api
    from mri_model.progress import show_progress
    from mri_model.report.text import describe_epoch, report_tables

    common: dict[str, Any] = {"epochs": epochs, "learning_rate": learning_rate, "momentum": momentum}
    common |= {"protocol": protocol, "seed": seed}
    recipes = [make_recipe(weights, "report", image_size=size, **common) for size in parse_sizes(sizes)]
    with show_progress(as_json) as progress:
        evaluation_id = api.reproduce(
            settings(),
            data,
            recipes,
            profile,
            seed,
            one_of(on_invalid, "fail", "quarantine"),
            device,
            on_epoch=lambda row: say(describe_epoch(row), as_json),
            progress=progress,
        )
    with api.open_store(settings()) as store:
        tables = {f"report-table-{number}": store.query(f"report-table-{number}") for number in range(1, 7)}
    facts = {"evaluation": evaluation_id, **{name: records(table) for name, table in tables.items()}}
    answer(as_json, facts, report_tables(tables))


@app.command()
def query(
    name: Annotated[str, typer.Argument(help="A question's name; without it, the questions are listed.")] = "",
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values on stdout.")] = False,
) -> None:
    """Ask the results database a named question: report-table-1 … report-table-6, worst-classes, …"""
    from mri_model.report.text import show_table
    from mri_model.results.store import Store

    with Store.open(settings().results_url) as store:
        if not name:
            questions = store.questions()
            answer(as_json, questions, "\n".join(f"{key:<18}{asks}" for key, asks in questions.items()))
            return
        table = store.query(name)
    if as_csv:
        print(table.to_csv(index=False), end="")
    else:
        answer(as_json, {"name": name, "rows": records(table)}, show_table(table))


@app.command()
def up(as_json: Json = False) -> None:
    """Start a local Prefect server and worker in the background and deploy the flows.

    Prints the line your shell needs: eval "$(mri up)".
    """
    from mri_model.local_prefect import server

    running = server.up(settings(), lambda line: say(line, as_json))
    facts = {"api_url": running.api_url, "ui_url": running.ui_url, "started": running.started}
    answer(as_json, facts, server.export_line(running))


@app.command()
def down(as_json: Json = False) -> None:
    """Stop what `mri up` started, and nothing else."""
    from mri_model.local_prefect import server

    stopped = server.down(settings(), lambda line: say(line, as_json))
    answer(as_json, {"stopped": stopped}, "" if stopped else "nothing was up")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check what the system needs: folders, database, weights, GPU, Prefect."""
    from mri_model.cli.doctor import examine

    issues = examine(settings())
    text = "\n".join(f"{'ok  ' if found.ok else 'FAIL'}  {found.what:<10}{found.says}" for found in issues)
    answer(as_json, {found.what: {"ok": found.ok, "says": found.says} for found in issues}, text)
    if not all(found.ok for found in issues):
        raise typer.Exit(1)


def settings() -> "Settings":
    from mri_model.settings import load_settings

    return load_settings()


def make_recipe(weights: str, name: str, **changes: Any) -> "Recipe":
    from mri_model.training import recipe

    return recipe.make_recipe(name, weights=weights or settings().weights, **changes)


def parse_sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers like 100,256,630") from None


def one_of(value: str, *allowed: str) -> str:
    if value not in allowed:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(allowed)}")
    return value


def records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    return json.loads(table.to_json(orient="records", date_format="iso"))


def say(line: str, quiet: bool = False) -> None:
    if not quiet and is_first_process():
        print(line, file=sys.stderr, flush=True)


def answer(as_json: bool, facts: dict[str, Any], text: str) -> None:
    if is_first_process():
        print(json.dumps(facts, ensure_ascii=False, default=str) if as_json else text)


def fail(error: MriError) -> NoReturn:
    print(f"mri: {error}", file=sys.stderr)
    if error.hint:
        print(f"     {error.hint}", file=sys.stderr)
    sys.exit(error.exit_code)


def main() -> None:
    """Entry point: what a user can cause ends in one line why and one line what to do."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        app()
    except MriError as error:
        fail(error)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Typer turns Ctrl-C into this
            print("mri: interrupted; run the same command again to go on", file=sys.stderr)
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        fail(MriError(f"cannot read or write{where}: {error.strerror or error}", "mend that, then run again"))


if __name__ == "__main__":
    main()
