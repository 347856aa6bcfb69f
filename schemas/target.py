"""The one thing that can be acted on, and its text form, which is every event's subject."""

from schemas.base import EventModel

CORE = "core"
CLUSTER_SCOPED = "_"


class Target(EventModel):
    """An object of a cluster. `group` is "" for the core group, `namespace` "" for cluster-scoped objects."""

    cluster: str
    group: str
    kind: str
    namespace: str
    name: str
    uid: str | None = None

    @property
    def subject(self) -> str:
        """`cluster/group/kind/namespace/name`, with `core` for the core group and `_` for no namespace."""
        return f"{self.cluster}/{self.group or CORE}/{self.kind}/{self.namespace or CLUSTER_SCOPED}/{self.name}"

    @classmethod
    def from_subject(cls, subject: str) -> "Target":
        """Read the text form back. Raises ValueError when it has not five parts."""
        parts = subject.split("/")
        if len(parts) != 5 or not all(parts):
            raise ValueError(f"a target is cluster/group/kind/namespace/name, not {subject!r}")
        cluster, group, kind, namespace, name = parts
        return cls(
            cluster=cluster,
            group="" if group == CORE else group,
            kind=kind,
            namespace="" if namespace == CLUSTER_SCOPED else namespace,
            name=name,
        )
