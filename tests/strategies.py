"""Hypothesis strategies for Kubernetes objects: those that an API server accepts, by kind, and those of nobody's.

A `Kind` brings declared objects together with what a mutation needs to know: which fields a server does not let change,
which texts are words of a closed list, and what a person could add that the manifest does not name.
"""

import base64
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from services.kube.objects import Object

GROUP = "props.example.org"

# Text as an API server may hold it: everything that UTF-8 can write, the rare parts made frequent.
RARE = "\x00\x07\x1b\x7f\x85\xa0\u2028\u2029\ufeff\ufffd\uffff\u202e\u05d0\u0627ß😀🏳️‍🌈/~.*#'\"\\\n\t: -"
TEXT = st.text(st.sampled_from(RARE) | st.characters(exclude_categories=["Cs"]), max_size=12)
WORD = st.text("abcdefghij", min_size=1, max_size=4)
LABEL_VALUE = st.from_regex(r"([a-z0-9]([-a-z0-9_.]{0,6}[a-z0-9])?)?", fullmatch=True)
LABELS = st.dictionaries(st.sampled_from(["app", "team", "example.org/tier", "a.b-c/d_e"]), LABEL_VALUE, max_size=3)
ANNOTATIONS = st.dictionaries(st.sampled_from(["note", "example.org/why", "x.y/z_w"]), TEXT, max_size=3)
DATA_KEY = st.from_regex(r"[-_a-zA-Z0-9]([-._a-zA-Z0-9]{0,6}[-_a-zA-Z0-9])?", fullmatch=True)
IMAGE = st.builds("example.org/{}:{}".format, WORD, st.integers(1, 99))

# Several spellings of the same amount or time; a mutation that respells picks another one of the same row.
QUANTITIES = (("1", "1000m"), ("100m", "0.1"), ("3Gi", "3072Mi"), ("0.5", "500m"), ("2", "2000m"))
DURATIONS = (("1h", "60m", "1h0m0s"), ("90s", "1m30s"), ("24h", "1440m"))
SPELLINGS = {text: row for row in (*QUANTITIES, *DURATIONS) for text in row}


@dataclass(frozen=True, repr=False)
class Kind:
    """One kind. `fixed` are pointers, `*` for any segment, of what no mutation touches; `words` gives the other members
    of a closed list. `extras` are (path, value): what a person may add; a path's step is a field's name, or a map of
    keys for a list's item.
    """

    name: str
    objects: SearchStrategy[Object]
    fixed: tuple[str, ...] = ()
    words: dict[str, str] = field(default_factory=dict)
    extras: tuple[tuple[tuple[Any, ...], Any], ...] = ()

    def __repr__(self) -> str:
        return self.name


def optional(**parts: SearchStrategy[Any]) -> SearchStrategy[Object]:
    """A map with any of these."""
    return st.fixed_dictionaries({}, optional=parts)


def made_of(api_version: str, kind: str, **parts: SearchStrategy[Any]) -> SearchStrategy[Object]:
    """Objects of a kind with labels and annotations; name and namespace come from the test."""
    metadata = optional(labels=LABELS.filter(bool), annotations=ANNOTATIONS.filter(bool))
    head = {"apiVersion": st.just(api_version), "kind": st.just(kind), "metadata": metadata}
    return st.fixed_dictionaries({**head, **parts})


def keyed(item: SearchStrategy[Object], *keys: str, least: int = 0, most: int = 3) -> SearchStrategy[list[Object]]:
    """A list whose items differ in their keys."""
    return st.lists(item, min_size=least, max_size=most, unique_by=lambda one: tuple(one.get(key) for key in keys))


