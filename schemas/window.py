"""When nothing may be done by itself, and who belongs to which group of approvers."""

from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from schemas.base import Duration, StrictModel, Timestamp
from schemas.baseline import Metadata


class Where(StrictModel):
    """Lists of globs; an absent one means everywhere."""

    cluster: tuple[str, ...] = ()
    namespace: tuple[str, ...] = ()


class WindowSpec(StrictModel):
    """Exactly one of: `schedule` (cron) with `duration`, `from` and `until`, or an iCalendar file.

    `freeze` forbids actions inside the window; `allow` forbids them outside of every `allow` window that covers the
    target.
    """

    effect: Literal["freeze", "allow"] = "freeze"
    schedule: str | None = Field(None, description="five-field cron of its beginnings, in timeZone")
    duration: Duration | None = None
    since: Timestamp | None = Field(None, alias="from")
    until: Timestamp | None = None
    calendar: str | None = Field(None, description="an .ics file beside this one; each of its events is a window")
    time_zone: str = "UTC"
    except_dates: tuple[date, ...] = Field((), description="days, in timeZone, on which a scheduled one does not begin")
    where: Where = Where()
    reason: str = ""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"no time zone {name!r}, write one such as Europe/Berlin") from None
        return name

    @model_validator(mode="after")
    def _one_form(self) -> "WindowSpec":
        forms = [self.schedule is not None, self.since is not None or self.until is not None, self.calendar is not None]
        if sum(forms) != 1:
            raise ValueError("name one of schedule, from and until, and calendar")
        if (self.schedule is None) != (self.duration is None):
            raise ValueError("a schedule needs its duration, and only a schedule has one")
        if forms[1] and not (self.since and self.until and self.since < self.until):
            raise ValueError("name both from and until, from being earlier")
        return self


class MaintenanceWindow(StrictModel):
    """Times in which policies may not act, or may only act."""

    api_version: Literal["setpoint.dev/v1alpha1"]
    kind: Literal["MaintenanceWindow"]
    metadata: Metadata
    spec: WindowSpec

    @property
    def name(self) -> str:
        """As decisions name it."""
        return self.metadata.name


class GroupSpec(StrictModel):
    """Users by the names that their approvals come with."""

    members: tuple[str, ...] = Field(min_length=1)


class Group(StrictModel):
    """People who may be named together in a policy's `approve.by`."""

    api_version: Literal["setpoint.dev/v1alpha1"]
    kind: Literal["Group"]
    metadata: Metadata
    spec: GroupSpec

    @property
    def name(self) -> str:
        """As policies name it, after `group:`."""
        return self.metadata.name
