"""Write manifests as YAML that people like to read and that Kubernetes reads back as the same values.

PyYAML quotes what YAML 1.1 would misread; Kubernetes' reader differs from it (`0o644`, `1e3`, `y`), so a text is plain
only where `services/runtime/yamlscalars.py` says that it stays one. Texts of several lines are blocks.
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import yaml

from services.kube.objects import Object, ObjectKey
from services.runtime.errors import UsageError
from services.runtime.yamlscalars import resolve_plain

BASELINE_FILE = "baseline.yaml"
CLUSTER_FOLDER = "_cluster"  # of objects without a namespace; no namespace has such a name
MARK = "# captured by setpoint\n"
ODD = re.compile(r"[^A-Za-z0-9._-]+")
LONGEST = 120  # characters of a file's name
BLOCK = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]*")


class _Dumper(yaml.SafeDumper):
    """No aliases: parts that are shared in memory are not shared in meaning."""

    def ignore_aliases(self, _: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))


def _style(text: str) -> str | None:
    if not BLOCK.fullmatch(text):
        return '"'
    if "\n" in text:
        lines = text.split("\n")
        return "|" if all(line == line.rstrip() for line in lines) and lines[0][:1] not in ("", " ") else '"'
    return None if resolve_plain(text) == text and text not in ("<<", "=") else "'"


_Dumper.add_representer(str, _text)


def to_yaml(value: Any) -> str:
    """One document, keys in their own order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return text


def file_names(keys: Iterable[ObjectKey]) -> dict[ObjectKey, Path]:
    """A path an object: `<namespace>/<kind>-<name>.yaml`. Names that no file may have, and twins, get a short hash."""
    found: dict[ObjectKey, Path] = {}
    taken: set[str] = set()
    for key in keys:
        plain = f"{key.kind.lower()}-{key.name}"
        name = ODD.sub("_", plain)[:LONGEST]
        path = f"{key.namespace or CLUSTER_FOLDER}/{name}"
        if name != plain or path.lower() in taken:
            path += "-" + blake2b(str(key).encode(), digest_size=3).hexdigest()
        taken.add(path.lower())
        found[key] = Path(f"{path}.yaml")
    return found


def check_free(folder: Path, force: bool) -> None:
    """Raises UsageError where the folder holds anything already and `force` is not given."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not force:
        raise UsageError(f"{folder} is there already and not empty", "Give another folder with --out, or --force")


def write_capture(folder: Path, objects: Mapping[ObjectKey, Object], baseline: str, *, force: bool) -> None:
    """One file an object, and the baseline's. Files with Secrets can be read by their owner only.

    With `force`, files of an earlier capture that no object has any more are removed, and nothing else.
    """
    check_free(folder, force)
    names = file_names(objects)
    for old in folder.glob("*/*.yaml"):
        if old.relative_to(folder) not in names.values() and _is_ours(old):
            old.unlink()
    for key, path in names.items():
        (folder / path.parent).mkdir(parents=True, exist_ok=True)
        _write(folder / path, MARK + to_yaml(objects[key]), private=key.kind == "Secret" and not key.group)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / BASELINE_FILE, baseline)


def _is_ours(file: Path) -> bool:
    with file.open(encoding="utf-8", errors="replace") as lines:
        return lines.readline() == MARK


def _write(file: Path, text: str, *, private: bool = False) -> None:
    """Beside, then in its place: a capture that is interrupted leaves no half files."""
    beside = file.with_name(f".{file.name}.new")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600 if private else 0o666)
    beside.write_text(text, encoding="utf-8", newline="\n")
    beside.replace(file)