ENV = st.fixed_dictionaries({"name": WORD.map(str.upper)}, optional={"value": TEXT.filter(bool)})
PORT = st.fixed_dictionaries(
    {"containerPort": st.integers(1, 65535), "protocol": st.sampled_from(["TCP", "UDP"])}, optional={}
)
RESOURCES = st.fixed_dictionaries(
    {"requests": st.fixed_dictionaries({"cpu": st.sampled_from(["100m", "0.1", "0.5", "1", "1000m"])})}
)
CONTAINER = st.fixed_dictionaries(
    {"name": WORD, "image": IMAGE},
    optional={
        "env": keyed(ENV, "name").filter(bool),
        "ports": keyed(PORT, "containerPort", "protocol").filter(bool),
        "args": st.lists(TEXT.filter(bool), min_size=1, max_size=3),
        "resources": RESOURCES,
        "workingDir": WORD.map("/{}".format),
    },
)
POD = st.fixed_dictionaries(
    {"containers": keyed(CONTAINER, "name", least=1)},
    optional={"nodeSelector": LABELS.filter(bool), "terminationGracePeriodSeconds": st.integers(1, 29)},
)
SELECTOR = {"matchLabels": {"sel": "x"}}


def template(annotations: SearchStrategy[Any] = ANNOTATIONS) -> SearchStrategy[Object]:
    """A pod template that the fixed selector finds."""
    metadata = st.fixed_dictionaries(
        {"labels": st.just({"sel": "x"})}, optional={"annotations": annotations.filter(bool)}
    )
    return st.fixed_dictionaries({"metadata": metadata, "spec": POD})


POD_EXTRAS: tuple[tuple[tuple[Any, ...], Any], ...] = (
    (("spec", "template", "spec", "containers", {"name": "sidecar"}), {"image": "example.org/sidecar:1"}),
    (("spec", "template", "spec", "containers", 0, "env", {"name": "EXTRA"}), {"value": "by hand"}),
    (("spec", "template", "spec", "containers", 0, "ports", {"containerPort": 9, "protocol": "UDP"}), {}),
    (("spec", "template", "spec", "containers", 0, "stdin"), True),
    (("spec", "template", "spec", "hostAliases", {"ip": "127.0.0.9"}), {"hostnames": ["x"]}),
    (("spec", "template", "spec", "priorityClassName"), "system-node-critical"),
    (("spec", "template", "metadata", "annotations", "by/hand"), "yes"),
    (("spec", "minReadySeconds"), 7),
)
POD_FIXED = ("/spec/selector", "/spec/template/metadata/labels", "/spec/template/spec/containers/*/ports")
METADATA_EXTRAS: tuple[tuple[tuple[Any, ...], Any], ...] = (
    (("metadata", "labels", "by.hand/label"), "yes"),
    (("metadata", "labels", "empty"), ""),
    (("metadata", "annotations", "by.hand/note"), "ünïcode 😀"),
)

