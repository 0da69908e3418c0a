"""Where things are in a home (`SEALIFT_HOME`), relative to it."""

__all__ = [
    "BLOBS",
    "CURRENT",
    "INSPECTION_FILE",
    "INTENT",
    "LOCK",
    "MODELS",
    "RECORDS",
    "SEAL_FILE",
    "STAGING",
    "TRUST",
    "blob",
    "model",
    "pointer",
    "record",
    "trust",
]

BLOBS = "blobs/sha256"
MODELS = "models"
RECORDS = "records"
TRUST = "trust"
CURRENT = "current"
STAGING = "staging"
LOCK = "lock"
INTENT = "intent.json"
SEAL_FILE = "seal.sigstore.json"
INSPECTION_FILE = "inspection.sigstore.json"


def blob(sha256: str) -> str:
    """Return the path of a file's bytes."""
    return f"{BLOBS}/{sha256}"


def model(name: str, version: str) -> str:
    """Return the folder of an installed version: exactly the signed files."""
    return f"{MODELS}/{name}/{version}"


def record(name: str, version: str) -> str:
    """Return the folder of what was signed about an installed version."""
    return f"{RECORDS}/{name}/{version}"


def trust(key_id: str) -> str:
    """Return the path of a trusted key."""
    return f"{TRUST}/{key_id}.pem"


def pointer(name: str) -> str:
    """Return the path of the file that names a model's current version."""
    return f"{CURRENT}/{name}.json"
