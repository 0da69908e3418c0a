"""JSON that two programs would read differently, and documents that are too deep or too large."""

import json
from collections.abc import Callable, Iterator

from sealift.manifests import strict_json
from tests.vectors.cases import (
    BASE,
    MEDIA,
    document_path,
    draft,
    invalid,
    on_base,
    signed,
    untrusted,
)
from tests.vectors.forge import SECOND, Draft
from tests.vectors.model_files import files
from tests.vectors.vector import Change, Expected, Vector, difference

__all__ = ["vectors"]

_DEEP = b"[" * 50 + b"]" * 50


def vectors() -> Iterator[Vector]:
    """Give the rows json, rollback, mix-and-match, fast-forward, audience."""
    yield from _signed_json()
    yield from _index()
    yield from _releases()
    yield from _mixed()


def _add(text: bytes) -> Callable[[bytes], bytes]:
    return lambda data: b"{" + text + b"," + data[1:]


def _signed_json() -> Iterator[Vector]:
    row = "json"
    texts = {
        "duplicate-key": (b'"_type":"other"', "duplicate key"),
        "nan": (b'"x":NaN', "NaN"),
        "infinity": (b'"x":-Infinity', "Infinity"),
        "out-of-range": (b'"x":1e999', "out of range"),
        "deep": (b'"x":' + _DEEP, "nested deeper"),
        "unknown-field": (b'"x":1', "x"),
        "half-a-character": (b'"x":"\\ud800"', "not valid JSON"),
    }
    for name, (text, word) in texts.items():
        add = _add(text)
        yield signed(
            row, f"seal-{name}", f"sealed: {name} in the seal", draft(payload=add),
            invalid("manifest_invalid", "seal", word),
        )  # fmt: skip
        where = "manifest" if name != "duplicate-key" else "duplicate key"
        double = _add(b'"schemaVersion":2') if name == "duplicate-key" else add
        yield signed(
            row, f"manifest-{name}", f"sealed: {name} in the manifest", draft(manifest=double),
            invalid("manifest_invalid", where),
        )  # fmt: skip
    escape = _add(b'"\\u001b[2J":1')
    yield signed(
        row, "envelope-escape-sequence", "a field whose name would clear the terminal",
        draft(sign=_envelope(escape)), invalid("signature_invalid", "[2J"),
    )  # fmt: skip
    envelope_twice = _envelope(lambda data: b'{"mediaType":"x",' + data[1:])
    yield signed(
        row, "envelope-duplicate-key", "a key twice in the envelope",
        draft(sign=envelope_twice), invalid("signature_invalid", "duplicate key"),
    )  # fmt: skip
    yield signed(
        row, "envelope-not-canonical", "the same envelope with spaces",
        draft(sign=_envelope(_spaced)),
        invalid("signature_invalid", "one form"),
    )  # fmt: skip
    yield signed(
        row, "seal-not-canonical", "sealed: the same seal with spaces", draft(payload=_spaced),
        invalid("manifest_invalid", "one form"),
    )  # fmt: skip
    yield signed(
        row, "envelope-too-large", "an envelope of more than 4 MiB",
        draft(sign=_envelope(lambda data: data + b" " * (4 << 20))),
        invalid("medium_invalid", "at most"),
    )  # fmt: skip
    yield signed(
        row, "manifest-too-large", "sealed: a manifest of more than 8 MiB",
        draft(manifest=lambda data: data + b" " * (8 << 20)), invalid("medium_invalid", "at most"),
    )  # fmt: skip


def _spaced(data: bytes) -> bytes:
    return json.dumps(json.loads(data)).encode()


