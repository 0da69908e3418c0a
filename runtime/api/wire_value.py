"""Hold JSON from a client to what the channel to the worker can carry. Pure.

JSON has integers of any size, msgpack those of 64 bits.

>>> check_wire_value({"maximum": 10**30}, "tools[0].function.parameters")
Traceback (most recent call last):
sealift.runtime.api.errors.BadRequestError: tools[0].function.parameters: ...
"""

import msgspec

from sealift.runtime.api.errors import BadRequestError

__all__ = ["check_wire_value"]


def check_wire_value(value: object, param: str) -> None:
    """Check that the value can be sent.

    Raises:
        BadRequestError: it holds an integer of more than 64 bits.
    """
    try:
        msgspec.msgpack.encode(value)
    except OverflowError as error:
        raise BadRequestError(f"{param}: expected integers of 64 bits", param=param) from error
