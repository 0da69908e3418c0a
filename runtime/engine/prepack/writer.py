"""Write a model's entry of the cache. Only the process of `worker/prepack_process.py` imports this.

The store's files are verified here again, all of them: an entry says that it was made of signed
bytes, and takes nobody's word for it. Before it is sealed, it is loaded once.
"""

from pathlib import Path

from sealift.manifests.serving import SERVING_FILE, ServingConfig
from sealift.runtime.engine import host
from sealift.runtime.engine.integrity import VerifiedFolder
from sealift.runtime.engine.prepack.binding import bind
from sealift.runtime.engine.prepack.entry import DATA, GRAPH, write_entry
from sealift.runtime.engine.prepack_spec import PrepackJob
from sealift.runtime.engine.session import open_prepacked, save_prepacked
from sealift.runtime.engine.variant import choose_variant

__all__ = ["write_prepacked"]


def write_prepacked(job: PrepackJob) -> int:
    """Verify a model, prepack its weights, and put them into the cache; return their size.

    Raises:
        ModelIntegrityError: a file of the store is not the signed one.
        LoadError: onnxruntime refuses the graph, or cannot write.
        PrepackError: the entry is there already.
        OSError: the disk is full, or fails.
    """
    threads = job.settings.threads or host.physical_cores()
    folder = VerifiedFolder.open(job.source, choose_variant(job.source))
    try:
        config = ServingConfig.parse(folder.read(SERVING_FILE))
        graph = folder.read(config.graph)
        folder.hold_rest()
        folder.check_rest()
        binding = bind(folder, graph)

        def save(into: Path) -> None:
            save_prepacked(graph, folder.path, into=into / GRAPH, data_name=DATA, threads=threads)
            folder.check_unchanged()
            open_prepacked((into / GRAPH).read_bytes(), into, threads=threads)

        return write_entry(job.cache, binding, save, threads=threads)
    finally:
        folder.close()
