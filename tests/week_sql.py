"""SQL that builds the payloads of a generated platform's events: JSON documents from Python structures, ids, times.

A structure's leaves are plain values, which stay as they are, or `Text`, `Raw` and `Time`, which are SQL expressions
over one row of lives. Times are integers, microseconds since 1970.
"""

import json
from collections.abc import Iterator, Sequence
from hashlib import md5
from typing import Any, NamedTuple

from schemas.topics import TopicName

MS, SECOND, MINUTE, HOUR, DAY = 1000, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
CLUSTERS = ("prod-eu", "prod-eu", "prod-us", "staging")
WORDS = (
    "payments checkout cart search orders billing catalog shipping identity mail ledger fraud pricing media reviews "
    "returns loyalty stock invoices gateway"
).split()
KINDS = (
    ("Deployment", "apps", "api"), ("Deployment", "apps", "web"), ("Deployment", "apps", "worker"),
    ("Deployment", "apps", "cache"), ("StatefulSet", "apps", "store"), ("DaemonSet", "apps", "agent"),
    ("ConfigMap", "", "settings"), ("Service", "", "api"), ("Secret", "", "tokens"),
    ("Ingress", "networking.k8s.io", "front"),
)  # fmt: skip


class Text(NamedTuple):
    """An expression of type String; its values need no escapes."""

    sql: str


class Raw(NamedTuple):
    """An expression whose text is JSON already: a number, a boolean, a part of a document."""

    sql: str


class Time(NamedTuple):
    """Microseconds since 1970, written as events write times."""

    sql: str


class Stream(NamedTuple):
    """Events of one type: of each life that `where` holds for, one at `at`.

    A `buried` one is the row of a record that nobody could read: that stands in the topic and makes no row there.
    """

    topic: TopicName
    lives: str
    at: str
    event: dict[str, Any]
    where: str = "1"
    buried: bool = False


def quoted(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def array(values: Sequence[str]) -> str:
    """An array of strings."""
    return "[" + ", ".join(quoted(value) for value in values) + "]"


def of(values: Sequence[str], index: str) -> str:
    """One of `values`; `index` counts from 0."""
    return f"{array(values)}[{index} + 1]"


def random(salt: str, most: int) -> str:
    """The same number from 0 up to `most` in every run, another one for every life and salt."""
    return f"toInt64(cityHash64(n, {quoted(salt)}) % {most})"


def id_sql(kind: str, number: str = "toString(n)") -> str:
    """The id of a life's part, as `id_of` says it."""
    return f"lower(hex(MD5(concat({quoted(kind + '-')}, {number}))))"


def id_of(kind: str, number: int) -> str:
    """The id of the `number`-th life's part."""
    return md5(f"{kind}-{number}".encode(), usedforsecurity=False).hexdigest()


def document(value: Any) -> str:
    """An expression that makes the JSON text of a structure."""
    joined: list[list[str]] = []
    for constant, part in _parts(value):
        if constant and joined and joined[-1][0] == "text":
            joined[-1][1] += part
        else:
            joined.append(["text" if constant else "sql", part])
    return "concat(" + ", ".join(quoted(part) if kind == "text" else part for kind, part in joined) + ")"


def _parts(value: Any) -> Iterator[tuple[bool, str]]:
    match value:
        case Text():
            yield from ((True, '"'), (False, value.sql), (True, '"'))
        case Raw():
            yield False, f"toString({value.sql})"
        case Time():
            time = f"fromUnixTimestamp64Micro(toInt64({value.sql}), 'UTC')"
            yield from ((True, '"'), (False, f"replaceOne(toString({time}), ' ', 'T')"), (True, 'Z"'))
        case dict():
            for index, (key, inner) in enumerate(value.items()):
                yield True, ("," if index else "{") + json.dumps(key) + ":"
                yield from _parts(inner)
            yield True, "}" if value else "{}"
        case list():
            yield True, "["
            for index, inner in enumerate(value):
                yield True, "," if index else ""
                yield from _parts(inner)
            yield True, "]"
        case _:
            yield True, json.dumps(value)


def envelope(type: str, source: str, id: str, time: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A CloudEvent about the life's own object; `id` and `time` are expressions."""
    return {
        "specversion": "1.0", "id": Text(id), "source": source, "type": f"dev.setpoint.{type}.v1",
        "subject": Text("subject"), "time": Time(time), "datacontenttype": "application/json",
        "correlationid": Text("correlation"), "causationid": None, "traceparent": None, **more, "data": data,
    }  # fmt: skip


TARGET = {
    "cluster": Text("cluster"), "group": Text("api_group"), "kind": Text("kind"), "namespace": Text("namespace"),
    "name": Text("name"), "uid": None,
}  # fmt: skip


def object_columns(number: str, namespaces: int) -> str:
    """Columns of the object of that number: ten in each namespace."""
    return f"""
        toUInt32({number} % {namespaces * len(KINDS)}) AS object,
        intDiv(object, {len(KINDS)}) AS place, object % {len(KINDS)} AS slot,
        {of(CLUSTERS, "place % 4")} AS cluster,
        concat({of(WORDS, f"place % {len(WORDS)}")}, '-', toString(intDiv(place, {len(WORDS)}))) AS namespace,
        {of([kind for kind, _, _ in KINDS], "slot")} AS kind,
        {of([group for _, group, _ in KINDS], "slot")} AS api_group,
        {of([name for _, _, name in KINDS], "slot")} AS name,
        concat(cluster, '/', if(api_group = '', 'core', api_group), '/', kind, '/', namespace, '/', name) AS subject"""
