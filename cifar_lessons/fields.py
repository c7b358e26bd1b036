"""A recipe as plain data: to and from dicts, with one field changed, and compared by field."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from cifar_lessons.config import Json, PairConfig, Recipe, ViewsConfig
from cifar_lessons.errors import UserError, suggest

T = TypeVar("T")

# Tables that a recipe may do without: setting one of their fields begins at the defaults.
OPTIONAL: dict[str, type] = {"views": ViewsConfig, "pair": PairConfig}
NOT_COMPARED = ("seeds", "validate_every", "keep_weights", "expects", "about")


def to_dict(config: Any) -> dict[str, Json]:
    """Return a dataclass as nested dicts and lists, ready for JSON."""
    result = _plain(config)
    assert isinstance(result, dict)
    return result


def _plain(value: Any) -> Json:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return value


def from_dict(cls: type[T], data: Mapping[str, Json], *, where: str = "") -> T:
    """Build `cls` from what `to_dict` gave.

    Args:
        cls: A dataclass of this module.
        data: Nested dicts; a missing field takes its default.
        where: Dotted path of `data`, for messages.

    Raises:
        UserError: An unknown field (the nearest names are offered), or a value of a wrong type.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in data:
        if key not in fields:
            raise UserError(f"unknown field {where + key!r}: {suggest(key, fields)}")
    values = {k: _convert(hints[k], v, where + k) for k, v in data.items()}
    missing = [
        f.name
        for f in fields.values()
        if f.name not in values
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UserError(f"field {where + missing[0]!r} is missing: give it a value")
    return cls(**values)


def _convert(hint: Any, value: Json, where: str) -> Any:
    """Return `value` as the type `hint`, or raise a `UserError` that names `where`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    wrong = UserError(f"{where} must be {_spell(hint)}, got {value!r}")
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        rest = [a for a in args if a is not type(None)]
        return _convert(_of_kind(rest, value, where), value, where)
    if origin is Literal:
        if value not in args:
            raise wrong
        return value
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            inner = ", ".join(f"{where}.{f.name}" for f in dataclasses.fields(hint))
            raise UserError(f"{where} is a table, got {value!r}; set one of its fields: {inner}")
        return from_dict(typing.cast("type[Any]", hint), value, where=where + ".")
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise wrong
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(value):
            raise wrong
        return tuple(_convert(k, v, where) for k, v in zip(kinds, value, strict=True))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 2**53 else math.inf  # no field's range goes so far
    if hint in (int, float, str, bool) and type(value) is not hint:
        raise wrong
    if origin is not None and issubclass(origin, Mapping) and not isinstance(value, Mapping):
        raise wrong
    return dict(value) if isinstance(value, Mapping) else value


def _of_kind(hints: list[Any], value: Json, where: str) -> Any:
    """Return which of several types `value` has: of tables, the one whose `kind` it names."""
    if len(hints) == 1 or not isinstance(value, Mapping):
        return hints[0]
    kinds = {hint.kind: hint for hint in hints}
    kind = value.get("kind", hints[0].kind)
    if not isinstance(kind, str) or kind not in kinds:
        raise UserError(f"{where}.kind must be one of {', '.join(map(repr, kinds))}, got {kind!r}")
    return kinds[kind]


def _spell(hint: Any) -> str:
    """Return a type as a person would write it: `one of 'sgd', 'adam'`, `float or null`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(a) for a in args)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_spell(a) for a in args)
    if origin is tuple:
        return f"a list of {_spell(args[0])}" + ("" if args[-1] is Ellipsis else f" x {len(args)}")
    if hint is type(None):
        return "null"
    if dataclasses.is_dataclass(hint) or (origin is not None and issubclass(origin, Mapping)):
        return "a table of fields"
    return getattr(hint, "__name__", str(hint))


def override(recipe: Recipe, *assignments: str) -> Recipe:
    """Return `recipe` with fields changed, each as in `optim.peak_lr=0.2`.

    A value is JSON where it parses as JSON, and text otherwise. The result is checked once, after
    the last change: some fields, as an objective and what it looks at, can only change together.

    Raises:
        UserError: No `=`, an unknown field, or a value that the field refuses.
    """
    data = to_dict(recipe)
    renewed: set[str] = set()
    for assignment in assignments:
        _assign(data, assignment, renewed)
    return from_dict(Recipe, data) if assignments else recipe


def _assign(data: dict[str, Any], assignment: str, renewed: set[str]) -> None:
    """Change one field of a recipe's data in place.

    A table of a new kind begins empty, and its name joins `renewed`: it may get any field, and
    what it may not have is told in the end.
    """
    import json

    path, equals, text = assignment.partition("=")
    if not equals or not path:
        raise UserError(f"--set needs FIELD=VALUE, got {assignment!r}; try --set optim.peak_lr=0.2")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    here, seen = data, ""
    *parents, last = path.split(".")
    for part in parents:
        if part not in here:
            raise UserError(f"unknown field {seen + part!r}: {suggest(part, here)}")
        if here[part] is None and part in OPTIONAL:
            here[part] = to_dict(OPTIONAL[part]())
        if not isinstance(here[part], dict):
            raise UserError(f"{seen + part} has no fields of its own; try {seen + part}=VALUE")
        here, seen = here[part], f"{seen}{part}."
    if last not in here and seen != "model.options." and seen not in renewed:
        raise UserError(f"unknown field {seen + last!r}: {suggest(last, here)}")
    if last == "kind" and here[last] != value:
        here.clear()
        renewed.add(seen)
    here[last] = value


def _defaults(config: Any, recorded: Mapping[str, Json]) -> dict[str, Json]:
    """Return the default of each field that has one, in tables of the kinds that a record has."""
    out: dict[str, Json] = {}
    for field in dataclasses.fields(config):
        value, then = getattr(config, field.name), recorded.get(field.name)
        if (
            dataclasses.is_dataclass(value)
            and isinstance(then, Mapping)
            and then.get("kind") == getattr(value, "kind", None)
        ):
            out[field.name] = _defaults(value, then)
        elif field.default is not dataclasses.MISSING:
            out[field.name] = _plain(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            out[field.name] = _plain(field.default_factory())
    return out


def differences(recorded: Mapping[str, Json], now: Recipe) -> list[str]:
    """Return what changed since a recipe was recorded, a line a field; empty when nothing did.

    Args:
        recorded: A recipe as `to_dict` gave it then. A field that is newer than the record
            counts as unchanged while it stands at its default.
        now: The recipe of today.

    Returns:
        Lines such as `optim.peak_lr: recorded 0.05, now 0.1`.
    """

    def flat(data: Mapping[str, Json], prefix: str = "") -> dict[str, Json]:
        out: dict[str, Json] = {}
        for key, value in data.items():
            if isinstance(value, Mapping):
                out |= flat(value, f"{prefix}{key}.")
            else:
                out[prefix + key] = value
        return out

    def compared(data: Mapping[str, Json]) -> dict[str, Json]:
        return flat({k: v for k, v in data.items() if k not in NOT_COMPARED})

    then, today = compared(recorded), compared(to_dict(now))
    defaults = compared(_defaults(now, recorded))
    lines = []
    for key in sorted(then | today):
        if key not in then and key in defaults and today[key] == defaults[key]:
            continue
        if key in then and key in today and then[key] == today[key]:
            continue
        was, is_ = (repr(side[key]) if key in side else "not set" for side in (then, today))
        lines.append(f"{key}: recorded {was}, now {is_}")
    return lines
