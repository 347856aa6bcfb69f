"""Read `schemas/topics.yaml`, the only list of topics."""

from functools import cache
from importlib.resources import files

import yaml

from schemas.topics import Topic, TopicName, Topics


@cache
def all_topics() -> tuple[Topic, ...]:
    """Every topic, in the file's order."""
    text = files("schemas").joinpath("topics.yaml").read_text(encoding="utf-8")
    return Topics.model_validate(yaml.safe_load(text)).topics


def topic(name: TopicName) -> Topic:
    """One topic by its name."""
    return next(entry for entry in all_topics() if entry.name is name)


def partition_count(entry: Topic, shared: int) -> int:
    """How many partitions a topic gets: its own number, or `shared` for all the others."""
    return entry.partitions or shared
