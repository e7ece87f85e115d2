"""Files that are there whole or not at all: written under a temporary name, then renamed."""

from __future__ import annotations

import json
import math
import os
from typing import Any


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file; a reader never sees a part of it."""
    temporary = f"{os.fspath(path)}.tmp"
    with open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    os.replace(temporary, path)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes JSON; NaN and infinities, which JSON does not know, become null."""
    write_text(path, json.dumps(_without_nan(value), indent=1, allow_nan=False) + "\n")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
