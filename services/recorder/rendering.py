"""A migration's SQL as one server takes it, or as a cluster of replicas does.

The files are written for one server. With `replicated`, tables are of the Replicated engines (which keep their own
deduplication log in Keeper); with a `cluster`, every statement is also run on all of its servers. One shard is meant:
nothing here makes Distributed tables.
"""

import re
from dataclasses import dataclass

from services.runtime.errors import UsageError

CLUSTER = re.compile(r"[\w{}.-]+")
HEAD = re.compile(
    r"^(CREATE TABLE IF NOT EXISTS|CREATE MATERIALIZED VIEW IF NOT EXISTS|CREATE OR REPLACE VIEW|ALTER TABLE) (\w+)",
    re.MULTILINE,
)
ENGINE = re.compile(r"^ENGINE = (\w*MergeTree)\b", re.MULTILINE)
WINDOW = re.compile(r"\bnon_replicated_deduplication_window = (\d+)")
REMEMBERED_S = 7 * 24 * 3600
"""As long as the topics keep their records: no insert is repeated after that."""


@dataclass(frozen=True)
class Layout:
    """How tables are spread. `cluster` is a name from the servers' `remote_servers`, or a macro such as {cluster}."""

    cluster: str | None = None
    replicated: bool = False

    def __post_init__(self) -> None:
        if self.cluster is not None and not CLUSTER.fullmatch(self.cluster):
            raise UsageError(
                "the name of ClickHouse's cluster has other characters than letters, digits and _ . - { }",
                "Set SETPOINT_CLICKHOUSE_CLUSTER to a name from the servers' remote_servers",
            )


ONE_SERVER = Layout()


def render(statement: str, layout: Layout) -> str:
    """The statement for this layout; unchanged for one server."""
    if layout.cluster is not None:
        statement = HEAD.sub(rf"\1 \2 ON CLUSTER '{layout.cluster}'", statement)
    if layout.cluster is not None or layout.replicated:
        statement = ENGINE.sub(r"ENGINE = Replicated\1", statement)
        remembered = f"replicated_deduplication_window_seconds = {REMEMBERED_S}"
        statement = WINDOW.sub(rf"replicated_deduplication_window = \1, {remembered}", statement)
    return statement
