"""When an application of Argo CD or Flux is suspended or failing, by its own controller's words."""

from typing import Any

import pytest

from services.kube.objects import Object
from services.kube.verdict.gitops import trouble_of

AUTOMATED = {"syncPolicy": {"automated": {"selfHeal": True}}}
OUT_OF_SYNC = {"sync": {"status": "OutOfSync"}, "health": {"status": "Healthy"}}


def argo(spec: Any = None, status: Any = None, annotations: Any = None, **more: Any) -> Object:
    metadata = {"name": "web", "namespace": "argocd", "annotations": annotations}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": spec or {},
            "status": status, **more}  # fmt: skip


def flux(spec: Any = None, *conditions: Any) -> Object:
    return {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "web"},
            "spec": spec, "status": {"conditions": list(conditions)}}  # fmt: skip


def condition(kind: str, status: str, message: str = "m") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": "R", "message": message}


@pytest.mark.parametrize(
    ("live", "reason", "words"),
    [
        pytest.param(argo(), None, "", id="argo-new"),
        pytest.param(argo(AUTOMATED, {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}}), None, "",
                     id="argo-well"),
        pytest.param(argo(annotations={"argocd.argoproj.io/skip-reconcile": "true"}), "suspended", "skip-reconcile",
                     id="argo-skipped"),
        pytest.param(argo({"syncPolicy": {"automated": {"enabled": False}}}, OUT_OF_SYNC), "suspended", "enabled is",
                     id="argo-not-automated-any-more"),
        pytest.param(argo({}, OUT_OF_SYNC), None, "", id="argo-synced-by-hand"),
        pytest.param(argo(AUTOMATED, OUT_OF_SYNC), "failing", "OutOfSync though", id="argo-out-of-sync"),
        pytest.param(argo(AUTOMATED, OUT_OF_SYNC, operation={"sync": {}}), None, "", id="argo-about-to-sync"),
        pytest.param(argo(AUTOMATED, {**OUT_OF_SYNC, "operationState": {"phase": "Running"}}), None, "",
                     id="argo-syncing"),
        pytest.param(argo({}, {"operationState": {"phase": "Failed", "message": "no  such\nkind"}}), "failing",
                     "ended as Failed: no such kind", id="argo-failed"),
        pytest.param(argo({}, {"health": {"status": "Degraded", "message": "pods crash"}}), "failing",
                     "health is Degraded: pods crash", id="argo-degraded"),
        pytest.param(argo({}, {"health": {"status": "Progressing"}}), None, "", id="argo-progressing"),
        pytest.param(argo({}, {"conditions": [{"type": "ComparisonError", "message": "x"}]}), "failing",
                     "ComparisonError: x", id="argo-comparison-error"),
        pytest.param(argo({}, {"conditions": [{"type": "OrphanedResourceWarning", "message": "x"}]}), None, "",
                     id="argo-warning"),
        pytest.param(flux({}), None, "", id="flux-new"),
        pytest.param(flux({}, condition("Ready", "True")), None, "", id="flux-well"),
        pytest.param(flux({}, condition("Ready", "Unknown")), None, "", id="flux-progressing"),
        pytest.param(flux({"suspend": True}, condition("Ready", "False")), "suspended", "spec.suspend",
                     id="flux-suspended"),
        pytest.param(flux({"suspend": False}, condition("Ready", "False", "build failed")), "failing",
                     "Ready=False, R: build failed", id="flux-failing"),
        pytest.param(flux({}, condition("Ready", "Unknown"), condition("Stalled", "True")), "failing", "Stalled=True",
                     id="flux-stalled"),
    ],
)  # fmt: skip
def test_an_application_is_suspended_failing_or_neither(live: Object, reason: str | None, words: str) -> None:
    """What is on its way is no trouble; what somebody stopped is told before what fails because of it."""
    found = trouble_of(live)
    assert (found.reason if found else None) == reason
    assert not found or words in found.message


@pytest.mark.parametrize(
    "odd", [None, 5, "x", [], [None], {"conditions": 5}, {"conditions": [5]}, {"operationState": []}]
)
def test_an_odd_application_is_no_crash(odd: Any) -> None:
    """Definitions differ between versions, and anybody may write anything where they are loose."""
    for live in (argo(odd, odd, odd), {**flux(odd), "status": odd}, {**argo(), "metadata": odd}):
        trouble_of(live)


def test_long_words_are_cut() -> None:
    """A controller's message may hold a whole manifest."""
    found = trouble_of(flux({}, condition("Ready", "False", "x" * 5000)))
    assert found is not None
    assert len(found.message) < 500
