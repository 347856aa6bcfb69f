"""Become a command that cannot outlive the process that started it. Run as a script, never imported by services.

    python -I -S leash.py kernel|watchdog PARENT_PID COMMAND ...

`kernel`: Linux sends SIGKILL when the starting thread ends (prctl PR_SET_PDEATHSIG). `watchdog`, elsewhere: stdin is a
pipe whose other end only the parent holds; a small process waits for its end and then kills the command's group.
Either way the command keeps this process's id. A script of its own, because running Python between fork and exec of a
process with threads can deadlock.
"""

import os
import select
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    mode, parent, *command = arguments
    if mode == "kernel":
        die_with_parent()
        if os.getppid() != int(parent):  # it ended before prctl took effect
            os.kill(os.getpid(), signal.SIGKILL)
    else:
        start_watchdog()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"cannot start {command[0]}: {error.strerror}")


def die_with_parent() -> None:
    import ctypes  # here, since the watchdog does without

    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.exit("prctl(PR_SET_PDEATHSIG) failed")


def start_watchdog() -> None:
    """Fork the watcher and give the command an empty stdin; returns in the process that becomes the command."""
    command = os.getpid()
    if os.fork() == 0:
        watch(command)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def watch(command: int) -> None:
    while os.getppid() == command:
        readable, _, _ = select.select([0], [], [], 0.2)
        if readable and os.read(0, 1) == b"":
            os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
