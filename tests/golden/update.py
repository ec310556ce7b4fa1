"""Record today's behaviour under today's versions: ``python -m tests.golden.update [--same-version]``.

A behaviour that changed is recorded under a new version only. ``--same-version`` records it all the same: for changes
of a version that nobody has used yet, and after an upgrade of the decoders.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.golden.behaviour import BEHAVIOURS, EXPECTED, Behaviour, decoders, differences, read_expected


def record(name: str, behaviour: Behaviour, old: dict[str, Any], same_version: bool) -> dict[str, Any]:
    """The entry of one behaviour.

    Raises:
        SystemExit: If the behaviour changed and its version did not.
    """
    with tempfile.TemporaryDirectory() as folder:
        parts = behaviour.measure(Path(folder))
    changed = old and old["version"] == behaviour.version and differences(name, parts, old["parts"])
    if changed and not same_version:
        raise SystemExit(f"{name}: {changed}")
    return {"version": behaviour.version, "parts": parts}


def main(same_version: bool) -> None:
    old = read_expected() if EXPECTED.is_file() else {}
    entries = {name: record(name, behaviour, old.get(name, {}), same_version) for name, behaviour in BEHAVIOURS.items()}
    EXPECTED.write_text(json.dumps({"decoders": decoders(), **entries}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main("--same-version" in sys.argv[1:])
