"""A region of interest in a file."""

from __future__ import annotations

import json
from pathlib import Path

from memory.region import Region, RegionRejected


def read_region(path: Path) -> Region:
    """The region in a JSON file with the polygons `include` and `ignore`, as *Setup* shows them. Raises RegionRejected
    for a file that cannot be read, and for one that holds no region."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # JSON and UTF-8 raise ValueErrors
        raise RegionRejected(
            expected='a JSON file like {"include": [[[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]], "ignore": []}',
            came=f"{path}: {type(error).__name__}: {error}",
            do="correct it, or draw the region on Setup and copy its JSON",
        ) from error
    return Region.of(record)
