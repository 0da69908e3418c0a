"""The parts of a small real bundle, as a reader learns them."""

from sealift.keys.trust_root import TrustRoot
from sealift.manifests.part import Part
from sealift.media.folder import MediumFolder
from sealift.media.medium import read_medium
from tests.sealed import Sealed


def parts_of(sealed: Sealed) -> tuple[Part, ...]:
    """Read and verify the bundle's metadata; returns its parts in the manifest's order."""
    with MediumFolder.open(sealed.bundle) as folder:
        medium = read_medium(folder, TrustRoot.of([sealed.signer.public]))
        return medium.choose(None).bundle.manifest.parts
