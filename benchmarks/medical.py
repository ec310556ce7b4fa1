"""DICOM: the survey and the whole inventory against a bare pydicom loop, and memory of a long series.

    python benchmarks/medical.py rates [--series 20 --slices 60 --side 256]
    python benchmarks/medical.py memory [--side 512]

The files are generated. ``rates`` takes its ratios in one run on the same files; run it on a machine that does nothing
else. The bare loop reads each file, applies rescale and window and scales to 8 bits: what a script does at least.
"""

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mri_model.data.inventory import take_inventory
from mri_model.data.listing import list_files
from mri_model.data.medical.survey import survey
from mri_model.data.pseudonyms import Pseudonyms
from mri_model.report.tables import format_table

PEAK = """
import resource, sys
from pathlib import Path
from mri_model.data.inventory import take_inventory
frame = take_inventory(Path(sys.argv[1])).frame
print(int((frame["status"] == "ok").sum()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def main() -> None:
    options = parse()
    options.run(options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("rates", help="files a second beside a bare loop")
    command.add_argument("--series", type=int, default=20)
    command.add_argument("--slices", type=int, default=60)
    command.add_argument("--side", type=int, default=256)
    command.add_argument("--rounds", type=int, default=3)
    command.set_defaults(run=rates)
    command = commands.add_parser("memory", help="peak memory of an inventory of one series of 50 and of 500 slices")
    command.add_argument("--side", type=int, default=512)
    command.set_defaults(run=memory)
    return parser.parse_args()


def rates(options: argparse.Namespace) -> None:
    """Alternate the bare loop with the survey and with the inventory, on one thread each."""
    rows = []
    for windowed in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for number in range(options.series):
                write_series(root, number, options.slices, options.side, windowed)
            files = list_files(root)
            times: dict[str, list[float]] = {"bare loop": [], "survey": [], "inventory": []}
            ours = {
                "bare loop": lambda paths=files: [bare(Path(found.file.decode())) for found in paths],
                "survey": lambda paths=files: survey(paths, Pseudonyms(), threads=1),
                "inventory": lambda where=root: take_inventory(where, threads=1),
            }
            for _ in range(options.rounds):
                for name, run in ours.items():
                    times[name].append(seconds(run))
        rate = {name: len(files) / statistics.median(each) for name, each in times.items()}
        what = "window in the file" if windowed else "window by percentiles"
        rows += [(what, name, round(value), value / rate["bare loop"]) for name, value in rate.items()]
    print(format_table(pd.DataFrame(rows, columns=["", "one thread", "files/s", "ratio"])))


def memory(options: argparse.Namespace) -> None:
    """Each inventory in a process of its own."""
    rows = []
    for n_slices in (50, 500):
        with tempfile.TemporaryDirectory() as folder:
            write_series(Path(folder), 0, n_slices, options.side, windowed=False)
            done = subprocess.run(
                [sys.executable, "-c", PEAK, folder], capture_output=True, text=True, check=True, cwd=Path.cwd()
            )
        images, peak = map(int, done.stdout.split())
        rows.append((n_slices, images, peak))
    print(format_table(pd.DataFrame(rows, columns=["slices", "images", "peak, MB"])))
    print(json.dumps({"growth_mb": rows[1][2] - rows[0][2], "series_mb": 450 * options.side**2 * 2 / 1e6}))


def seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def bare(path: Path) -> np.ndarray:
    dataset = pydicom.dcmread(path)
    values = apply_modality_lut(dataset.pixel_array, dataset)
    if "WindowCenter" in dataset:
        values = apply_voi_lut(values, dataset)
        low, high = values.min(), values.max()
    else:
        low, high = np.percentile(values, (0.5, 99.5))
        values = values.clip(low, high)
    return ((values - low) * (255 / max(high - low, 1))).astype(np.uint8)


def write_series(root: Path, number: int, n_slices: int, side: int, windowed: bool) -> None:
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    distance = np.hypot(rows, columns)
    texture = rng.normal(1, 0.1, (side, side))
    study, series = generate_uid(), generate_uid()
    for index in range(n_slices):
        radius = 0.45 * np.sqrt(max(0.0, 1 - (2 * index / n_slices - 1) ** 2))
        pixels = ((distance < radius) * texture * 900 + rng.integers(0, 20, (side, side))).astype("<u2")
        folder = root / f"{'Glioma' if number % 2 else 'Cyst'} T1" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index:04d}.dcm").write_bytes(dicom(pixels, index, study, series, windowed))


def dicom(pixels: np.ndarray, index: int, study: str, series: str, windowed: bool) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.PatientID = study, series, study[-12:]
    dataset.Modality, dataset.SeriesDescription, dataset.InstanceNumber = "MR", "AX T1 SE", index + 1
    dataset.EchoTime, dataset.RepetitionTime = 12, 500
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, index], [1, 0, 0, 0, 1, 0]
    if windowed:
        dataset.WindowCenter, dataset.WindowWidth = 500, 1000
    dataset.PixelData = pixels.tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


if __name__ == "__main__":
    main()
