"""What an entry of this model on this host must be bound to. Only worker processes import this."""

import hashlib
import os
import platform
from pathlib import Path
from typing import Final

from sealift.runtime.engine.integrity import VerifiedFolder
from sealift.runtime.engine.prepack.seal import FORMAT, Binding, BoundFile
from sealift.runtime.engine.session import runtime_version, save_options

__all__ = ["bind", "processor_identity"]

_PROCESSOR: Final = Path("/proc/cpuinfo")
# What decides which kernels run, under the names that x86 and arm64 kernels print.
_FIELDS: Final = frozenset({
    "vendor_id", "cpu family", "model", "model name", "stepping", "flags",
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features",
})  # fmt: skip


def bind(folder: VerifiedFolder, graph: bytes) -> Binding:
    """Return what an entry for this folder must be bound to.

    Args:
        graph: the signed graph, checked.
    """
    files = []
    for file in sorted(folder.files, key=lambda file: file.path):
        status = os.lstat(Path(folder.source.directory) / file.path)
        files.append(
            BoundFile(
                path=file.path,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                inode=status.st_ino,
                mtime_ns=status.st_mtime_ns,
            )
        )
    return Binding(
        format=FORMAT,
        model_digest=folder.source.digest,
        variant=folder.variant,
        graph_sha256=hashlib.sha256(graph).hexdigest(),
        files=tuple(files),
        runtime=runtime_version(),
        processor=processor_identity(_PROCESSOR.read_text()),
        options=save_options(),
    )


def processor_identity(cpuinfo: str) -> str:
    """Return a digest of the kinds of processor; of how many there are and how fast, nothing.

    >>> one = processor_identity("processor: 0\\nmodel name: A\\ncpu MHz: 1")
    >>> one == processor_identity("processor: 0\\nmodel name: A\\ncpu MHz: 2\\n\\nprocessor: 1")
    True
    """
    kinds = set()
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in _FIELDS:
            kinds.add(f"{name.strip()}={value.strip()}")
    text = "\n".join([platform.machine(), *sorted(kinds)])
    return hashlib.sha256(text.encode()).hexdigest()
