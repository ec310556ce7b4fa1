"""The ``mri`` command. A stage is one call of ``api``; heavy libraries are imported where they are used."""

import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mri_model import options as choices
from mri_model.cli import models, query, watch
from mri_model.cli.options import (
    COMMON,
    ClassLevel,
    ClassMap,
    Data,
    Device,
    HashPaths,
    Json,
    Labels,
    ManifestName,
    ModelName,
    OnInvalid,
    Profile,
    RecipeName,
    Seed,
    Set,
    with_recipe_options,
)
from mri_model.cli.output import (
    fail,
    make_streams_safe,
    print_error,
    print_message,
    print_result,
    records,
    stage_runner,
)
from mri_model.errors import MriError, UsageError

if TYPE_CHECKING:
    from mri_model.settings import Settings
    from mri_model.training.sweep import TrainingResult

INTERRUPTED = 130
TERMINATED = 143

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Classify brain MRI images by tumor type and contrast: ingest, train, evaluate, score. Research use only.",
)


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(help="New or empty folder.")],
    sample_format: Annotated[
        choices.SampleFormat, typer.Option("--format", help="File format. dicom and nifti need the extra dicom.")
    ] = "images",
    per_class: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100_000,
            show_default="20 images, 5 patients",
            help="Images in each of the 44 classes; with dicom and nifti, patients per tumor type.",
        ),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Draw a phantom data set: class folders of generated images or series, without any patient's data."""
    from mri_model.data.samples import write_sample

    with stage_runner(as_json) as run:
        n_files = write_sample(out, sample_format, per_class, seed, run.progress)
    what = "images" if sample_format == "images" else f"{sample_format} files"
    print_result(as_json, {"folder": str(out), "n_files": n_files}, f"{n_files} {what} in {out}")


@app.command()
def ingest(
    data: Data,
    profile: Profile = "auto",
    seed: Seed = 0,
    on_invalid: OnInvalid = "fail",
    class_level: ClassLevel = 0,
    class_map: ClassMap = None,
    labels: Labels = None,
    hash_paths: HashPaths = False,
    as_json: Json = False,
) -> None:
    """Read and validate every file below DATA, group near duplicates, split 70/15/15, write the manifest."""
    from mri_model import api
    from mri_model.data.class_folders import parse_renamed
    from mri_model.report.text import describe_manifest, manifest_facts
    from mri_model.steps import quality_page

    renamed = parse_renamed(class_map or [])
    with stage_runner(as_json) as run:
        manifest = api.ingest(
            settings(), data, profile, seed, on_invalid, class_level, renamed, labels, hash_paths, run
        )
    page = quality_page(settings(), manifest)
    print_result(as_json, {**manifest_facts(manifest), "page": str(page)}, describe_manifest(manifest, page))


@app.command()
def profile(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="Write it to this file instead of stdout.")] = None,
    class_level: ClassLevel = 0,
    class_map: ClassMap = None,
    labels: Labels = None,
    as_json: Json = False,
) -> None:
    """Learn what DATA looks like: a profile to edit, for mri ingest --profile FILE."""
    from mri_model import api
    from mri_model.data.class_folders import parse_renamed
    from mri_model.data.profile import profile_toml
    from mri_model.files import write_text

    renamed = parse_renamed(class_map or [])
    with stage_runner(as_json) as run:
        learnt = api.learn_profile(settings(), data, class_level, renamed, labels, run)
    text = profile_toml(learnt)
    if out:
        write_text(out, text)
    facts = {"profile": learnt.name, "classes": learnt.classes, "contrasts": learnt.contrasts, "out": out, "toml": text}
    print_result(as_json, facts, str(out) if out else text.rstrip("\n"))


