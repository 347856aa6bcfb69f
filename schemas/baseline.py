"""What users declare: the state to keep, and where it comes from."""

from typing import Literal

from pydantic import Field

from schemas.base import StrictModel

API_VERSION = "setpoint.dev/v1alpha1"


class Metadata(StrictModel):
    """A file object's name, as in Kubernetes."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)


class Source(StrictModel):
    """Where a baseline's manifests come from. `folder` is relative to the file that names it."""

    folder: str


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
    trusted_managers: tuple[str, ...] = ()
    ignore: tuple[IgnoreRule, ...] = ()


class Baseline(StrictModel):
    """The declared state of a set of objects."""

    api_version: Literal["setpoint.dev/v1alpha1"]
    kind: Literal["Baseline"]
    metadata: Metadata
    spec: BaselineSpec
