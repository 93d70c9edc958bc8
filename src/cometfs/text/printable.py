"""Foreign text as a terminal and a log can bear it: what a server, a program or a file's name says gives no commands.

Control characters clear screens, set titles and forge lines; some that are invisible turn the order of others around.
Not here: where text goes (console.py).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

_UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters: C0, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # order of writing
    "\u2028\u2029"  # ends of lines
    "\ud800-\udfff"  # bytes that are no text
    "]"
)

_SHORT: Mapping[str, str] = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def printable(text: str) -> str:
    """`text` in one line, what would not be seen of it as ``\\x1b``, ``\\n`` or ``\\u202e``."""
    return _UNSAFE.sub(lambda found: _escaped(found.group()), text)


def printable_lines(text: str) -> str:
    """`text` of several lines, each printable; the later ones are indented, so that none looks like one of ours."""
    return "\n  ".join(map(printable, text.split("\n")))


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # how Python holds a byte that is no text
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


class Formatter(logging.Formatter):
    """Of a record one line; of a traceback several, which are indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return "  " + printable_lines(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        return "  " + printable_lines(super().formatStack(stack_info))


def without_password(text: str) -> str:
    """An address without the user and the password in it; any other text as it is."""
    scheme, found, rest = text.partition("://")
    return f"{scheme}://…@{rest.rpartition('@')[2]}" if found and "@" in rest else text