@app.command()
@with_recipe_options(COMMON)
def train(
    manifest: ManifestName = "latest",
    recipe: RecipeName = "modern",
    set_: Set = None,
    seeds: Annotated[int, typer.Option(min=1, max=choices.MAX_SEEDS, help=choices.HELP["seeds"])] = 1,
    folds: Annotated[
        int,
        typer.Option(min=0, max=choices.MAX_FOLDS, help=choices.HELP["folds"]),
    ] = 0,
    device: Device = "auto",
    as_json: Json = False,
    **changes: Any,
) -> None:
    """Train ResNet-18 on a manifest. Run it again to resume an interrupted training."""
    from mri_model import api
    from mri_model.report.text import describe_training

    chosen = api.make_recipe(settings(), recipe, **merge_changes(changes, set_))
    with stage_runner(as_json) as run:
        result = api.train(settings(), chosen, manifest, seeds, folds, device, run)
    print_result(as_json, training_facts(result), describe_training(result))


def training_facts(result: "TrainingResult") -> dict[str, Any]:
    """What ``mri train --json`` prints: a model, or a sweep."""
    if result.sweep_id is None:
        (model,), (folder,) = result.models, result.folders
        return {"model": model.id, "folder": str(folder), "weights": model.recipe["weights"], **asdict(model.metrics)}
    facts: dict[str, Any] = {
        "sweep": result.sweep_id,
        "models": [model.id for model in result.models],
        "evaluations": [{"evaluation": each.id, **asdict(each.overall)} for each in result.evaluations],
    }
    if result.pooled:
        facts["pooled"] = models.evaluation_facts(result.pooled, result.page)
    return facts


@app.command()
def recipe(
    name: Annotated[choices.RecipeName, typer.Argument(help=choices.HELP["recipe"])] = "modern",
    as_json: Json = False,
) -> None:
    """List every field of a recipe: its value, what it may be, and what it does. Set one with mri train --set."""
    from mri_model.training.recipe import OPTIONS, make_recipe

    values = {field: getattr(make_recipe(name), field) for field in OPTIONS}
    lines = [
        f"{field:<16} {shown(values[field]):<10} {option.allowed}\n{'':<28}{option.help}"
        for field, option in OPTIONS.items()
    ]
    text = "\n".join([f"{name}: {choices.RECIPE_HELP[name]}", *lines])
    print_result(as_json, {"recipe": name, **values}, text)


def shown(value: choices.Value) -> str:
    """A value as it is written after ``--set NAME=``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


app.command()(models.evaluate)
app.command()(models.reevaluate)
app.command()(models.models)
app.command()(models.promote)
app.command()(models.report)


@app.command()
def score(
    folder: Annotated[Path, typer.Argument(help=choices.HELP["folder"])],
    model: ModelName = choices.DEFAULT_MODEL,
    device: Device = "auto",
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help=choices.HELP["csv"])] = None,
    precision: Annotated[choices.Precision, typer.Option(help=choices.HELP["precision"])] = "auto",
    risk: Annotated[
        float | None, typer.Option(min=choices.MIN_RISK, max=choices.MAX_RISK, help=choices.HELP["risk"])
    ] = None,
    series: Annotated[bool, typer.Option("--series", help=choices.HELP["series"])] = False,
    hash_paths: HashPaths = False,
    as_json: Json = False,
) -> None:
    """Score every file below FOLDER: one row per file or slice, in Parquet and in the results database.

    Run it again after an interruption, or at the same time on another machine: it goes on with the same run.
    """
    from mri_model import api
    from mri_model.report.text import describe_scoring, describe_series, scoring_facts

    with stage_runner(as_json) as run:
        scored = api.score(settings(), folder, model, device, csv, precision, risk, run, hash_paths=hash_paths)
    facts = {**scoring_facts(scored), "series": records(scored.series)}
    if as_json:
        scored.require_scores(facts)  # the error is the one object, with the facts in it
    table = f"\n\n{describe_series(scored)}" if series else ""
    print_result(as_json, facts, describe_scoring(scored) + table)
    scored.require_scores()


app.command()(watch.watch)


@app.command()
@with_recipe_options(each for each in COMMON if each not in ("image_size", "seed"))
def reproduce(
    data: Data,
    sizes: Annotated[str, typer.Option(help=choices.HELP["sizes"])] = "100,256,630",
    profile: Profile = "auto",
    on_invalid: OnInvalid = "fail",
    seed: Seed = 0,
    set_: Set = None,
    device: Device = "auto",
    as_json: Json = False,
    **changes: Any,
) -> None:
    """The report's experiment: train at each size, evaluate the best on the test split, print the six tables."""
    from mri_model import api
    from mri_model.report.text import describe_report

    changes = merge_changes({**changes, "seed": seed}, set_)
    recipes = api.report_recipes(settings(), parse_sizes(sizes), **changes)
    with stage_runner(as_json) as run:
        tables = api.reproduce(settings(), data, recipes, profile, seed, on_invalid, device, run)
    print_result(as_json, {name: records(table) for name, table in tables.items()}, describe_report(tables))


