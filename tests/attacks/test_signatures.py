"""Signatures that are missing, not enough, by somebody else, or of something else."""

from tests.attacks.host import Host
from tests.attacks.rows import attack
from tests.vectors.forge import SECOND
from tests.vectors.vector import Vector


@attack("signature-stripped")
def test_a_stripped_signature(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("one-key-of-two")
def test_one_key_of_two(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("key-confusion")
def test_key_confusion(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("algorithm-confusion")
def test_algorithm_confusion(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("payload-type")
def test_a_signature_made_for_another_purpose(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("unknown-signer")
def test_an_unknown_signer(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("revoked")
def test_a_key_that_is_trusted_no_more(host: Host, vector: Vector) -> None:
    key_id = SECOND.public.key_id
    trusted = host.sealift("keys", "trust", "KEYS/test-only-second.pub", "--fingerprint", key_id)
    assert trusted.exit == 0, trusted.err
    assert host.sealift("keys", "distrust", key_id).exit == 0
    host.refuses(vector)


@attack("revoked")
def test_what_it_signed_before_is_served_no_more(host: Host, vector: Vector) -> None:
    key_id = SECOND.public.key_id
    host.sealift("keys", "trust", "KEYS/test-only-second.pub", "--fingerprint", key_id)
    host.plug_vector(vector)
    assert host.sealift("import", host.medium).exit == 0
    assert host.sealift("keys", "distrust", key_id).exit == 0
    done = host.sealift("models", "show", "demo")
    assert done.exit == 4
    assert key_id[:16] in done.err
