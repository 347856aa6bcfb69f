"""How Argo CD and Flux are documented to behave, in the few words that several cases share."""

from typing import TypedDict


class Words(TypedDict):
    """The two peers' fields of a case."""

    argocd: str
    flux: str


NO_DRIFT: Words = {"argocd": "no drift", "flux": "no drift"}
SEEN: Words = {"argocd": "drift", "flux": "drift"}
FALSE_ALARM: Words = {"argocd": "false alarm", "flux": "no drift"}
ADDED: Words = {"argocd": "not seen", "flux": "drift by kubectl only"}
UNSEEN: Words = {"argocd": "not seen", "flux": "not seen"}
