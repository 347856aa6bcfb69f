"""What a comparison found, as plain data: what `--output json|yaml` prints and the table is drawn from.

Values of Secrets are hashes from here on. Paths are RFC 6901 pointers into the live object.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.events import DriftState, FieldChange, FindingReason
from services.kube.correction.jsonpatch import patch_for
from services.kube.declaration.baselines import Declared
from services.kube.masking import is_secret
from services.kube.objects import Object
from services.kube.verdict.describe import describe
from services.kube.verdict.judge import Finding
from services.kube.verdict.scan import Comparison
from services.kube.verdict.unwanted import Unwanted
from services.kube.writers.trust import is_person

Found = tuple[Declared, Object | None, Finding]

FIXES = {
    FindingReason.TERMINATING: "wait, or look for the finalizer that holds it",
    FindingReason.CLAIMED_TWICE: "remove it from all baselines but one",
    FindingReason.FOREIGN_OWNED: "leave it to its owner, or set takeOver: true in the baseline",
    FindingReason.NOT_SERVED: "install the kind's definition, or correct apiVersion",
    FindingReason.UNKNOWN_FIELD: "correct the field's spelling, or apiVersion",
    FindingReason.IMMUTABLE: "it can only be made anew: by hand, or by a policy that allows recreate",
    FindingReason.INVALID: "correct the field that the server names",
    FindingReason.DRY_RUN_REFUSED: "give the webhook sideEffects: None, so that it takes dry-runs",
    FindingReason.FORBIDDEN: "grant the right that the server names",
    FindingReason.SUSPENDED: "resume the application in its own tool",
    FindingReason.FAILING: "see the application's own conditions",
}


@dataclass(frozen=True)
class Report:
    """All of one `setpoint diff`. `names` are the baselines, `notes` what was seen beside the objects."""

    context: str
    server: str
    names: tuple[str, ...]
    found: Comparison
    mask_key: bytes = field(repr=False)
    dry_run: bool
    seconds: float
    notes: tuple[str, ...] = ()
    unwanted: tuple[Unwanted, ...] = ()

    @property
    def differs(self) -> bool:
        """True where anything is not as it is declared."""
        return bool(self.found.drifted or self.unwanted)

    def data(self) -> dict[str, Any]:
        """The whole result."""
        return {
            "context": self.context,
            "baselines": list(self.names),
            "checked": self.found.checked,
            "seconds": round(self.seconds, 3),
            "engine": "dry-run" if self.dry_run else "local",
            "summary": self.summary(),
            "drifts": [
                *(_drift(found, self.mask_key) for found in self.found.drifted),
                *(_unwanted(found, self.mask_key) for found in self.unwanted),
            ],
            "unjudged": [_drift(found, self.mask_key) for found in self.found.unjudged],
            "notes": list(self.notes),
        }

    def summary(self) -> dict[str, int]:
        """How many objects are in each state."""
        states = Counter(str(finding.state) for _, _, finding in self.found.drifted)
        states[DriftState.UNWANTED] += len(self.unwanted)
        return {
            "in-sync": self.found.checked - len(self.found.drifted),
            **{str(state): states[state] for state in DriftState if states[state]},
            **({"unjudged": len(self.found.unjudged)} if self.found.unjudged else {}),
        }


def patches(found: Sequence[Found]) -> tuple[list[dict[str, Any]], list[str]]:
    """A patch an object, and the names of the Secrets that are left out."""
    made, secret = [], []
    for declared, live, finding in found:
        if is_secret(declared.obj):
            secret.append(f"{declared.key.namespace}/{declared.key.name}")
        elif operations := patch_for(declared, live, finding):
            made.append({"target": identity(declared), "patch": operations})
    return made, secret


def identity(declared: Declared) -> dict[str, Any]:
    """Which object."""
    key = declared.key
    return {
        "group": key.group, "version": declared.version, "kind": key.kind, "namespace": key.namespace, "name": key.name,
    }  # fmt: skip


def _drift(found: Found, mask_key: bytes) -> dict[str, Any]:
    declared, live, finding = found
    return {
        **identity(declared),
        **_verdict(finding),
        "baseline": declared.baseline,
        "revision": declared.revision,
        "file": declared.file,
        "line": declared.line,
        "fields": _fields(live, declared.obj, finding, mask_key),
    }


def _unwanted(found: Unwanted, mask_key: bytes) -> dict[str, Any]:
    key = found.key
    return {
        "group": key.group, "version": found.rule.version, "kind": key.kind, "namespace": key.namespace,
        "name": key.name, **_verdict(found.finding), "baseline": found.baseline, "revision": None, "file": "",
        "line": 0, "fields": _fields(found.live, found.obj, found.finding, mask_key),
    }  # fmt: skip


def _verdict(finding: Finding) -> dict[str, Any]:
    return {
        "state": finding.state, "engine": finding.engine, "reason": finding.reason, "message": finding.message,
        "fix": FIXES.get(finding.reason, "") if finding.reason else "",
    }  # fmt: skip


def _fields(live: Object | None, obj: Object, finding: Finding, mask_key: bytes) -> list[dict[str, Any]]:
    changes = zip(describe(live, obj, finding.fields, mask_key), finding.fields, strict=True)
    return [
        {**_field(change), "at": readable(diff.path, live, _last(diff.desired, diff.live))} for change, diff in changes
    ]


def _field(change: FieldChange) -> dict[str, Any]:
    return {
        "path": change.path, "kind": change.kind, "desired": change.desired, "live": change.live,
        "manager": change.manager, "operation": change.operation, "since": change.since, "user": change.user,
        "by_hand": change.manager is not None and is_person(change.manager),
    }  # fmt: skip


def _last(desired: Any, live: Any) -> Any:
    return desired if live is None else live


def readable(pointer: str, live: Any, last: Any) -> str:
    """A path as people say it, list items by name: `spec.template.spec.containers[web].image`.

    `last` is the value at its end, for an item that the live object does not have.
    """
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    text, here = "", live
    for index, part in enumerate(parts):
        final = index == len(parts) - 1
        if isinstance(here, list) and part.isascii() and part.isdigit():
            item = last if final else here[int(part)] if int(part) < len(here) else None
            text += f"[{_name(item) or part}]"
            here = item
        else:
            text += f".{part}" if _plain(part) else f'["{part}"]'
            here = here.get(part) if isinstance(here, dict) else None
    return text.removeprefix(".")


def _plain(part: str) -> bool:
    return part.replace("-", "").replace("_", "").isalnum()


def _name(item: Any) -> str:
    """What people call a list item."""
    if not isinstance(item, dict):
        return ""
    found = next((item[name] for name in ("name", "key", "containerPort", "port", "host", "type") if name in item), "")
    return str(found) if isinstance(found, str | int) else ""
