"""The bytes of an apply: JSON that a YAML parser reads as the same JSON.

The API server reads the bodies of server-side apply as YAML. There a raw DEL or C1 control character is an error, and a
raw NEL, line or paragraph separator inside a text is a line break, which becomes a space: a ConfigMap with one would be
changed by its own correction, for ever. Escapes of pairs (`\\ud83d\\ude00`) are refused in turn, so the rest stays raw.
A key of more than 1024 characters is only one to YAML where a question mark says so.
Source: the reader of go.yaml.in/yaml/v2 (readerc.go, scannerc.go).
"""

import re
from typing import Any

import orjson

# In UTF-8: U+007F, U+0080 to U+009F, U+2028, U+2029, U+FEFF, U+FFFE, U+FFFF.
UNSAFE = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
MAY_BE_LONG = re.compile(rb'[^"]{900}')


def apply_body(manifest: Any) -> bytes:
    """Raises TypeError for what is no JSON."""
    text = UNSAFE.sub(_escaped, orjson.dumps(manifest))
    return STRING.sub(_marked, text) if MAY_BE_LONG.search(text) else text


def _marked(found: re.Match[bytes]) -> bytes:
    """A string, with a question mark where it is a long key: only a key has a colon right behind it."""
    long = found.end() - found.start() > 900 and found.string[found.end() : found.end() + 1] == b":"
    return b"? " + found[0] if long else found[0]


def _escaped(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())
