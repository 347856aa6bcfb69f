"""Differences as events and output carry them: values of Secrets hashed, with the field manager and its time."""

from collections.abc import Iterable

from schemas.events import FieldChange
from services.kube.masking import is_secret, mask_diffs
from services.kube.objects import Object, managed_fields
from services.kube.pointer import FieldDiff
from services.kube.writers.ownership import Owner, Writers, owned_leaves


def describe(
    live: Object | None, desired: Object, fields: Iterable[FieldDiff], mask_key: bytes, remover: Owner | None = None
) -> list[FieldChange]:
    """One FieldChange a difference, in the same order.

    `remover` is who is known to have written since the object was last seen: a removal leaves no trace of its own, so
    without such knowledge its author is unknown.
    """
    plain = list(fields)
    writers = Writers(live or {})
    owners = [_author(live, writers, diff, remover) for diff in plain]
    masked = mask_diffs(live if live and is_secret(live) else desired, plain, mask_key)
    return [
        FieldChange(
            path=diff.path, kind=diff.kind, desired=diff.desired, live=diff.live,
            manager=owner.manager if owner else None, operation=owner.operation if owner else None,
            since=owner.time if owner else None,
        )
        for diff, owner in zip(masked, owners, strict=True)
    ]  # fmt: skip


def _author(live: Object | None, writers: Writers, diff: FieldDiff, remover: Owner | None) -> Owner | None:
    if live is None:
        return None
    if diff.kind == "removed":
        return remover
    return None if _only_reordered(live, diff) else next(iter(writers.of(diff.path)), None)


def _only_reordered(live: Object, diff: FieldDiff) -> bool:
    """True where items of a list with keys stand otherwise: managedFields names their owners, not who moved them."""
    if diff.kind != "changed" or not isinstance(diff.live, list) or not isinstance(diff.desired, list):
        return False
    return not any(diff.path in owned_leaves(entry, live) for entry in managed_fields(live))
