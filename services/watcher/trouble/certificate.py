"""Certificates near their end, and past it: cert-manager's, and those in Secrets of type `kubernetes.io/tls`.

Of a Secret only the end of its first certificate is read; nothing of it is kept, logged or told. A Secret that
cert-manager writes is about its Certificate, so that one certificate is one alert.
"""

from datetime import datetime, timedelta

from schemas.alerts import Severity
from services.kube.objects import Object, ObjectKey, metadata_of
from services.kube.pointer import resolve as at
from services.runtime.alerts.loose import child, moment, text
from services.watcher.trouble.found import Alert, Subject, Trouble, own_labels, subject_of
from services.watcher.trouble.x509 import Validity, validity

SOON = Alert("KubeCertificateExpiresSoon", Severity.WARNING)
OVER = Alert("KubeCertificateExpired", Severity.CRITICAL)
MARGIN = timedelta(days=14)
SHARE = 4
"""A certificate that lives for less than two months is near its end in the last quarter of its life: issuers renew
after two thirds."""
TLS = "kubernetes.io/tls"
OF_CERT_MANAGER = "cert-manager.io/certificate-name"
GROUP = "cert-manager.io"


def soon(obj: Object, now: datetime) -> Trouble | None:
    """From some time before its end on, until its end."""
    found = _validity(obj)
    if found is None:
        return None
    begins = found.ends - min(MARGIN, (found.ends - found.begins) / SHARE)
    return _trouble(SOON, obj, found, since=begins, until=found.ends)


def over(obj: Object, now: datetime) -> Trouble | None:
    """From its end on."""
    found = _validity(obj)
    return _trouble(OVER, obj, found, since=found.ends, until=None) if found else None


def _validity(obj: Object) -> Validity | None:
    if obj.get("kind") != "Secret":
        begins, ends = (moment(at(obj, ("status", name))) for name in ("notBefore", "notAfter"))
        return Validity(begins or ends - 8 * MARGIN, ends) if ends else None
    return validity(text(child(obj, "data"), "tls.crt")) if obj.get("type") == TLS else None


def _trouble(alert: Alert, obj: Object, found: Validity, *, since: datetime, until: datetime | None) -> Trouble:
    ends = found.ends.isoformat()
    return Trouble(
        alert, _about(obj), since=since, until=until, summary=f"the certificate ends at {ends}",
        labels=own_labels(obj), values={"notAfter": ends},
    )  # fmt: skip


def _about(obj: Object) -> Subject:
    itself = subject_of(obj)
    certificate = text(child(metadata_of(obj), "annotations"), OF_CERT_MANAGER)
    if certificate and obj.get("kind") == "Secret":
        return Subject(ObjectKey(GROUP, "Certificate", itself.key.namespace, certificate), known=False)
    return Subject(itself.key, itself.uid)
