"""Give bundles repair parts, signed by the key that sealed them.

with RepairMaker.open(signer, percent=10) as maker:
    bundles = maker.complete(library)
    maker.find(digest, size_bytes)          # the repair parts, to be copied like any other
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sealift.keys.claim import ClaimedBundle
from sealift.keys.envelope import sign
from sealift.keys.errors import UntrustedError
from sealift.keys.signer import Signer
from sealift.keys.trust_root import TrustRoot
from sealift.keys.verify import verify_parity, verify_seal
from sealift.manifests.digest import Digest
from sealift.manifests.oci import blob_path
from sealift.manifests.parity import PREDICATE_PARITY
from sealift.manifests.progress import Progress
from sealift.manifests.statement import PAYLOAD_TYPE, attestation
from sealift.media.carried import Carried
from sealift.media.errors import WriteRequestError
from sealift.media.folder import MediumFolder
from sealift.media.library import Library
from sealift.media.parity_codec import repair_count
from sealift.media.parity_writer import make_parity

__all__ = ["RepairMaker"]

_BLOBS = "blobs/sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairMaker:
    """Makes repair parts in a scratch folder that goes with it.

    Attributes:
        percent: of all parts of a bundle, repair parts included, that may be lost.
    """

    signer: Signer
    percent: float
    scratch: MediumFolder
    progress: Progress

    @classmethod
    @contextmanager
    def open(cls, signer: Signer, *, percent: float, progress: Progress) -> Iterator["RepairMaker"]:
        """Open a scratch folder, where TMPDIR says."""
        with tempfile.TemporaryDirectory(prefix="sealift-repair-") as name:
            (Path(name) / _BLOBS).mkdir(parents=True)
            with MediumFolder.open(Path(name)) as scratch:
                yield cls(signer=signer, percent=percent, scratch=scratch, progress=progress)

    def complete(
        self, bundles: Sequence[Carried[ClaimedBundle]], library: Library
    ) -> tuple[Carried[ClaimedBundle], ...]:
        """Return the bundles, each with repair parts for this share.

        Raises:
            UntrustedError: one is sealed by another key.
            SignatureError: its seal does not hold.
            WriteRequestError: it has repair parts for another share, or no medium is complete.
            ParityCountError: no such share.
            MediaError: a part is damaged, or there is no room for scratch files.
        """
        # Who may not sign learns it before hours of computing.
        for carried in bundles:
            if carried.bundle.seal.key_id != self.signer.public.key_id:
                raise UntrustedError(
                    f"{carried.reference}: sealed by {carried.bundle.seal.key_id[:16]}, "
                    f"the key given is {self.signer.public.key_id[:16]}",
                    hint="repair parts need the key that sealed the bundle; a medium that has them "
                    "can be copied and split without it",
                )
        return tuple(self._complete(carried, library) for carried in bundles)

    def find(self, digest: Digest, size_bytes: int) -> list[MediumFolder]:
        """Return the scratch folder, if a repair part lies there."""
        path = self.scratch.path / blob_path(digest)
        return [self.scratch] if path.is_file() and path.stat().st_size == size_bytes else []

    def _complete(
        self, carried: Carried[ClaimedBundle], library: Library
    ) -> Carried[ClaimedBundle]:
        trust = TrustRoot.of([self.signer.public])
        seal = verify_seal(carried.bundle.seal.envelope, trust, for_this_site=False)
        count = repair_count(len(carried.layout.parts), self.percent)
        if carried.parity is not None:
            if len(carried.parity.blobs) != count:
                raise WriteRequestError(
                    f"{carried.reference}: has {len(carried.parity.blobs)} repair parts, "
                    f"{self.percent:g} % asks for {count}",
                    hint="leave --parity out to keep those it has",
                )
            return carried
        source = library.complete(carried)
        if source is None:
            raise WriteRequestError(
                f"{carried.reference}: none of the media given holds all of its parts",
                hint="join the volumes into one folder first, without --parity",
            )
        parity = make_parity(
            source, carried.layout.parts,
            percent=self.percent, target=self.scratch.path / _BLOBS, progress=self.progress,
        )  # fmt: skip
        statement = attestation(
            name=carried.name,
            manifest=seal.manifest,
            predicate_type=PREDICATE_PARITY,
            predicate=parity.predicate(),
        )
        envelope = sign(PAYLOAD_TYPE, statement, self.signer)
        verify_parity(envelope, seal)  # as the other side will
        return replace(
            carried,
            documents={**carried.documents, Digest.of(envelope): envelope},
            parity=parity,
            layout=carried.bundle.layout.with_parity(parity, envelope),
        )
