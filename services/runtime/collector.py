"""How often Python looks for garbage that refers to itself: seldom, since hardly any of ours does.

By default every 700 new objects are looked through, and all that a service keeps (each row of the reconciler's book,
each watched object) again and again; measured on 20 000 alerts in the reconciler, that is a fifth of its CPU time.
"""

import gc

YOUNG, MIDDLE, OLD = 10_000, 10, 10
"""New objects until the youngest are looked through, and how many such looks make one at the next older ones. At their
worst 10 000 objects that nobody needs wait for the next look: some megabytes."""


def collect_seldom() -> None:
    """For this process. Called once all is imported: what that made stays for ever and is looked at no more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