DEPLOYMENT = Kind(
    "Deployment",
    made_of(
        "apps/v1", "Deployment",
        spec=st.fixed_dictionaries(
            {"selector": st.just(SELECTOR), "template": template(), "replicas": st.integers(1, 3)},
            optional={"paused": st.just(True), "revisionHistoryLimit": st.integers(1, 9)},
        ),
    ),
    (*POD_FIXED, "/spec/paused"),
    extras=(*METADATA_EXTRAS, *POD_EXTRAS, (("spec", "progressDeadlineSeconds"), 321)),
)  # fmt: skip
STATEFUL_SET = Kind(
    "StatefulSet",
    made_of(
        "apps/v1", "StatefulSet",
        spec=st.fixed_dictionaries(
            {"selector": st.just(SELECTOR), "template": template(), "replicas": st.integers(1, 2),
             "serviceName": st.just("none")},
        ),
    ),
    (*POD_FIXED, "/spec/serviceName"),
    extras=(*METADATA_EXTRAS, *POD_EXTRAS),
)  # fmt: skip
CRON_JOB = Kind(
    "CronJob",
    made_of(
        "batch/v1", "CronJob",
        spec=st.fixed_dictionaries(
            {
                "schedule": st.builds("{} 3 1 1 *".format, st.integers(0, 59)),
                "suspend": st.just(True),
                "jobTemplate": st.builds(
                    lambda pod: {"spec": {"template": {"spec": {**pod, "restartPolicy": "Never"}}}}, POD
                ),
            },
            optional={"startingDeadlineSeconds": st.integers(11, 99), "successfulJobsHistoryLimit": st.integers(1, 9)},
        ),
    ),
    ("/spec/schedule", "/spec/suspend", "/spec/jobTemplate/spec/template/spec/restartPolicy",
     "/spec/jobTemplate/spec/template/spec/containers/*/ports"),
    extras=(*METADATA_EXTRAS, (("spec", "timeZone"), "Etc/UTC"),
            (("spec", "jobTemplate", "spec", "activeDeadlineSeconds"), 99)),
)  # fmt: skip
SERVICE = Kind(
    "Service",
    made_of(
        "v1", "Service",
        spec=st.fixed_dictionaries(
            {
                "selector": LABELS.filter(bool),
                "ports": keyed(
                    st.fixed_dictionaries(
                        {"port": st.integers(1, 999), "name": WORD, "targetPort": st.integers(1, 999) | WORD,
                         "protocol": st.sampled_from(["TCP", "UDP"])}
                    ),
                    "name", least=1,
                ).filter(lambda ports: len({(port["port"], port["protocol"]) for port in ports}) == len(ports)),
            },
            optional={"sessionAffinity": st.just("None")},
        ),
    ),
    ("/spec/ports/*/name",),
    {"TCP": "UDP", "UDP": "TCP", "None": "ClientIP"},
    (*METADATA_EXTRAS, (("spec", "externalName"), "x.example.org"), (("spec", "publishNotReadyAddresses"), True)),
)  # fmt: skip
CONFIG_MAP = Kind(
    "ConfigMap",
    made_of("v1", "ConfigMap", data=st.dictionaries(DATA_KEY, TEXT, min_size=1, max_size=5)),
    extras=(
        *METADATA_EXTRAS, (("data", "by.hand"), "kind"), (("data", "scheme"), "HTTP"), (("data", "empty"), ""),
        (("binaryData", "blob"), "AAEC"),
    ),
)  # fmt: skip
SECRET_TEXT = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=16, max_size=24)
SECRET = Kind(
    "Secret",
    made_of(
        "v1", "Secret",
        data=st.dictionaries(DATA_KEY, SECRET_TEXT.map(lambda text: encoded(text)), min_size=1, max_size=4),
    ),
    extras=(*METADATA_EXTRAS, (("data", "by.hand"), base64.b64encode(b"a hand-made value").decode())),
)  # fmt: skip
INGRESS = Kind(
    "Ingress",
    made_of(
        "networking.k8s.io/v1", "Ingress",
        spec=st.fixed_dictionaries(
            {"rules": st.lists(
                st.builds(
                    lambda host, path, service: {"host": f"{host}.example.org", "http": {"paths": [{
                        "path": f"/{path}", "pathType": "Prefix",
                        "backend": {"service": {"name": service, "port": {"number": 80}}}}]}},
                    WORD, WORD, WORD,
                ), min_size=1, max_size=3)},
        ),
    ),
    extras=(*METADATA_EXTRAS, (("spec", "ingressClassName"), "by-hand"),
            (("spec", "tls"), [{"hosts": ["x.example.org"], "secretName": "x"}])),
)  # fmt: skip
AUTOSCALER = Kind(
    "HorizontalPodAutoscaler",
    made_of(
        "autoscaling/v2", "HorizontalPodAutoscaler",
        spec=st.fixed_dictionaries(
            {
                "maxReplicas": st.integers(20, 30), "minReplicas": st.integers(2, 9),
                "scaleTargetRef": st.just({"apiVersion": "apps/v1", "kind": "Deployment", "name": "nobody"}),
                "metrics": st.just([{"type": "Resource", "resource": {
                    "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]),
            },
        ),
    ),
    ("/spec/scaleTargetRef", "/spec/metrics"),
    extras=(*METADATA_EXTRAS, (("spec", "behavior"), {"scaleDown": {"stabilizationWindowSeconds": 77}})),
)  # fmt: skip
NETWORK_POLICY = Kind(
    "NetworkPolicy",
    made_of(
        "networking.k8s.io/v1", "NetworkPolicy",
        spec=st.fixed_dictionaries(
            {
                "podSelector": st.builds(lambda labels: {"matchLabels": labels}, LABELS.filter(bool)),
                "policyTypes": st.just(["Ingress"]),
                "ingress": st.lists(
                    st.builds(lambda port: {"ports": [{"port": port, "protocol": "TCP"}]}, st.integers(1, 99)),
                    min_size=1, max_size=2),
            },
        ),
    ),
    ("/spec/policyTypes",),
    extras=(*METADATA_EXTRAS, (("spec", "egress"), [{}])),
)  # fmt: skip
ROLE = Kind(
    "Role",
    made_of(
        "rbac.authorization.k8s.io/v1", "Role",
        rules=st.lists(
            st.builds(
                lambda verbs, what: {"apiGroups": [""], "resources": [what], "verbs": sorted(verbs)},
                st.sets(st.sampled_from(["get", "list", "watch"]), min_size=1), st.sampled_from(["pods", "secrets"]),
            ), min_size=1, max_size=3),
    ),
    extras=METADATA_EXTRAS,
)  # fmt: skip


def encoded(text: str) -> str:
    """A Secret's value as stored."""
    return base64.b64encode(text.encode()).decode()


ITEM = st.fixed_dictionaries(
    {"name": WORD}, optional={"size": st.integers(1, 99), "limit": st.sampled_from(QUANTITIES).map(lambda row: row[0])}
)
WIDGET = Kind(
    "Widget",
    made_of(
        f"{GROUP}/v1", "Widget",
        spec=optional(
            rules=keyed(ITEM, "name").filter(bool),
            tags=st.lists(WORD, min_size=1, max_size=4, unique=True),
            steps=st.lists(st.fixed_dictionaries({"run": TEXT}), min_size=1, max_size=3),
            table=st.dictionaries(TEXT, TEXT, min_size=1, max_size=4),
            port=st.integers(1, 99) | WORD,
            limit=st.sampled_from(sorted(text for row in QUANTITIES for text in row)),
            every=st.sampled_from(sorted(text for row in DURATIONS for text in row)),
            ratio=st.floats(-1e9, 1e9, allow_nan=False).filter(lambda number: number != int(number)),
            free=st.recursive(
                TEXT | st.integers(-(2**53), 2**53) | st.booleans(),
                lambda child: st.lists(child, min_size=1, max_size=3)
                | st.dictionaries(TEXT.filter(bool), child, min_size=1, max_size=3),
                max_leaves=6,
            ).map(lambda value: {"any": value}),
        ).filter(bool),
    ),
    extras=(
        *METADATA_EXTRAS, (("spec", "rules", {"name": "by-hand"}), {"size": 5}), (("spec", "count"), 3),
        (("spec", "table", "by/hand~"), "x"), (("spec", "free", "by hand"), {"a": [1, {"b": "c"}]}),
    ),
)  # fmt: skip

KINDS = (
    DEPLOYMENT, STATEFUL_SET, CRON_JOB, SERVICE, CONFIG_MAP, SECRET, INGRESS, AUTOSCALER, NETWORK_POLICY, ROLE, WIDGET,
)  # fmt: skip

# What no server would hold, but a broken proxy, a hostile client or a wrong file may bring.
ODD_TEXT = st.text(st.sampled_from(RARE + "\ud800\udfff0123456789²") | st.characters(), max_size=20)
ODD_NUMBER = st.sampled_from(
    [0, -0.0, 2**63, -(2**63), 2**64, 2**200, 1e308, -1e308, 5e-324, 0.1, True, False]
) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)  # fmt: skip
ODD_SCALAR = st.none() | st.booleans() | ODD_NUMBER | ODD_TEXT
ODD = st.recursive(
    ODD_SCALAR, lambda child: st.lists(child, max_size=4) | st.dictionaries(ODD_TEXT, child, max_size=4), max_leaves=12
)
