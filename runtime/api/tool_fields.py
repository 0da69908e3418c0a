"""The fields of a chat request that say which functions the model may call. Pure.

Whether the model served can call functions at all is its worker's to say.

>>> asked = msgspec.convert({"tools": [{"type": "function", "function": {"name": "f"}}],
...                          "tool_choice": "required"}, ToolFields)
>>> tool_specs(asked, ApiLimits())[0].name, tool_choice(asked).mode
('f', 'required')
"""

from typing import Annotated, Literal

import msgspec

from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.api.wire_value import check_wire_value
from sealift.runtime.engine.request import ToolChoice, ToolSpec

__all__ = ["ToolFields", "tool_choice", "tool_specs"]

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}\Z")]


class _Function(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: _Name
    description: str | None = None
    parameters: dict[str, object] | None = None
    # Arguments are always held to the schema, so both values are.
    strict: bool | None = None


class _Tool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["function"]
    function: _Function


class _NamedFunction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: _Name


class _NamedChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["function"]
    function: _NamedFunction


class ToolFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields as they are spelled."""

    tools: tuple[_Tool, ...] | None = None
    tool_choice: Literal["none", "auto", "required"] | _NamedChoice | None = None
    parallel_tool_calls: bool | None = None


def tool_specs(fields: ToolFields, limits: ApiLimits) -> tuple[ToolSpec, ...]:
    """Return the functions.

    Raises:
        BadRequestError: too many, two of one name, or a schema that cannot be sent on.
    """
    tools = fields.tools or ()
    if len(tools) > limits.tools:
        raise BadRequestError(
            f"tools: expected at most {limits.tools}, got {len(tools)}", param="tools"
        )
    names: set[str] = set()
    for index, tool in enumerate(tools):
        path = f"tools[{index}].function"
        if tool.function.name in names:
            raise BadRequestError(
                f"{path}.name: {tool.function.name!r} is the name of an earlier tool",
                param=f"{path}.name",
            )
        names.add(tool.function.name)
        check_wire_value(tool.function.parameters, f"{path}.parameters")
    return tuple(
        ToolSpec(
            name=tool.function.name,
            description=tool.function.description,
            parameters=tool.function.parameters or {},
        )
        for tool in tools
    )


def tool_choice(fields: ToolFields) -> ToolChoice:
    """Return whether a call is forbidden, allowed, or a must.

    Raises:
        BadRequestError: a must that no tool can meet.
    """
    names = {tool.function.name for tool in fields.tools or ()}
    match fields.tool_choice:
        case None:
            return ToolChoice(mode="auto" if names else "none")
        case "none" | "auto" as mode:
            return ToolChoice(mode=mode if names else "none")
        case "required":
            if not names:
                raise BadRequestError("tool_choice: required, and no tools", param="tool_choice")
            return ToolChoice(mode="required")
        case _NamedChoice(function=function):
            if function.name not in names:
                raise BadRequestError(
                    f"tool_choice.function.name: {function.name!r} is none of the tools",
                    param="tool_choice.function.name",
                )
            return ToolChoice(mode="named", name=function.name)
