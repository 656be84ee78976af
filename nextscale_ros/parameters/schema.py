"""Reads config/parameters.yaml: what each parameter is, means, and may be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from nextscale_core.exceptions import ConfigError
from nextscale_core.resources import resource
from nextscale_core.yaml_files import nearest
from nextscale_ros.parameters.validators import Rule, make_rule

DECLARATIONS = "config/parameters.yaml"

_KINDS: dict[str, type] = {"bool": bool, "int": int, "double": float, "string": str}
_TYPES = (*_KINDS, *(f"{kind}_array" for kind in _KINDS))

_FIELDS = ("type", "default_value", "description", "read_only", "validation")

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_UNIT = re.compile(r"\[([^\]]+)\]")

_LONGEST_SHOWN = 80
"""Characters of a refused value that a message repeats."""


@dataclass(frozen=True)
class Declaration:
    """One parameter.

    Attributes:
        name: Its name.
        type: 'bool', 'int', 'double', 'string', or one of these with '_array'.
        default: Its value where none is given.
        description: What it means; of a number with its unit in brackets.
        read_only: Whether it can be given at the start only. Else it is live.
        rules: What its value has to satisfy, beside its type.
    """

    name: str
    type: str
    default: Any
    description: str
    read_only: bool = False
    rules: tuple[Rule, ...] = ()

    @property
    def unit(self) -> str:
        """'s', 'Hz' or the like; '' for what is no number, or has no unit."""
        found = _UNIT.search(self.description)
        if found is None or found[1] == "-" or not self.type.startswith(("int", "double")):
            return ""
        return found[1]

    @property
    def allowed(self) -> str:
        """What the rules allow, to be read after 'must be', for example '0.5 to 2.5 [s]'."""
        words = ", ".join(rule.allowed for rule in self.rules)
        return f"{words} [{self.unit}]" if words and self.unit else words

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Least and greatest value, both allowed; None where there are none."""
        return next((rule.bounds for rule in self.rules if rule.bounds is not None), None)

    def problem(self, value: Any) -> str:
        """What is wrong with a value of the right type and what would be right; '' for nothing."""
        if all(rule.holds(value) for rule in self.rules):
            return ""
        return f"{self.name} must be {self.allowed}, got {_shown(value)}"

    def has_type(self, value: Any) -> bool:
        """Whether a value from YAML is of this parameter's type; 1 is no double, 1.0 is."""
        kind = _KINDS[self.type.removesuffix("_array")]
        if self.type.endswith("_array"):
            # ROS cannot tell of what type an empty list is.
            return isinstance(value, list) and bool(value) and all(type(v) is kind for v in value)
        return type(value) is kind


def declarations(section: str) -> Mapping[str, Declaration]:
    """The parameters of one node, in the order of the file.

    Args:
        section: Name of the node: 'generate_node', 'mock_robot' or 'viewer_node'.

    Raises:
        ConfigError: the file or the section is missing or malformed.
    """
    sections = all_declarations()
    if section not in sections:
        raise ConfigError(
            f"no parameters are declared for {section!r}; {nearest(section, sections)}"
        )
    return sections[section]


@lru_cache(maxsize=1)
def all_declarations() -> Mapping[str, Mapping[str, Declaration]]:
    """The parameters of every node, by the node's name; see `declarations`."""
    return read_declarations(resource(DECLARATIONS))


def read_declarations(path: Path) -> dict[str, dict[str, Declaration]]:
    """Read a file of declarations.

    Args:
        path: YAML in the format of generate_parameter_library, one section for each node.

    Raises:
        ConfigError: the file cannot be read, or something in it is unknown, missing, doubled or of
            the wrong type, or a default breaks its own rules; the message names the key.
    """
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"parameters {path} cannot be read: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # An impossible date is a ValueError, and nesting without end runs out of stack.
        raise ConfigError(f"parameters {path} are not valid YAML: {error}") from error
    sections: dict[str, dict[str, Declaration]] = {}
    for section, parameters in _items(tree, path.name):
        sections[section] = {
            name: _declaration(name, fields, f"{path.name}: {section}.{name}")
            for name, fields in _items(parameters, f"{path.name}: {section}")
        }
    return sections


def _items(tree: object, where: str) -> Iterable[tuple[str, Any]]:
    """Key and value of a mapping whose keys may be names of nodes and parameters."""
    if not isinstance(tree, dict) or not tree:
        raise ConfigError(f"{where} must be a mapping of names, got {_shown(tree)}")
    for name, value in tree.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(f"{where}.{name}: names are of lower-case letters, digits and _")
        yield name, value


def _declaration(name: str, fields: object, where: str) -> Declaration:
    if not isinstance(fields, dict):
        raise ConfigError(f"{where} must be a mapping with type, default_value, ...")
    for key in fields:
        if key not in _FIELDS:
            raise ConfigError(f"{where}: unknown key {key!r}; {nearest(str(key), _FIELDS)}")
    for key in ("type", "default_value", "description"):
        if fields.get(key) is None:
            raise ConfigError(f"{where}.{key} is missing")
    kind, description = fields["type"], fields["description"]
    if kind not in _TYPES:
        raise ConfigError(f"{where}.type {kind!r} is unknown; {nearest(str(kind), _TYPES)}")
    if not isinstance(description, str) or not description.strip():
        raise ConfigError(f"{where}.description must be text, got {_shown(description)}")
    read_only = fields.get("read_only", False)
    if not isinstance(read_only, bool):
        raise ConfigError(f"{where}.read_only must be true or false, got {_shown(read_only)}")
    declared = Declaration(
        name,
        kind,
        fields["default_value"],
        description,
        read_only,
        _rules(kind, fields.get("validation"), where),
    )
    if not declared.has_type(declared.default):
        raise ConfigError(f"{where}.default_value is no {kind}: {_shown(declared.default)}")
    if problem := declared.problem(declared.default):
        raise ConfigError(f"{where}.default_value: {problem}")
    return declared


def _rules(kind: str, validation: object, where: str) -> tuple[Rule, ...]:
    if validation is None:
        return ()
    if not isinstance(validation, dict):
        raise ConfigError(f"{where}.validation must be a mapping, got {_shown(validation)}")
    rules = []
    for name, arguments in validation.items():
        scalar = kind.removesuffix("_array")
        try:
            rules.append(make_rule(str(name), arguments, _KINDS[scalar], array=scalar != kind))
        except ConfigError as error:
            raise ConfigError(f"{where}.validation.{name}: {error}") from error
    return tuple(rules)


def _shown(value: object) -> str:
    """A value, short enough for a message."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping with every key once."""
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)
