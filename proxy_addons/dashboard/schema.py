"""The part of JSON Schema (2020-12) by which the API's document describes values, and by which they are checked.

One table says both, so that the document cannot promise what the code does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def text(about: str = "", **more: Any) -> Schema:
    """A string."""
    return _described({"type": "string", **more}, about)


def whole(about: str = "", **more: Any) -> Schema:
    """An integer."""
    return _described({"type": "integer", **more}, about)


def number(about: str = "", **more: Any) -> Schema:
    """A number."""
    return _described({"type": "number", **more}, about)


def flag(about: str = "") -> Schema:
    """A boolean."""
    return _described({"type": "boolean"}, about)


def several(of: Schema, about: str = "", **more: Any) -> Schema:
    """A list."""
    return _described({"type": "array", "items": of, **more}, about)


def record(about: str = "", *, optional: tuple[str, ...] = (), **members: Schema) -> Schema:
    """An object that has these members, but for the `optional` ones; there may be more."""
    return members_of(members, about, optional)


def members_of(members: Mapping[str, Schema], about: str = "", optional: tuple[str, ...] = ()) -> Schema:
    """The same, for names that are no names in Python."""
    required = [name for name in members if name not in optional]
    return _described({"type": "object", "properties": dict(members), "required": required}, about)


def table(of: Schema, about: str = "") -> Schema:
    """An object whose members are all of one kind."""
    return _described({"type": "object", "additionalProperties": of}, about)


def maybe(of: Schema) -> Schema:
    """The same, or null."""
    kinds = of["type"] if isinstance(of["type"], list) else [of["type"]]
    return {**of, "type": [*kinds, "null"]}


def _described(schema: Schema, about: str) -> Schema:
    return {**schema, "description": about} if about else schema


def check(schema: Schema, value: Any, at: str = "") -> None:
    """Raises ``ValueError``, which names the place and what is expected there."""
    if not schema:
        return
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if value is None and "null" in kinds:
        return
    if not any(_is(kind, value) for kind in kinds):
        raise ValueError(f"{at or 'the body'}: {_shown(value)} is not {_a(kinds)}")
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"{at}: {_shown(value)} is none of {', '.join(map(str, schema['enum']))}")
    if isinstance(value, dict):
        _check_members(schema, value, at)
    elif isinstance(value, (str, list)):
        _check_length(schema, value, at)
    else:
        _check_size(schema, value, at)


def _check_size(schema: Schema, value: float, at: str) -> None:
    least, most = schema.get("minimum", value), schema.get("maximum", value)
    if not least <= value <= most:  # written so that NaN is refused, too
        raise ValueError(f"{at}: {value} is not from {least} to {most}")


def _check_length(schema: Schema, value: str | list[Any], at: str) -> None:
    least, most = ("minLength", "maxLength") if isinstance(value, str) else ("minItems", "maxItems")
    if not schema.get(least, 0) <= len(value) <= schema.get(most, len(value)):
        raise ValueError(f"{at}: {len(value)} is not a length from {schema.get(least, 0)} to {schema.get(most, '…')}")
    for index, item in enumerate(value if isinstance(value, list) else ()):
        check(schema.get("items", {}), item, f"{at}[{index}]")


def _check_members(schema: Schema, value: dict[str, Any], at: str) -> None:
    members: Mapping[str, Schema] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            raise ValueError(f"{at + '.' if at else ''}{name} is missing")
    others = schema.get("additionalProperties")
    for name, inner in value.items():
        known = members.get(name)
        if known is None and others is False:
            raise ValueError(f"{at + '.' if at else ''}{name} is not known; there is: {', '.join(members)}")
        check(known if known is not None else others or {}, inner, f"{at + '.' if at else ''}{name}")


def parsed(schema: Schema, written: str, at: str) -> Any:
    """A query's text as what `schema` says; a list has commas. Raises ``ValueError``."""
    value: Any = written
    kind = schema["type"]
    if kind == "array":
        value = [
            parsed(schema["items"], part, f"{at}[{index}]") for index, part in enumerate(written.split(",")) if part
        ]
    try:
        if kind == "integer":
            value = int(written)
        elif kind == "number":
            value = float(written)
        elif kind == "boolean":
            value = {"true": True, "1": True, "": True, "false": False, "0": False}[written]
    except (ValueError, KeyError):
        raise ValueError(f"{at}: {_shown(written)} is not {_a([kind])}") from None
    check(schema, value, at)
    return value


def _is(kind: str, value: Any) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _shown(value: Any) -> str:
    written = repr(value)
    return written if len(written) <= 60 else written[:57] + "…"  # noqa: PLR2004 - a line of an error


def _a(kinds: list[str]) -> str:
    return " or ".join("null" if kind == "null" else f"{'an' if kind[0] in 'aio' else 'a'} {kind}" for kind in kinds)
