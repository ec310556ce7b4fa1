"""Behaviour changes only together with its version constant: caches and manifests of older versions would be stale."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mri_model.data import (
    cache,
    class_folders,
    decode,
    header,
    inventory,
    labels,
    near_duplicates,
    reading,
    same_source,
    splits,
    validation,
)
from tests.golden.behaviour import BEHAVIOURS, IMAGES, decoders, differences, read_expected
from tests.golden.update import record

EXPECTED = read_expected()


@pytest.mark.parametrize("name", list(BEHAVIOURS))
def test_behaviour_is_the_one_recorded_for_its_version(name: str, tmp_path: Path) -> None:
    behaviour, expected = BEHAVIOURS[name], EXPECTED[name]
    assert expected["version"] == behaviour.version, "run python -m tests.golden.update"
    note = f" (decoders: {EXPECTED['decoders']} recorded, {decoders()} installed)"
    assert (differences(name, behaviour.measure(tmp_path), expected["parts"]) or note) == note


def test_the_images_are_as_small_as_a_repository_wants_them() -> None:
    files = [file for file in IMAGES.rglob("*") if file.is_file()]
    assert len(files) == len(EXPECTED["decoding"]["parts"])
    assert max(file.stat().st_size for file in files) < 5_000


def without_leading_underscore(folder: str) -> labels.Label:
    return labels.Label(folder, folder.rpartition(" ")[0], folder.rpartition(" ")[2])


CHANGES = [
    ("decoding", header, "FORMATS", {"JPEG": (".jpg",), "PNG": (".png",)}, "Glioma T2/bitmap.bmp"),
    ("decoding", decode, "DAMAGED", "damaged", "Glioma T1/truncated.jpg"),
    ("decoding", header, "exif_orientation", lambda image: 1, "Glioma T1/rotated.jpg"),
    ("decoding", reading, "CHANNELS", 1, "healthy/one.png"),
    ("ingestion", inventory, "parse_label", without_leading_underscore, "auto: column tumor"),
    ("ingestion", labels, "BARE_CONTRASTS", {"t1": "T1C+", "t2": "T2"}, "auto: column contrast"),
    ("ingestion", class_folders, "is_split_folder", lambda folder: folder == "healthy", "auto: column status"),
    ("ingestion", near_duplicates, "NEAR_DUPLICATE_CORRELATION", 0.97, "auto: pairs"),
    ("ingestion", near_duplicates, "SAME_PICTURE", 0.96, "auto: pairs"),
    ("ingestion", same_source, "RUN_SECONDS", 600, "auto: column group"),
    ("ingestion", splits, "SHARES", {"train": 0.4, "val": 0.3, "test": 0.3}, "auto: column split_random"),
    ("ingestion", validation, "AUTO", "none", "auto: rule: every readable image lies in a class folder of the profile"),
]


@pytest.mark.parametrize(
    ("name", "module", "attribute", "value", "part"), CHANGES, ids=[f"{name} {what}" for name, _, what, *_ in CHANGES]
)
def test_a_change_under_the_same_version_is_named_and_not_recorded(
    name: str, module: Any, attribute: str, value: object, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, attribute, value)
    with pytest.raises(SystemExit) as caught:
        record(name, BEHAVIOURS[name], EXPECTED[name], same_version=False)
    assert f"behaviour changed: raise {next(iter(BEHAVIOURS[name].constants))}" in str(caught.value)
    assert part in str(caught.value).partition("Changed: ")[2].split("; ")
    assert record(name, BEHAVIOURS[name], EXPECTED[name], same_version=True)["parts"] != EXPECTED[name]["parts"]


def test_a_new_version_is_recorded_with_its_behaviour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "DAMAGED", "damaged")
    raised = replace(BEHAVIOURS["decoding"], constants={"DECODE_VERSION": decode.DECODE_VERSION + 1})
    entry = record("decoding", raised, EXPECTED["decoding"], same_version=False)
    assert entry["version"] == f"DECODE_VERSION {decode.DECODE_VERSION + 1}"
    assert entry["parts"] != EXPECTED["decoding"]["parts"]


def test_another_list_of_formats_or_another_version_is_another_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {cache.cache_key()}
    with monkeypatch.context() as patch:
        patch.setattr(cache, "FORMATS", cache.FORMATS | {"JPEG": (".jpg", ".jpeg", ".jif")})
        keys.add(cache.cache_key())
    with monkeypatch.context() as patch:
        patch.setattr(cache, "DECODE_VERSION", cache.DECODE_VERSION + 1)
        keys.add(cache.cache_key())
    assert len(keys) == 3
    assert cache.cache_key() in keys


PRINT_KEYS = """
import sys
from pathlib import Path
from mri_model.data import cache, inventory, manifest_writer
print(inventory.__file__)
print(cache.cache_key(), manifest_writer.inputs_digest(inventory.take_inventory(Path(sys.argv[1])), 0))
"""


def test_a_comment_in_the_source_does_not_make_manifests_and_caches_stale(tmp_path: Path) -> None:
    source = Path(inventory.__file__).parents[1]
    edited = Path(shutil.copytree(source, tmp_path / "mri_model", ignore=shutil.ignore_patterns("__pycache__")))
    for file in edited.glob("data/*.py"):
        file.write_text(f"{file.read_text(encoding='utf-8')}\n# a comment\n", encoding="utf-8")
    outputs = [
        subprocess.run(
            [sys.executable, "-c", PRINT_KEYS, str(IMAGES)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for folder in (source.parent, tmp_path)
    ]
    assert [Path(loaded) for loaded, _ in outputs] == [source / "data/inventory.py", edited / "data/inventory.py"]
    assert outputs[0][1] == outputs[1][1]
