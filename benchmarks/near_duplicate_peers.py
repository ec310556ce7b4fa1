"""What imagededup and cleanvision find in a folder, each with its defaults: JSON on stdout for ``ingest.py``.

python benchmarks/near_duplicate_peers.py FOLDER
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path


def by_imagededup(folder: Path, distance: int) -> list[list[str]]:
    """Files linked by a chain of pHash distances; ``distance`` 10 is the library's default, 2 is a strict one."""
    from imagededup.methods import PHash

    hasher = PHash(verbose=False)
    encodings = hasher.encode_images(image_dir=str(folder), recursive=True)
    links = hasher.find_duplicates(encoding_map=encodings, max_distance_threshold=distance)
    return joined(links)


def by_cleanvision(folder: Path) -> list[list[str]]:
    from cleanvision import Imagelab

    lab = Imagelab(data_path=str(folder), verbose=False)
    lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, verbose=False)
    found = [members for kind in ("exact_duplicates", "near_duplicates") for members in lab.info[kind]["sets"]]
    links = {members[0]: members[1:] for members in found}
    relative = {
        os.path.relpath(first, folder): [os.path.relpath(other, folder) for other in others]
        for first, others in links.items()
    }
    return joined(relative)


def joined(links: dict[str, list[str]]) -> list[list[str]]:
    """Sets of two and more that a chain of links holds together."""
    parent: dict[str, str] = {}

    def top(item: str) -> str:
        parent.setdefault(item, item)
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for first, others in links.items():
        for other in others:
            parent[top(other)] = top(first)
    sets: dict[str, list[str]] = {}
    for item in sorted(parent):
        sets.setdefault(top(item), []).append(item)
    return [members for members in sets.values() if len(members) > 1]


def timed(find: Callable[[], list[list[str]]]) -> dict[str, object]:
    started = time.monotonic()
    sets = find()
    return {"seconds": time.monotonic() - started, "sets": sets}


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    with contextlib.redirect_stdout(sys.stderr):
        import cleanvision  # noqa: F401  # imports are not timed

        found = {
            "imagededup pHash 10": timed(lambda: by_imagededup(folder, 10)),
            "imagededup pHash 2": timed(lambda: by_imagededup(folder, 2)),
            "cleanvision": timed(lambda: by_cleanvision(folder)),
        }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
