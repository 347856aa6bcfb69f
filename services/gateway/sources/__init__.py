"""All sources of the gateway. A new one is a file here and a line below."""

from collections.abc import Mapping

from services.gateway.source import Source
from services.gateway.sources.alertmanager import ALERTMANAGER
from services.gateway.sources.argocd import ARGOCD
from services.gateway.sources.audit import AUDIT
from services.gateway.sources.cloudevents import CLOUDEVENTS
from services.gateway.sources.falco import FALCO, FALCOSIDEKICK
from services.gateway.sources.flux import FLUX
from services.gateway.sources.github import GITHUB
from services.gateway.sources.gitlab import GITLAB
from services.gateway.sources.grafana import GRAFANA
from services.gateway.sources.harbor import HARBOR
from services.gateway.sources.jenkins import JENKINS

SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        ALERTMANAGER,
        ARGOCD,
        AUDIT,
        CLOUDEVENTS,
        FALCO,
        FALCOSIDEKICK,
        FLUX,
        GITHUB,
        GITLAB,
        GRAFANA,
        HARBOR,
        JENKINS,
    )
}
