"""What a ROS parameter file says for a node, and what was asked for instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from nextscale_core.exceptions import ConfigError
from nextscale_ros.parameters.schema import declarations

Value = str | bool | int | float

_PARAMETERS = "ros__parameters"


class ParameterFile:
    """What a ROS parameter file says for a node.

    Args:
        path: The file; '' for none.

    Raises:
        ConfigError: the file cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._sections: dict[str, dict[Any, Any]] = {}
        if not path:
            return
        try:
            root = yaml.compose(Path(path).read_text(encoding="utf-8"), yaml.SafeLoader)
            for name, parameters in _sections(root):
                self._sections.setdefault(name, {}).update(parameters)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"parameter file {path} cannot be read: {error}") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(f"parameter file {path} is not valid YAML: {error}") from error

    def said(self, name: str, node: str, namespace: str) -> Value | None:
        """Value of a parameter of a node; None if the file leaves it out.

        Args:
            name: Name of the parameter.
            node: Name of the node.
            namespace: Namespace of the node; '' for the root.

        Raises:
            ConfigError: a value of another type than the parameter's.
        """
        found: Any = None
        full = f"/{namespace}/{node}" if namespace else f"/{node}"
        # As in rcl: of all sections that are for the node, the last one counts.
        for section, parameters in self._sections.items():
            if name in parameters and _pattern(section).fullmatch(full):
                found = parameters[name]
        kind = bool if name == "use_sim_time" else type(declarations(node)[name].default)
        if found is not None and not isinstance(found, kind):
            word = "true or false" if kind is bool else "a string, in quotes"
            raise ConfigError(f"{self.path}: {name} of {node} must be {word}, got {found!r}")
        return found


class ChosenParameters:
    """Values of node parameters: those asked for, else those of the parameter file.

    Args:
        file: The parameter file.
        notes: Gets a line for each value of the file that is not used.
    """

    def __init__(self, file: ParameterFile, notes: list[str]) -> None:
        self._file, self._notes = file, notes

    def value(
        self, name: str, nodes: Sequence[str], namespace: str, asked: Value | None
    ) -> Value | None:
        """The one value of a parameter for all nodes of one robot; None where nobody says any.

        Args:
            name: Name of the parameter.
            nodes: Names of the nodes.
            namespace: Namespace of the nodes; '' for the root.
            asked: Value of the command line; None for none.

        Raises:
            ConfigError: the file has different values or one of another type than the parameter's.
        """
        said = {node: self._file.said(name, node, namespace) for node in nodes}
        said = {node: value for node, value in said.items() if value is not None}
        words = " and ".join(f"{_text(value)} for {node}" for node, value in said.items())
        place = f" in {namespace}" if namespace else ""
        if asked is None:
            if len(set(said.values())) > 1:
                raise ConfigError(
                    f"{self._file.path}: {name}{place} is {words}, but these nodes are of one robot"
                )
            return next(iter(said.values()), None)
        if any(value != asked for value in said.values()):
            self._notes.append(
                f"{name}{place} is {_text(asked)} as asked for; {self._file.path} says {words}"
            )
        return asked


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) or "''"


def _sections(node: yaml.Node | None, name: str = "") -> Iterator[tuple[str, dict[Any, Any]]]:
    """Names of nodes, nested or in one, and their parameters."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if key.value == _PARAMETERS and isinstance(value, yaml.MappingNode):
            yield name, yaml.SafeLoader("").construct_mapping(value, deep=True)
        else:
            yield from _sections(value, f"{name}/{key.value}" if name else str(key.value))


def _pattern(section: str) -> re.Pattern[str]:
    """Full names of the nodes that a section is for."""
    text = re.escape(section if section.startswith("/") else f"/{section}")
    text = text.replace(r"/\*\*", r"(/\w+)*").replace(r"/\*", r"(/\w+)")
    return re.compile(text, re.ASCII)
