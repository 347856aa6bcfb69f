"""topics.yaml is the only list of topics; code, ACLs and manifests rely on it."""

import pytest

from schemas.events import PREFIX, TYPES
from schemas.topics import RECORDED, RECORDER_READS, UNRECORDED, TopicName
from services.runtime.topics import all_topics, partition_count, topic

PARTS = {"watcher", "reconciler", "recorder", "gateway", "cli"}
EVENTS = {name.removeprefix(PREFIX).rpartition(".v")[0] for name in TYPES.values()}


def test_names_in_code_and_file_agree() -> None:
    """Neither knows a topic that the other does not."""
    assert sorted(entry.name for entry in all_topics()) == sorted(TopicName)


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_every_event_type_has_exactly_one_topic(event: str) -> None:
    """Otherwise its order would be lost, or nobody would know where to look."""
    assert len([entry for entry in all_topics() if event in entry.events]) == 1


def test_topics_list_no_event_that_is_not_there() -> None:
    """A topic's consumers rely on the list."""
    assert {event for entry in all_topics() for event in entry.events} == EVENTS


def test_topics_keyed_by_cluster_share_one_partition_count() -> None:
    """One reconciler owns a cluster's drift, control and ledger only if its partition is the same in all of them."""
    shared = [entry for entry in all_topics() if entry.shared]
    assert [entry.name for entry in shared if entry.partitions is not None] == []
    assert {partition_count(entry, 6) for entry in shared} == {6}
    keyed = {TopicName.DRIFT, TopicName.CONTROL, TopicName.DECISIONS, TopicName.ACTIONS, TopicName.LEDGER}
    assert {*keyed, TopicName.ALERTS, TopicName.APPROVALS, TopicName.AUDIT} == {entry.name for entry in shared}


def test_partitions_of_their_own_are_kept() -> None:
    """The dead letters need no more than one, whatever the others have."""
    assert partition_count(topic(TopicName.DEAD_LETTER), 6) == 1


def test_retention_is_said_once_and_fits_the_clean_up() -> None:
    """A compacted topic keeps the last of each key for ever; any other says for how long."""
    for entry in all_topics():
        assert entry.compacted == (entry.retention is None)
        assert entry.config()["cleanup.policy"] == ("compact" if entry.compacted else "delete")


def test_everybody_named_is_a_part_of_setpoint() -> None:
    """ACLs are made from these names."""
    assert {name for entry in all_topics() for name in (*entry.producers, *entry.consumers)} <= PARTS


def test_the_recorder_reads_every_topic_of_events() -> None:
    """The history is complete only if every event's topic is recorded; audit is raw material, kept for an hour."""
    assert {entry.name for entry in all_topics() if "recorder" in entry.consumers} == set(RECORDER_READS)
    assert {entry.name for entry in all_topics() if entry.events} - set(RECORDED) == {TopicName.AUDIT}
    assert not set(UNRECORDED) & set(RECORDED)
