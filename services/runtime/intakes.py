"""Which topics that others write the gateway reads, as an operator sets it: `SETPOINT_INTAKE`, a JSON object by topic.

    {"falco-events": {"source": "falcosidekick", "cluster": "prod"}}

Who may write to such a topic may say that something is wrong: on this way the broker's rights are the only proof.
"""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from schemas.base import Duration, StrictModel
from schemas.topics import TopicName

TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
EXAMPLE = '{"falco-events": {"source": "falcosidekick", "cluster": "prod"}}'


class IntakeSetting(StrictModel):
    """How the records of one topic are read, and which clusters they speak about."""

    source: str = Field(description="the source of the gateway that reads each record's value, such as falcosidekick")
    cluster: str | None = Field(None, description="the cluster that all of them are about")
    clusters: tuple[str, ...] = Field((), description="globs, in place of `cluster`: each record says which one")
    cluster_label: str = Field("cluster", min_length=1, description="the label that says it")
    look_back: Duration = Field(
        default=timedelta(hours=1), description="how old records may be that were there before the topic was first read"
    )

    @model_validator(mode="after")
    def _one_way(self) -> "IntakeSetting":
        if bool(self.cluster) == bool(self.clusters):
            raise ValueError("say either 'cluster' (one name) or 'clusters' (globs)")
        return self


def _foreign(topic: str) -> str:
    if not TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise ValueError("this is no topic's name")
    if topic in set(TopicName):
        raise ValueError("this topic is Setpoint's own: only those that others write can be taken in")
    return topic


Intakes = dict[Annotated[str, AfterValidator(_foreign)], IntakeSetting]
"""By topic."""