app.command(context_settings=query.PARAMETERS_AS_OPTIONS)(query.query)
app.command()(query.export)


@app.command()
def delete(
    name: Annotated[str, typer.Argument(help="A model, sweep or scoring run: its id, or the start of one.")],
    yes: Annotated[bool, typer.Option("--yes", help="Delete. Without it, only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a model, a sweep with its models, or a scoring run for good: its rows in the database and its files."""
    from mri_model import api
    from mri_model.report.text import describe_deletion

    deletion = api.plan_deletion(settings(), name)
    if yes:
        api.delete(settings(), deletion)
    paths = {name: [str(path) for path in getattr(deletion, name)] for name in ("files", "outside")}
    facts = {**asdict(deletion), **paths, "deleted": yes}
    print_result(as_json, facts, describe_deletion(facts))


@app.command()
def up(as_json: Json = False) -> None:
    """Start a local Prefect server and worker in the background and deploy the flows.

    Prints the line your shell needs: eval "$(mri up)".
    """
    from mri_model.local_prefect import server

    running = server.up(settings(), lambda line: print_message(line, as_json))
    facts = {"api_url": running.api_url, "ui_url": running.ui_url, "started": running.started}
    print_result(as_json, facts, server.export_line(running))


@app.command()
def down(as_json: Json = False) -> None:
    """Stop what `mri up` started, and nothing else."""
    from mri_model.local_prefect import server

    stopped = server.down(settings(), lambda line: print_message(line, as_json))
    print_result(as_json, {"stopped": stopped}, "" if stopped else "nothing was up")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check what the system needs: folders, database, weights, GPU, Prefect."""
    from mri_model.cli.doctor import examine

    checks = examine(settings())
    text = "\n".join(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<10}{check.result}" for check in checks)
    print_result(as_json, {check.name: {"ok": check.ok, "result": check.result} for check in checks}, text)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def settings() -> "Settings":
    from mri_model.settings import load_settings

    return load_settings()


def merge_changes(options: dict[str, Any], assignments: list[str] | None) -> dict[str, Any]:
    """Recipe fields from options of their own and from ``--set``. Raises UsageError for one that is in both."""
    from mri_model.training.recipe import parse_changes

    changes = parse_changes(assignments or [])
    for name in changes:
        if options.get(name) is not None:
            raise UsageError(f"{name} is set twice", f"use --{name.replace('_', '-')} and not --set {name}=…")
    return options | changes


def parse_sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers like 100,256,630") from None


def main() -> None:
    """Entry point: an error that a user can cause ends in one line why and one line what to do."""
    as_json = "--json" in sys.argv
    os.environ.setdefault("DO_NOT_TRACK", "1")
    make_streams_safe()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # an interrupted training can record that
    try:
        app()
    except MriError as error:
        fail(error, as_json)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Typer turns Ctrl-C into this
            print("mri: interrupted; run the same command again to continue", file=sys.stderr)
            print_error(as_json, "interrupted", "run the same command again to continue")
        elif wrong := getattr(end.__context__, "format_message", None):  # Typer printed this error, and exits
            print_error(as_json, wrong(), "see --help")
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        reason = error.strerror or error
        fail(MriError(f"cannot read or write{where}: {reason}", "fix this and run the command again"), as_json)


if __name__ == "__main__":
    main()
