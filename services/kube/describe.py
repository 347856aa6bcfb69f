"""Differences as events and output carry them: values of Secrets hashed, with the field manager and its time."""

from collections.abc import Iterable

from schemas.events import FieldChange
from services.kube.masking import mask_diffs
from services.kube.objects import Object
from services.kube.ownership import Owner, author
from services.kube.pointer import FieldDiff


def describe(
    live: Object | None, desired: Object, fields: Iterable[FieldDiff], mask_key: bytes, remover: Owner | None = None
) -> list[FieldChange]:
    """One FieldChange a difference, in the same order.

    `remover` is who is known to have written since the object was last seen: a removal leaves no trace of its own, so
    without such knowledge its author is unknown.
    """
    plain = list(fields)
    owners = [_author(live, diff, remover) for diff in plain]
    return [
        FieldChange(
            path=diff.path, kind=diff.kind, desired=diff.desired, live=diff.live,
            manager=owner.manager if owner else None, operation=owner.operation if owner else None,
            since=owner.time if owner else None,
        )
        for diff, owner in zip(mask_diffs(desired, plain, mask_key), owners, strict=True)
    ]  # fmt: skip


def _author(live: Object | None, diff: FieldDiff, remover: Owner | None) -> Owner | None:
    if live is None:
        return None
    return remover if diff.kind == "removed" else author(live, diff.path)
