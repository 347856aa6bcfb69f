"""Differences as events and output carry them: values of Secrets hashed, with the field manager and its time."""

from collections.abc import Iterable

from schemas.events import FieldChange
from services.kube.masking import mask_diffs
from services.kube.objects import Object
from services.kube.ownership import Owner, author, last_writer
from services.kube.pointer import FieldDiff


def describe(live: Object | None, desired: Object, fields: Iterable[FieldDiff], mask_key: bytes) -> list[FieldChange]:
    """One FieldChange a difference, in the same order."""
    plain = list(fields)
    owners = [_author(live, diff) for diff in plain]
    return [
        FieldChange(
            path=diff.path, kind=diff.kind, desired=diff.desired, live=diff.live,
            manager=owner.manager if owner else None, operation=owner.operation if owner else None,
            since=owner.time if owner else None,
        )
        for diff, owner in zip(mask_diffs(desired, plain, mask_key), owners, strict=True)
    ]  # fmt: skip


def _author(live: Object | None, diff: FieldDiff) -> Owner | None:
    """Who owns the live value; for a field that is gone, whoever wrote last, since a removal leaves no trace."""
    if live is None:
        return None
    return last_writer(live) if diff.kind == "removed" else author(live, diff.path)
