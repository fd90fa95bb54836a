"""Readers of formats, written from the standards and not from our writers."""

from __future__ import annotations

import re

SYSLOG = re.compile(
    rb"<(?P<pri>\d{1,3})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00)"
    rb" (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<pid>[!-~]{1,128}) (?P<kind>[!-~]{1,32})"
    rb" - (?P<message>.*)",
    re.DOTALL,
)
"""RFC 5424, section 6, with the nil value as structured data."""


def read_cef(text: str) -> tuple[list[str], dict[str, str]]:
    """Return the seven header fields and the extension of a CEF message."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", text, maxsplit=7)
    *header, extension = parts
    assert len(header) == 7, text
    assert header[0] == "CEF:0"
    marks = list(re.finditer(r"(?:^| )(\w+)(?<!\\)=", extension))
    fields = {}
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        value = extension[mark.end() : len(extension) if after is None else after.start()]
        fields[mark[1]] = unescaped(value)
    return [unescaped(part) for part in header], fields


def unescaped(text: str) -> str:
    """Take back the escapes; anything else behind a backslash is no CEF."""
    assert not re.search(r"\\(?![\\=|])", re.sub(r"\\\\", "", text)), text
    return re.sub(r"\\(.)", r"\1", text)