def _envelope(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda payload: change(BASE._sign(payload))


def _index() -> Iterator[Vector]:
    index = MEDIA["base"]["index.json"]
    cases = {
        "index-duplicate-key": (b'{"manifests":[],' + index[1:], "duplicate key"),
        "index-nan": (b'{"manifests":NaN}', "NaN"),
        "index-deep": (b"[" * 100_000, "nested deeper"),
        "index-too-large": (index + b" " * (1 << 20), "at most"),
        "index-many-entries": (b'{"manifests":[' + b"0," * 5000 + b"0]}", "at most 4096"),
        "index-not-utf-8": (b'{"manifests":"\xff"}', "not valid JSON"),
        "index-empty": (b"", "not valid JSON"),
        "index-byte-order-mark": (b"\xef\xbb\xbf" + index, "not valid JSON"),
    }
    for name, (data, word) in cases.items():
        expected = invalid("medium_invalid", "index.json", word)
        yield on_base(
            "json", name, f"index.json: {word}", [Change.file("index.json", data)], expected
        )


def _releases() -> Iterator[Vector]:
    yield signed(
        "rollback", "older-sequence", "a genuine release older than the one installed",
        draft(version="0.9.0", sequence=4), untrusted("downgrade", "0.9.0", "sequence 5"),
    )  # fmt: skip
    yield signed(
        "rollback", "newer-version-older-sequence", "an old release under a high version",
        draft(version="9.0.0", sequence=1), untrusted("downgrade", "9.0.0", "sequence 5"),
    )  # fmt: skip
    yield signed(
        "rollback", "same-version-other-content", "the installed version with other content",
        draft(version="1.0.0", files={**files(), "extra.txt": b"x"}, sequence=9),
        Expected(exit=2, code="version_conflict", words=("demo 1.0.0",)),
    )  # fmt: skip
    yield signed(
        "fast-forward", "from-the-future", "a release made years from now: it would lift the "
        "floor under every clock", draft(created="2199-01-01T00:00:00Z"),
        untrusted("clock_behind", "clock says"),
    )  # fmt: skip
    for name, sequence in {"past-the-end": 2**53 + 1, "zero": 0}.items():
        yield signed(
            "fast-forward", f"sequence-{name}", "a sequence out of range: none could follow it",
            draft(sequence=sequence), invalid("manifest_invalid", "sequence"),
        )  # fmt: skip
    yield signed(
        "audience", "another-site", "a bundle for another site", draft(audience=("north",)),
        untrusted("not_trusted", "bundle is for north"),
    )  # fmt: skip
    yield signed(
        "revoked", "key-typed-no-more", "sealed by a key that is trusted no more",
        draft(signer=SECOND), untrusted("not_trusted", SECOND.public.key_id[:16]),
    )  # fmt: skip


def _mixed() -> Iterator[Vector]:
    row = "mix-and-match"
    for name, changes in {
        "seal-of-another-name": {"name": "other"},
        "seal-of-another-version": {"version": "2.0.1"},
        "seal-of-another-time": {"created": "2026-01-02T03:04:06Z"},
    }.items():

        def payload(data: bytes, changes: dict[str, str] = changes) -> bytes:
            raw = json.loads(data)
            raw["predicate"]["sealift"].update(changes)
            if "name" in changes:
                raw["subject"][0]["name"] = changes["name"]
            return strict_json.canonical(raw)

        yield signed(
            row, name, "a genuine seal over the manifest of another release",
            draft(payload=payload), invalid("manifest_invalid", "the seal is for"),
        )  # fmt: skip
    other = Draft(files={**files(), "extra.txt": b"x"}, version="2.0.1", sequence=7).medium()
    yield on_base(
        row, "index-of-another-release", "the index of one genuine release, the blobs of another",
        [Change.file("index.json", other["index.json"])], invalid("medium_invalid", "index.json"),
    )  # fmt: skip
    manifest = document_path("manifest")
    yield on_base(
        row, "manifest-of-another-release", "another genuine manifest under the sealed name",
        [Change.file(manifest, MEDIA["installed"][document_path("manifest", MEDIA["installed"])])],
        invalid("medium_invalid", manifest),
    )  # fmt: skip
    documents = {path: other[path] for path in sorted(_documents(other))}
    yield on_base(
        row, "documents-of-another-release", "the genuine documents of another release, slipped in",
        difference({}, documents), invalid("medium_invalid", "not part of any bundle here"),
    )  # fmt: skip


def _documents(medium: dict[str, bytes]) -> set[str]:
    return {document_path(kind, medium) for kind in ("manifest", "config", "signature")}
