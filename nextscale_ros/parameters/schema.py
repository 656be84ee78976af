"""Reads the declarations of all parameters from config/parameters.yaml."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nextscale_core.exceptions import ConfigError
from nextscale_core.resources import resource
from nextscale_core.yaml_files import nearest
from nextscale_ros.parameters.validators import Rule, make_rule

DECLARATIONS = "config/parameters.yaml"

_KINDS: dict[str, type] = {"bool": bool, "int": int, "double": float, "string": str}
_UNIT = re.compile(r"\[([^\]]+)\]")

_LONGEST_SHOWN = 80
"""Maximum length of a refused value in a message [characters]."""


@dataclass(frozen=True)
class Declaration:
    """Declaration of one parameter.

    Attributes:
        name: Name of the parameter.
        type: 'bool', 'int', 'double', 'string', or one of these with '_array'.
        default: Default value.
        description: Meaning; for a number with its unit in brackets.
        read_only: Whether it can be set at the start only; otherwise it is live.
        rules: Conditions on the value, beside its type.
    """

    name: str
    type: str
    default: Any
    description: str
    read_only: bool = False
    rules: tuple[Rule, ...] = ()

    @property
    def unit(self) -> str:
        """Unit such as 's' or 'Hz'; '' without a unit or for other types than numbers."""
        found = _UNIT.search(self.description)
        if found is None or found[1] == "-" or not self.type.startswith(("int", "double")):
            return ""
        return found[1]

    @property
    def allowed(self) -> str:
        """Allowed values, worded to follow 'must be', for example '0.5 to 2.5 [s]'."""
        words = ", ".join(rule.allowed for rule in self.rules)
        return f"{words} [{self.unit}]" if words and self.unit else words

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Minimum and maximum, both allowed; None without bounds."""
        return next((rule.bounds for rule in self.rules if rule.bounds is not None), None)

    def problem(self, value: Any) -> str:
        """Why a value of the right type is invalid, and which are valid; '' for a valid value."""
        if all(rule.holds(value) for rule in self.rules):
            return ""
        return f"{self.name} must be {self.allowed}, got {_shown(value)}"

    def has_type(self, value: Any) -> bool:
        """Whether a value from YAML has this parameter's type; a double needs its point."""
        kind = _KINDS[self.type.removesuffix("_array")]
        if self.type.endswith("_array"):
            # ROS cannot infer the type of an empty list.
            return isinstance(value, list) and bool(value) and all(type(v) is kind for v in value)
        return type(value) is kind


def declarations(section: str) -> Mapping[str, Declaration]:
    """The declarations of one node, in the order of the file.

    Args:
        section: Name of the node, such as 'generate_node'.

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
    """The declarations of every node, by the node's name; see `declarations`."""
    return read_declarations(resource(DECLARATIONS))


def read_declarations(path: Path) -> dict[str, dict[str, Declaration]]:
    """Read a file of declarations.

    Args:
        path: YAML in the format of generate_parameter_library, one section for each node.

    Raises:
        ConfigError: the file cannot be read, a key is unknown, missing, doubled or of the wrong
            type, or a default breaks its own rules; the message names the key.
    """
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"parameters {path} cannot be read: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # An impossible date is a ValueError, and very deep nesting exhausts the stack.
        raise ConfigError(f"parameters {path} are not valid YAML: {error}") from error
    try:
        sections = _FILE.validate_python(tree)
    except ValidationError as error:
        raise ConfigError(f"{path.name}: {_message(error)}") from error
    return {
        section: {
            name: _declaration(name, fields, f"{path.name}: {section}.{name}")
            for name, fields in parameters.items()
        }
        for section, parameters in sections.items()
    }


class _Fields(BaseModel):
    """The fields of one parameter in the file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal[
        "bool", "int", "double", "string", "bool_array", "int_array", "double_array", "string_array"
    ]
    default_value: Any
    description: Annotated[str, Field(pattern=r"\S")]
    read_only: bool = False
    validation: dict[str, Any] | None = None


_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
_Section = Annotated[dict[_Name, _Fields], Field(min_length=1)]
_FILE = TypeAdapter(Annotated[dict[_Name, _Section], Field(min_length=1)])
"""Sections by the name of the node, parameters by their name."""


def _message(error: ValidationError) -> str:
    """The first error, with its key, value and, for an unknown key, the nearest known one."""
    first = error.errors(include_url=False)[0]
    *_, key = where = [str(part) for part in first["loc"]] or ["file"]
    message = first["msg"]
    if first["type"] == "extra_forbidden":
        message = f"unknown key; {nearest(key, _Fields.model_fields)}"
    return f"{'.'.join(where)}: {message}, got {_shown(first['input'])}"


def _declaration(name: str, fields: _Fields, where: str) -> Declaration:
    scalar = fields.type.removesuffix("_array")
    rules = []
    for rule, arguments in (fields.validation or {}).items():
        try:
            rules.append(make_rule(rule, arguments, _KINDS[scalar], array=scalar != fields.type))
        except ConfigError as error:
            raise ConfigError(f"{where}.validation.{rule}: {error}") from error
    declared = Declaration(
        name,
        fields.type,
        fields.default_value,
        fields.description,
        fields.read_only,
        tuple(rules),
    )
    if not declared.has_type(declared.default):
        raise ConfigError(
            f"{where}.default_value must be of type {fields.type}, got {_shown(declared.default)}"
        )
    if problem := declared.problem(declared.default):
        raise ConfigError(f"{where}.default_value: {problem}")
    return declared


def _shown(value: object) -> str:
    """A value, shortened for a message."""
    text = repr(list(value) if isinstance(value, array) else value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses duplicate keys, of which YAML keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping without duplicate keys."""
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
