"""Media with several bundles, made as a writer makes them: shared blobs, everything rendered."""

import shutil
from pathlib import Path

from sealift.keys.trust_root import TrustRoot
from sealift.manifests.layout import render
from sealift.media.verifier import verify_medium
from tests.sealed import Sealed


def join(target: Path, *bundles: Sealed) -> Path:
    """Put several bundles on one medium."""
    layouts = []
    for sealed in bundles:
        report = verify_medium(sealed.bundle, TrustRoot.of([sealed.signer.public]))
        layouts += [carried.bundle.layout for carried in report.bundles]
        shutil.copytree(sealed.bundle / "blobs", target / "blobs", dirs_exist_ok=True)
    for path, data in render(layouts).items():
        (target / path).write_bytes(data)
    return target
