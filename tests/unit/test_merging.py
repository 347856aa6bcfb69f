"""Several declarations of one object: who wins, who contradicts, and what is both."""

from typing import Any

from schemas.baseline import Baseline
from services.kube.declaration.baselines import FILES, Declared, Origin, OriginKind, declare
from services.kube.declaration.manifests import Manifest
from services.kube.declaration.merging import merged
from services.kube.objects import key_of
from tests.watching import config_map

NOTE = Origin(OriginKind.LAST_APPLIED)
APPLICATION = Origin(OriginKind.APPLICATION)
KEY = key_of(config_map("shop"))


def helm(name: str) -> Origin:
    return Origin(OriginKind.HELM, "shop", name)


def claim(baseline: str, origin: Origin, value: str = "1", **more: Any) -> Declared:
    header = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Baseline", "metadata": {"name": baseline}}
    model = Baseline.model_validate({**header, "spec": {"source": {"folder": "."}}})
    return declare(model, Manifest(config_map("shop", a=value), "f", 1), {}, origin=origin, **more)


def test_a_file_or_a_release_wins_over_an_annotation() -> None:
    """The annotation is kubectl's own note of the same thing, or an old one; it contradicts nobody."""
    for strong in (claim("base", FILES), claim("helm", helm("web"))):
        for order in ([strong, claim("notes", NOTE, "2")], [claim("notes", NOTE, "2"), strong]):
            assert merged(order)[KEY] is strong


def test_two_claims_on_the_same_step_are_rivals() -> None:
    """Neither may be applied, and the finding names both; the digest is another one than without the rival."""
    first, second = claim("base", FILES), claim("helm", helm("web"), "2")
    found = merged([first, second])[KEY]
    assert (found.baseline, found.rivals) == ("base", ("helm (shop/web)",))
    assert found.digest not in (first.digest, second.digest)


def test_two_releases_of_one_baseline_are_rivals() -> None:
    """A baseline of Helm releases may hold many of them, and they may contradict each other."""
    found = merged([claim("helm", helm("web")), claim("helm", helm("api")), claim("helm", helm("db"))])[KEY]
    assert found.rivals == ("helm (shop/api)", "helm (shop/db)")


def test_an_application_that_is_declared_too_is_both() -> None:
    """Its manifest is compared, and its state counts, whoever is named first."""
    watched = claim("argo", APPLICATION, application=True)
    for order in ([watched, claim("base", FILES)], [claim("base", FILES), watched]):
        found = merged(order)[KEY]
        assert (found.baseline, found.application, found.rivals) == ("base", True, ())
        assert found.digest != claim("base", FILES).digest
    assert merged([watched, claim("more", APPLICATION, application=True)])[KEY] is watched
