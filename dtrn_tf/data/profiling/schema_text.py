"""A starter schema as YAML with comments for people."""

from __future__ import annotations

from typing import Any

import yaml

from dtrn_tf.data.profiling.profile import Profile
from dtrn_tf.data.profiling.starter_schema import Starter

_WIDTH = 100


def schema_text(starter: Starter, profile: Profile) -> str:
    """The YAML of a starter schema, which `load_schema` reads back as the same schema.

    Args:
        starter: The schema and notes about it; a note that begins with `?` asks for a look.
        profile: What it was guessed from.
    """
    config = starter.schema.to_dict()
    lines = [
        "# A starter schema, guessed by `python -m pipelines.inspect`.",
        f"# Read: {profile.records:,} records of {len(profile.files)} files; "
        f"{profile.num_bad:,} bad records left out.",
        "# A comment with `?` marks a guess that only you can check.", ""]
    for section, part in config.items():
        lines += _section(section, part, starter)
    if starter.left_out:
        lines += ["# Not used:"]
        lines += [f"# - {name}: {why}" for name, why in sorted(starter.left_out.items())]
    return "\n".join(lines) + "\n"


def _section(section: str, part: Any, starter: Starter) -> list[str]:
    if not isinstance(part, list):
        name = str(part.get("feature", part["name"])) if isinstance(part, dict) else ""
        return [*_comment(starter.notes.get((section, name), "")),
                f"{section}: {_flow(part)}", ""]
    lines = [f"{section}:", *_comment(starter.notes.get((section, ""), ""))]
    for item in part:
        lines += _comment(starter.notes.get((section, item["name"]), ""))
        lines += _item(item)
    return [*lines, ""]


def _item(item: dict[str, Any]) -> list[str]:
    """One line, or for a behaviour one line per list."""
    if "features" not in item:
        return [f"- {_flow(item)}"]
    head = {key: value for key, value in item.items() if key != "features"}
    lines = [f"{'- ' if i == 0 else '  '}{key}: {_flow(value)}"
             for i, (key, value) in enumerate(head.items())]
    return [*lines, "  features:", *(f"  - {_flow(side)}" for side in item["features"])]


def _comment(note: str) -> list[str]:
    return [f"# {note}"] if note else []


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6,
                          allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()
