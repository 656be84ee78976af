"""Write config/params.yaml and docs/parameters.md from config/parameters.yaml.

Run from the repository root: python tools/parameters.py [--check]. With --check nothing is
written; the exit status is 1 where a file is not what it would be.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from nextscale_core.exceptions import ConfigError
from nextscale_ros.parameters.schema import DECLARATIONS, Declaration, read_declarations

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 100

BY_LAUNCH = ("robot", "model", "device")
"""Arguments of the launch file: in a parameter file they would override them."""

SOURCE = "Written by tools/parameters.py from config/parameters.yaml; change it there."

YAML_HEAD = f"""\
# Parameters of the nodes, with their defaults.
# {SOURCE}
#
# Pass a copy: --ros-args --params-file FILE, or params_file:=FILE at launch. What is left out keeps
# its default. Live parameters can also be set while the node runs (`ros2 param set`), read-only
# ones cannot. Where a line is commented out, the launch argument of that name decides.
"""

PAGE_HEAD = f"""\
<!-- {SOURCE} -->

# Parameters

Give them at the start: `--ros-args -p NAME:=VALUE`, or a copy of `config/params.yaml` with
`--params-file`, or with `params_file:=` at launch. **Live** ones can also be set while the node
runs (`ros2 param set /generate_node NAME VALUE`) and apply from the next request on; **read-only**
ones cannot. An invalid value is refused with a message that states the valid ones.
`ros2 param describe /generate_node NAME` shows the same as this page.

Topics are relative names: in the namespace `/left`, `joint_states` becomes `/left/joint_states`,
and remapping works as everywhere in ROS 2. A double needs its point: `50.0`, not `50`.
"""

TITLES = {
    "generate_node": "Makes trajectories of sentences.",
    "mock_robot": "Stands in for a robot and its joint_trajectory_controller.",
    "viewer_node": "Shows the robot on a page, fed by the live topics.",
}


def default_of(declared: Declaration) -> str:
    """The default as one would write it in a parameter file."""
    text = yaml.safe_dump(declared.default, default_flow_style=True, width=1000)
    # 'off' must stay text, which safe_dump knows; the end of the document it adds.
    return text.removesuffix("\n").removesuffix("...").strip().replace("''", '""')


def facts_of(declared: Declaration) -> str:
    """Type, what is allowed, and whether it is live."""
    facts = [declared.type.replace("_", " "), declared.allowed]
    return "; ".join([fact for fact in facts if fact] + [when_of(declared)])


def when_of(declared: Declaration) -> str:
    """'live' or 'read-only'."""
    return "read-only" if declared.read_only else "live"


def params_yaml(sections: Mapping[str, Mapping[str, Declaration]]) -> str:
    """config/params.yaml: every parameter with its default, documented line by line."""

    def lines() -> Iterator[str]:
        for section, parameters in sections.items():
            yield f"\n/**/{section}:"
            yield "  ros__parameters:"
            for number, one in enumerate(parameters.values()):
                if number:
                    yield ""
                comment = "    # "
                for text in (one.description, facts_of(one)):
                    yield from textwrap.wrap(
                        text,
                        WIDTH,
                        initial_indent=comment,
                        subsequent_indent=comment,
                        break_long_words=False,
                        break_on_hyphens=False,
                    )
                value = f"{one.name}: {default_of(one)}"
                if one.name in BY_LAUNCH:
                    yield f"    # {value}"
                else:
                    yield f"    {value}"

    return YAML_HEAD + "\n".join(lines()) + "\n"


def page(sections: Mapping[str, Mapping[str, Declaration]]) -> str:
    """docs/parameters.md: a table for each node."""

    def lines() -> Iterator[str]:
        for section, parameters in sections.items():
            yield f"\n## {section}\n"
            yield f"{TITLES[section]}\n"
            yield "| Parameter | Type | Default | Allowed | Set | Meaning |"
            yield "| --- | --- | --- | --- | --- | --- |"
            for one in parameters.values():
                cells = [
                    f"`{one.name}`",
                    one.type.replace("_", " "),
                    f"`{default_of(one)}`",
                    one.allowed or "any",
                    when_of(one),
                    one.description,
                ]
                yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    return PAGE_HEAD + "\n".join(lines()) + "\n"


def contents(root: Path) -> dict[Path, str]:
    """What the generated files below `root` should hold.

    Raises:
        ConfigError: config/parameters.yaml is missing or malformed.
    """
    sections = read_declarations(root / DECLARATIONS)
    return {
        root / "config" / "params.yaml": params_yaml(sections),
        root / "docs" / "parameters.md": page(sections),
    }


def outdated(root: Path) -> list[Path]:
    """The generated files below `root` that are missing or not what they would be."""
    return [
        path
        for path, text in contents(root).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say whether they are up to date")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    options = parser.parse_args(arguments)
    try:
        old = outdated(options.root)
        for path in old:
            if options.check:
                print(f"{path} is out of date: run python tools/parameters.py", file=sys.stderr)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(contents(options.root)[path], encoding="utf-8")
                print(f"written: {path}")
    except ConfigError as error:
        print(f"parameters: {error}", file=sys.stderr)
        return 1
    return 1 if options.check and old else 0


if __name__ == "__main__":
    sys.exit(main())
