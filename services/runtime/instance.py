"""Which of several processes of one service this is: the label `instance` of its samples, as Prometheus calls it.

Without it two replicas would write one series, and a gauge would jump between what the one and what the other has.
"""

import os
import socket

INSTANCE = "instance"


def this_instance() -> str:
    """The host's name, which is the pod's in a cluster. Outside of a container a host may run several processes of a
    service, so there the process' id stands behind it: `laptop:4711`."""
    host, process = socket.gethostname(), os.getpid()
    return host if process == 1 else f"{host}:{process}"
