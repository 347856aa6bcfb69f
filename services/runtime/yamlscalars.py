"""What an unquoted YAML scalar means to Kubernetes: the rules of sigs.k8s.io/yaml (go-yaml v2, then JSON).

PyYAML follows YAML 1.1 otherwise: to it `12:30` is 750, a date is a date, and `0o644` and `1e3` are texts.
Source: go.yaml.in/yaml/v2 resolve.go; a whole float becomes an integer on the way through JSON, as the API server's
decoder reads it.
"""

import math
import re
from decimal import Decimal
from functools import lru_cache
from struct import pack, unpack

Scalar = str | int | float | bool | None

WORDS: dict[str, Scalar] = {
    **dict.fromkeys("y Y yes Yes YES true True TRUE on On ON".split(), True),
    **dict.fromkeys("n N no No NO false False FALSE off Off OFF".split(), False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], None),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], math.nan),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], math.inf),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], -math.inf),
}
NUMERIC = frozenset("+-.0123456789")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
INTEGER = re.compile(r"([-+]?)(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)")
UNDERSCORE = re.compile(r"(?<=[0-9])_(?=[0-9])")
BASES = {"x": 16, "o": 8, "b": 2}


@lru_cache(maxsize=8192)
def resolve_plain(text: str) -> Scalar:
    """An unquoted scalar's value. NaN and infinities come back as such; JSON has none, so callers refuse them."""
    value = go_value(text)
    return normal(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def go_value(text: str) -> Scalar:
    """The value before it goes through JSON, which keys do not."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in NUMERIC:
        return text
    plain = UNDERSCORE.sub("", text) if text[0] == "." else text.replace("_", "")
    whole = _integer(plain)
    if whole is not None and -(2**63) <= whole < 2**64:
        return whole
    if FLOAT.fullmatch(plain) and not math.isinf(number := float(plain)):
        return number
    return text


def _integer(text: str) -> int | None:
    """Go's ParseInt with base 0: a leading 0 is octal."""
    found = INTEGER.fullmatch(text)
    if not found or len(text) > 80:  # too long for 64 bits in any base
        return None
    digits = found[2].lower()
    base = BASES.get(digits[1:2], 8 if len(digits) > 1 and digits[0] == "0" else 10)
    value = int(digits[2:] if digits[1:2] in BASES else digits, base)
    return -value if found[1] == "-" else value


def normal(number: float) -> int | float:
    """A number as the API server holds it: int64 where Go writes it as whole digits that fit, else float64."""
    if isinstance(number, float) and (not math.isfinite(number) or number != int(number)):
        return number
    whole = number if isinstance(number, int) else int(Decimal(repr(number)))
    return whole if -(2**63) <= whole < 2**63 else float(number)


@lru_cache(maxsize=8192)
def key_text(text: str) -> str | None:
    """An unquoted key as text: JSON has no other keys, so `y: 1` is the key `true` and `1.10: x` the key `1.1`.

    None for what can be no key: nothing at all, and integers beyond int64.
    """
    value = go_value(text)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _short(value)
    if value is None or (isinstance(value, int) and value >= 2**63):
        return None
    return str(value)


def _short(value: float) -> str:
    """Go's FormatFloat(value, 'g', -1, 32): the shortest text that is the same float32."""
    try:
        single = unpack("f", pack("f", value))[0]
    except OverflowError:
        single = math.inf if value > 0 else -math.inf
    if not math.isfinite(single):
        return ".nan" if math.isnan(single) else ".inf" if single > 0 else "-.inf"
    digits = next(count for count in range(9) if unpack("f", pack("f", float(f"{single:.{count}e}")))[0] == single)
    text = f"{single:.{digits}e}"
    exponent = int(text.partition("e")[2])
    return text if exponent < -4 or exponent >= 6 else f"{single:.{max(0, digits - exponent)}f}"
