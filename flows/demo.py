"""``make demo``: the whole line once, under Prefect, on generated images or on a folder of your own."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from mri_model.cli.output import fail
from mri_model.errors import MriError
from mri_model.options import SampleFormat
from mri_model.settings import Settings, load_settings

SIZES = (48, 64)
EPOCHS = 10
BROKEN = {"images": "broken.jpeg", "dicom": "broken.dcm", "nifti": "broken.nii.gz"}
LOG_LINES = {
    "PREFECT_LOGGING_FORMATTERS_STANDARD_FLOW_RUN_FMT": "%(asctime)s | %(flow_name)s | %(message)s",
    "PREFECT_LOGGING_FORMATTERS_STANDARD_TASK_RUN_FMT": "%(asctime)s | %(task_name)s | %(message)s",
    "PREFECT_LOGGING_FORMATTERS_STANDARD_DATEFMT": "%H:%M:%S",
}


def main(arguments: list[str]) -> None:
    """Run the demo; ``arguments`` may name a folder of class folders, or the format of the files to generate."""
    started = time.monotonic()
    settings = load_settings()
    options = parse(arguments)
    data, incoming = (options.data,) * 2 if options.data else draw_samples(settings, options.format)
    if not data.is_dir():
        raise MriError(f"there is no folder {data}", "make demo DATA=<folder that holds the class folders>")
    weights = os.environ.get("MRI_WEIGHTS", "none")
    say(f"weights: {weights}" + (" (from scratch, so that nothing is downloaded)" if weights == "none" else ""))
    with prefect_server(settings):
        tables = run_flows(data, incoming, weights)
    from mri_model.report.text import describe_report

    print(f"\n{describe_report(tables)}\n")
    print(whereabouts(settings, data, time.monotonic() - started))


def parse(arguments: list[str]) -> argparse.Namespace:
    """``data``, a folder or None, and ``format``."""
    parser = argparse.ArgumentParser(prog="make demo", usage="make demo [DATA=FOLDER | FORMAT=images|dicom|nifti]")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("data", nargs="?", type=Path)
    either.add_argument("--format", choices=get_args(SampleFormat), default="images")
    return parser.parse_args(arguments)


def draw_samples(settings: Settings, sample_format: SampleFormat = "images") -> tuple[Path, Path]:
    """The phantom data set, and a folder of new images to score with one broken file among them."""
    from mri_model.data.samples import write_sample
    from mri_model.progress import show_progress

    suffix = "" if sample_format == "images" else f"-{sample_format}"
    data, incoming = settings.root / f"phantom{suffix}", settings.root / f"incoming{suffix}"
    with show_progress() as progress:
        if not data.exists():
            say(f"mri sample {data} --format {sample_format}")
            write_sample(data, sample_format, progress=progress)
        if not incoming.exists():
            write_sample(incoming, sample_format, per_class=1, seed=1, progress=progress)
            (incoming / BROKEN[sample_format]).write_bytes(b"not an image: it becomes a rejected row")
    return data, incoming


@contextmanager
def prefect_server(settings: Settings) -> Iterator[None]:
    """A local Prefect server for the length of the demo, or the one that ``PREFECT_API_URL`` names."""
    from mri_model.local_prefect import server

    was_up = server.status(settings) is not None
    running = server.up(settings, say, worker=False)
    os.environ.update(LOG_LINES | server.environment(settings, running.api_url))
    try:
        yield
    finally:
        from prefect.logging.handlers import APILogHandler

        APILogHandler().flush()
        if not was_up:
            server.down(settings, say)


def run_flows(data: Path, incoming: Path, weights: str) -> dict:
    """Ingest, train at each size, evaluate the best, score; the report's tables by name."""
    from prefect.exceptions import FailedRun

    from flows.reproduce import reproduce_report
    from flows.score import score_mri

    try:
        tables = reproduce_report(
            data, SIZES, epochs=EPOCHS, batch_size=32, learning_rate=0.05, momentum=0.9, weights=weights
        )
        score_mri(incoming)
    except FailedRun as error:
        raise MriError(str(error)) from None
    return tables


def whereabouts(settings: Settings, data: Path, seconds: float) -> str:
    from mri_model.progress import duration

    return "\n".join(
        [
            "Research use only. The demo trains small and from scratch; on phantoms its figures mean nothing medical,",
            "and on your own folder the images it scored are those it learnt from.",
            f"Done in {duration(seconds)}. Everything is in {settings.root}:",
            f"  data       {data}",
            f"  manifests  {settings.manifests}",
            f"  models     {settings.models}",
            f"  scores     {settings.scores}",
            f"  results    {settings.results_url.render_as_string().removeprefix('sqlite:///')}",
            "Next:  .venv/bin/mri query             the questions the results database answers",
            '       eval "$(.venv/bin/mri up)"      Prefect with its UI, the runs of this demo among them',
            f"Open in a browser:  {newest_page(settings)}",
        ]
    )


def newest_page(settings: Settings) -> Path:
    """The report page that the demo has written."""
    return max(settings.reports.glob("model-*.html"), key=lambda page: page.stat().st_mtime_ns)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MriError as error:
        fail(error)
    except KeyboardInterrupt:
        say("interrupted; run make demo again to continue")
        sys.exit(130)
