"""What an operator can set, from environment variables `SETPOINT_…` and the options of commands.

Nothing has a default that would reach somebody's cluster, broker or database: those must be named.
"""

import secrets
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from schemas.base import Duration, parse_duration
from services.runtime.errors import UsageError
from services.runtime.intakes import Intakes

PREFIX = "SETPOINT_"
IN_CLUSTER = "in-cluster"


class Settings(BaseSettings):
    """One process' settings. Every field is also the environment variable `SETPOINT_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    kafka: str | None = Field(None, description="bootstrap servers, HOST:PORT[,HOST:PORT]")
    partitions: int = Field(6, ge=1, le=1000, description="partitions of the topics that are keyed by cluster")
    replication: int = Field(1, ge=1, description="replicas of each topic that Setpoint itself creates")
    group_prefix: str = Field("setpoint", min_length=1, description="prefix of consumer groups and transactional ids")
    cluster: str | None = Field(None, description="the cluster's name in events; the context's name if not set")
    kubeconfig: Path | None = None
    context: str | None = Field(None, description=f"kubeconfig context, or '{IN_CLUSTER}'")
    clickhouse: str | None = Field(None, description="http(s)://user:password@host:8123/database, or chdb:///folder")
    clickhouse_cluster: str | None = Field(
        None, description="run the schema's statements ON CLUSTER of this name, with replicated tables"
    )
    clickhouse_replicated: bool = Field(False, description="replicated tables, where the database itself spreads them")
    migrate: Literal["apply", "refuse"] = Field(
        "apply", description="what the recorder does with a schema that is older: 'refuse' asks for 'setpoint migrate'"
    )
    retention_events: Duration | None = Field(None, description="the history, at least 31d; not set: as it is, 400d")
    retention_rollups: Duration | None = Field(None, description="its hourly numbers, at least 31d; as it is: 1095d")
    retention_metrics: Duration | None = Field(None, description="the services' metrics, at least 1d; as it is: 30d")
    retention_samples: Duration | None = Field(None, description="Prometheus' samples, at least 31d; as it is: 400d")
    baselines: Path | None = Field(None, description="file or folder with Baseline documents")
    policies: Path | None = Field(None, description="file or folder with Policy documents")
    environment: str = Field("", description="what 'event.env' is for alerts that do not say it, such as production")
    protected_namespaces: tuple[str, ...] = ("kube-system", "kube-public", "kube-node-lease")
    storm_max: int = Field(60, ge=1, description="actions on alerts within storm_within, after which a brake closes")
    storm_within: Duration = Field(default=parse_duration("5m"), description="the window that storm_max counts in")
    mask_key: str = Field(
        default_factory=lambda: secrets.token_hex(32),
        min_length=16,
        repr=False,
        description="key of the hashes that stand for Secrets; without one, hashes of two processes do not compare",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    http_host: str = "127.0.0.1"
    http_port: int | None = Field(None, ge=0, le=65535, description="/live, /ready, /metrics; 0 takes a free port")
    gateway_listen: str = Field(
        "127.0.0.1:8080", description="HOST:PORT of the gateway's HTTP interface; port 0: a free one"
    )
    gateway_secrets: Path | None = Field(None, description="folder or YAML file with each source's secrets")
    action_secrets: Path | None = Field(None, description="folder with a file for each secret that actions name")
    gateway_tls_certificate: Path | None = Field(None, description="PEM; without one the gateway speaks plain HTTP")
    gateway_tls_key: Path | None = None
    gateway_client_ca: Path | None = Field(None, description="PEM; senders may prove themselves by its certificates")
    gateway_rate: float = Field(
        200, gt=0, description="requests a second that one sender may send; twice as many at once"
    )
    gateway_connections: int = Field(64, ge=1, description="open connections from one address; more behind a proxy")
    intake: Intakes = Field(default={}, description="topics that others write, and how each is read, as JSON")
    trouble: bool = Field(True, description="alerts about what Kubernetes itself knows to be wrong, by the watcher")
    falco: bool = Field(True, description="alerts from the logs of Falco's pods, by the watcher")
    falco_namespace: str = Field(
        "falco", description="where Falco runs; empty for anywhere: then whoever may create pods can speak as Falco"
    )
    falco_selector: str = Field("app.kubernetes.io/name=falco", min_length=1, description="labels of Falco's pods")
    resync: Duration = Field(default=parse_duration("30m"), description="full comparison of everything watched")

    def need(self, field: str, option: str) -> Any:
        """A setting that this command cannot do without. Raises UsageError naming the option and the variable."""
        value = getattr(self, field)
        if value is None:
            raise UsageError(f"'{field}' is not set", f"Give {option} or set {PREFIX}{field.upper()}")
        return value

    def key(self) -> bytes:
        """The key of the hashes of Secrets, as bytes."""
        return self.mask_key.encode()


def load_settings(**given: Any) -> Settings:
    """Settings from the environment, with the options of a command on top (None means not given).

    Raises UsageError naming each variable or option that is wrong.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problems = [f"{_where(item['loc'])}: {item['msg']}" for item in error.errors()]
        raise UsageError("a setting is wrong: " + "; ".join(problems), "See 'setpoint check --help'") from error
    except SettingsError as error:  # it names the field, and quotes nothing of it
        raise UsageError(f"a setting is not JSON: {error}", "Write lists and maps as JSON") from None


def _where(loc: tuple[int | str, ...]) -> str:
    """The variable, and the place in it."""
    return ".".join([f"{PREFIX}{loc[0]}".upper() if loc else PREFIX, *map(str, loc[1:])])
