"""The error family of signatures and trust."""

from sealift.manifests.errors import Category, SealiftError

__all__ = ["KeyFileError", "SignatureError", "UntrustedError"]


class KeyFileError(SealiftError):
    """A key file that cannot be used: unreadable, wrong passphrase, wrong kind."""

    category = Category.USAGE
    code = "key_file"


class SignatureError(SealiftError):
    """A signature by a key we trust that does not fit what it covers, or is not in our form."""

    category = Category.INTEGRITY
    code = "signature_invalid"


class UntrustedError(SealiftError):
    """Nothing is broken, but no key, rule or audience of ours accepts it."""

    category = Category.TRUST
    code = "not_trusted"
