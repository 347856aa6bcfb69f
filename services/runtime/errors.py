"""The one tree of errors; each says what to do next.

    SetpointError
    ├── Temporary(message, retry_after)   try again: the broker is away, the API server answered 429, a conflict
    └── Permanent(message, fix)           trying again is useless until somebody does `fix`
        ├── UserFileError                 a baseline, policy or setting is wrong: file, line, field, fix
        └── UsageError                    a command was called wrongly

Commands map them to exit codes: `UsageError` and `UserFileError` 2, `Temporary` 3, other `Permanent` 3.
Nothing here is caught and dropped: whoever catches one records it, retries it, or lets it rise.
"""

from dataclasses import dataclass


class SetpointError(Exception):
    """Base of everything Setpoint raises on purpose; `str(error)` is one line for people."""


class Temporary(SetpointError):
    """May work later. `retry_after` is in seconds; None leaves the pace to the caller's back-off."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Permanent(SetpointError):
    """Will not work until somebody does `fix` (one imperative sentence, may be empty)."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(f"{message}. {fix}" if fix else message)
        self.message = message
        self.fix = fix


@dataclass(frozen=True)
class FileProblem:
    """One problem in a user's file. `line` and `column` count from 1; `field` is dotted (`spec.limits.oncePer`)."""

    file: str
    line: int
    column: int
    field: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        field = f" {self.field}:" if self.field else ""
        return f"{where}:{field} {self.message}" + (f" ({self.fix})" if self.fix else "")


class UserFileError(Permanent):
    """One or more problems in users' files, each with file, line, field and fix."""

    def __init__(self, problems: list[FileProblem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class UsageError(Permanent):
    """A command or setting that cannot mean anything; the message names it."""
