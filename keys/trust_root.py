"""The keys that this host accepts, and what it asks of them. Local, never read from a bundle."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sealift.keys.errors import UntrustedError
from sealift.keys.public_key import Algorithm, PublicKey

__all__ = ["TrustRoot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRoot:
    """Accepted keys by id, accepted algorithms, and this site's name.

    Attributes:
        algorithms: what may sign a bundle (profile `default`: ECDSA P-384).
        site: the name that a bundle's audience must contain, where it has one.
    """

    keys: Mapping[str, PublicKey]
    algorithms: frozenset[Algorithm] = field(default=frozenset({Algorithm.ECDSA_P384}))
    site: str | None = None

    @classmethod
    def of(cls, keys: Iterable[PublicKey], *, site: str | None = None) -> "TrustRoot":
        """Trust these keys under the default profile."""
        return cls(keys=MappingProxyType({key.key_id: key for key in keys}), site=site)

    def require(self, key_id: str) -> PublicKey:
        """Return the trusted key of this id.

        Raises:
            UntrustedError: we do not trust it, or not for bundles.
        """
        key = self.keys.get(key_id)
        if key is None:
            known = ", ".join(sorted(k[:16] for k in self.keys)) or "none"
            raise UntrustedError(
                f"signer {key_id[:16]!r} is not trusted here (trusted: {known})",
                hint="compare the signer's fingerprint out of band, then `sealift keys trust PUB`",
            )
        if key.algorithm not in self.algorithms:
            wanted = ", ".join(sorted(algorithm.value for algorithm in self.algorithms))
            raise UntrustedError(
                f"signer {key_id[:16]}: rule `algorithms` asks for {wanted}, "
                f"got {key.algorithm.value}"
            )
        return key

    def require_audience(self, audience: tuple[str, ...]) -> None:
        """Check that a bundle was meant for this site.

        Raises:
            UntrustedError: it names sites, and ours is not among them.
        """
        if audience and self.site not in audience:
            raise UntrustedError(
                f"bundle is for {', '.join(audience)}, this site is {self.site or 'unnamed'}",
                hint="set SEALIFT_SITE to this site's name if the bundle is meant for it",
            )
