"""The messages of Prometheus remote write, 1.0 and 2.0, as far as they are read, built without generated code.

Both specifications give field numbers (https://prometheus.io/docs/specs/prw/remote_write_spec/ and …_spec_2_0/).
What holds many small messages is declared as bytes, which the wire cannot tell apart: a million empty messages are
then a million empty strings and not a million objects, and a series that was seen before is found by the bytes of its
labels, with none of them read.
"""

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "setpoint.write"
Field = descriptor_pb2.FieldDescriptorProto
TYPES = {
    "double": Field.TYPE_DOUBLE, "int64": Field.TYPE_INT64, "uint64": Field.TYPE_UINT64, "uint32": Field.TYPE_UINT32,
    "int32": Field.TYPE_INT32, "sint32": Field.TYPE_SINT32, "sint64": Field.TYPE_SINT64, "string": Field.TYPE_STRING,
    "bytes": Field.TYPE_BYTES,
}  # fmt: skip

MESSAGES = {
    "Sample": "double value = 1; int64 timestamp = 2",
    "Label": "string name = 1; string value = 2",
    "Request1": "repeated bytes timeseries = 1; repeated bytes metadata = 3",
    "Series1": "repeated bytes labels = 1; repeated Sample samples = 2; repeated bytes exemplars = 3; "
    "repeated bytes histograms = 4",
    "Metadata1": "int32 type = 1; string metric_family_name = 2; string help = 4; string unit = 5",
    "Request2": "repeated string symbols = 4; repeated bytes timeseries = 5",
    "Series2": "repeated uint32 labels_refs = 1; repeated Sample samples = 2; repeated bytes histograms = 3; "
    "repeated bytes exemplars = 4; Metadata2 metadata = 5",
    "Metadata2": "int32 type = 1; uint32 help_ref = 3; uint32 unit_ref = 4",
    "Span": "sint32 offset = 1; uint32 length = 2",
    "Histogram": "uint64 count_int = 1; double count_float = 2; double sum = 3; sint32 schema = 4; "
    "double zero_threshold = 5; uint64 zero_count_int = 6; double zero_count_float = 7; "
    "repeated Span negative_spans = 8; repeated sint64 negative_deltas = 9; repeated double negative_counts = 10; "
    "repeated Span positive_spans = 11; repeated sint64 positive_deltas = 12; repeated double positive_counts = 13; "
    "int32 reset_hint = 14; int64 timestamp = 15; repeated double custom_values = 16",
}


def _field(text: str) -> Field:
    """One of `[repeated] TYPE NAME = NUMBER`."""
    *label, kind, name, _, number = text.split()
    field = Field(name=name, number=int(number), label=Field.LABEL_REPEATED if label else Field.LABEL_OPTIONAL)
    if kind in TYPES:
        field.type = TYPES[kind]
    else:
        field.type, field.type_name = Field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    return field


@cache
def classes() -> dict[str, Any]:
    """Message classes by name. `classes()["Label"].FromString(data)` raises google.protobuf.message.DecodeError."""
    file = descriptor_pb2.FileDescriptorProto(name="setpoint/write.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        file.message_type.add(name=name).field.extend(_field(text.strip()) for text in fields.split(";"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in MESSAGES}
