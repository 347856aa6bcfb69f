"""How an object is written in policies, and in the events that their expressions read."""

import pytest

from schemas.reference import parse_reference, reference_to, text_of
from schemas.target import Target


@pytest.mark.parametrize(
    ("group", "kind", "namespace", "text"),
    [
        pytest.param("apps", "Deployment", "shop", "Deployment/shop/api", id="a known kind"),
        pytest.param("", "Pod", "shop", "Pod/shop/api", id="the core group"),
        pytest.param("example.org", "Deployment", "shop", "Deployment.example.org/shop/api", id="another's kind"),
        pytest.param("", "Deployment", "shop", "Deployment.core/shop/api", id="a known kind, of the core group"),
        pytest.param("", "Node", "", "Node/api", id="cluster-wide"),
    ],
)
def test_what_is_written_of_an_object_names_it(group: str, kind: str, namespace: str, text: str) -> None:
    """An expression's `event.workload` is a text; read back it is the very object, whichever way it was written."""
    target = Target(cluster="c", group=group, kind=kind, namespace=namespace, name="api")
    assert text_of(target) == str(reference_to(target)) == text
    assert parse_reference(text) == reference_to(target)
