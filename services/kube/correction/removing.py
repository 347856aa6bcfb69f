"""Take out of a live object what others added, by a JSON patch that tests each value; called by `correction/revert.py`.

Done before an apply, since the manifest may not fit together with it, and looked after once more behind it: a default
follows from another field, and comes back at once as long as that one is not as declared.
"""

from collections.abc import Iterable, Sequence

from services.kube.api.cluster import Cluster
from services.kube.api.errors import Conflict, NotFound
from services.kube.bags import token
from services.kube.comparison.additions import additions
from services.kube.comparison.applying import moved
from services.kube.correction.patching import removals
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object, key_of, version_of
from services.kube.pointer import FieldDiff, parse_ignore


async def less_added(cluster: Cluster, live: Object, added: Iterable[FieldDiff], left: tuple[str, ...]) -> Object:
    """The object without these additions. Raises Conflict where one of them is another by now."""
    patch = removals(live, added, parse_ignore(left))
    if not patch:
        return live
    try:
        return await cluster.json_patch(key_of(live), version_of(live), patch)
    except NotFound as error:
        raise Conflict("somebody has deleted it meanwhile", 404, error.reason) from error


async def less_refilled(
    cluster: Cluster, declared: Declared, live: Object, stored: Object, added: Sequence[FieldDiff],
    left: tuple[str, ...],
) -> Object:  # fmt: skip
    """The object `stored` without additions of `live` that were taken out and have come back with their value.

    `imagePullPolicy: Always` does until the declared tag is back in the image. `left` are pointers into `stored`.
    """
    schema = await cluster.schema(declared.obj)
    places = set(moved((diff.path for diff in added), live, stored, schema))
    if not places:
        return stored
    values = {token(diff.live) for diff in added}
    found = additions(declared.obj, stored, schema, declared.trusted, left, declared.manager)
    again = [diff for diff in found if diff.path in places and token(diff.live) in values]
    return await less_added(cluster, stored, again, left)
