"""What users declare: the state to keep, and where it comes from."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, model_validator

from schemas.base import StrictModel

API_VERSION = "setpoint.dev/v1alpha1"


class Metadata(StrictModel):
    """A file object's name, as in Kubernetes."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)


class InCluster(StrictModel):
    """Where in a cluster to look. Names may be globs; nothing means everywhere."""

    namespaces: tuple[str, ...] = ()


class HelmSource(InCluster):
    """What the newest deployed revision of each Helm release says, decoded from the release's own Secret."""

    releases: tuple[str, ...] = Field((), description="names or globs of releases")


class LastAppliedSource(InCluster):
    """What `kubectl apply` noted in the objects themselves."""

    kinds: tuple[str, ...] = Field((), description="kinds or globs of kinds, such as Deployment")


class Source(StrictModel):
    """Where a baseline's manifests come from: exactly one of these. Paths are relative to the file that names them.

    `argocd` and `flux` declare no manifests: their applications are watched, whether they are suspended or failing.
    """

    folder: str | None = None
    kustomize: str | None = Field(None, description="a folder with a kustomization.yaml, built by kustomize or kubectl")
    helm: HelmSource | None = None
    last_applied: LastAppliedSource | None = None
    argocd: InCluster | None = None
    flux: InCluster | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Source":
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            known = "folder, kustomize, helm, lastApplied, argocd or flux"
            raise ValueError(f"name exactly one of {known}" + (f", not {len(given)}" if given else ""))
        return self

    @property
    def in_cluster(self) -> bool:
        """True where only the cluster knows what is declared."""
        return self.folder is None and self.kustomize is None


class PruneMode(StrEnum):
    """What becomes of an object that carries a baseline's label and is not declared by it."""

    REPORT = "report"
    ASK = "ask"
    DELETE = "delete"


class Prune(StrictModel):
    """Objects that should not be there. Without it nobody looks for them.

    Looked for among the kinds and in the namespaces that the baseline declares objects of, never elsewhere.
    """

    mode: PruneMode = PruneMode.REPORT
    label: str | None = Field(
        None, pattern=r"^[^=\s]+=[^=\s]*$", description="key=value; setpoint.dev/baseline=<name> if absent"
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        """`prune: report` is short for `prune: {mode: report}`."""
        return {"mode": value} if isinstance(value, str) else value


class IgnoreRule(StrictModel):
    """Fields that are somebody else's. An absent selector part matches everything; `path` is a JSON pointer prefix.

    `kind`, `namespace` and `name` may be globs.
    """

    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    path: str = Field(pattern=r"^/", description="RFC 6901 pointer; `*` stands for one segment")
    reason: str = Field(min_length=3)


class BaselineSpec(StrictModel):
    """See the example in the README."""

    source: Source
    manager: str | None = Field(None, description="field manager that applies these manifests")
    trusted_managers: tuple[str, ...] = Field((), description="field managers, or globs, whose additions are no drift")
    ignore: tuple[IgnoreRule, ...] = ()
    prune: Prune | None = None
    take_over: bool = Field(False, description="also judge and correct what Argo CD, Flux or a pause mark owns")


class Baseline(StrictModel):
    """The declared state of a set of objects."""

    api_version: Literal["setpoint.dev/v1alpha1"]
    kind: Literal["Baseline"]
    metadata: Metadata
    spec: BaselineSpec
