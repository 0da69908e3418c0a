"""Names that a trusted signer put into a seal, and that must not become a path."""

from collections.abc import Iterator

from tests.vectors.cases import draft, invalid, signed
from tests.vectors.model_files import files
from tests.vectors.vector import Vector

__all__ = ["vectors"]

_NAMES = {
    "dot-dot": ("../../etc/cron.d/x", "not allowed"),
    "dot-dot-inside": ("cpu-fp32/../../x", "not allowed"),
    "absolute": ("/etc/passwd", "not allowed"),
    "drive": ("C:/Windows/x", "not allowed"),
    "backslash": ("..\\..\\x", "not allowed"),
    "network-share": ("\\\\host\\share", "not allowed"),
    "nul": ("model.onnx\0.txt", "not allowed"),
    "newline": ("a\nb", "not allowed"),
    "bidi": ("\u202egnp.exe", "not allowed"),
    "zero-width": ("mod\u200bel.onnx", "not allowed"),
    "reserved": ("cpu-fp32/con", "not allowed"),
    "reserved-with-suffix": ("NUL.txt", "not allowed"),
    "trailing-dot": ("model.onnx.", "not allowed"),
    "option": ("-rf", "not allowed"),
    "hidden": (".bashrc", "not allowed"),
    "empty-component": ("cpu-fp32//x", "not allowed"),
    "too-long": ("x" * 101, "not allowed"),
    "too-long-path": ("/".join(["a" * 60] * 5), "characters"),
}

_COLLISIONS = {
    "case": ["Extra.txt", "extra.txt"],
    "case-of-a-folder": ["CPU-FP32/model.onnx"],
    "unicode-composed": ["caf\u00e9", "cafe\u0301"],
    "unicode-full-width": ["\uff4d\uff4f\uff44\uff45\uff4c"],
    "kelvin-sign": ["extra-k", "extra-\u212a"],
}

_AS_FOLDER = {
    "below-a-file": ["cpu-fp32/model.onnx/x"],
    "a-folder-s-name": ["cpu-fp32"],
    "below-a-file-in-another-case": ["CPU-fp32/MODEL.onnx/x"],
}


def vectors() -> Iterator[Vector]:
    """Give the rows names, collisions and file-as-folder."""
    for name, (path, why) in _NAMES.items():
        bundle = draft(files={**files(), path: b"x"})
        expected = invalid("manifest_invalid", ascii(path[:20])[1:-1], why)
        yield signed("names", name, f"a sealed file is called {path!a}", bundle, expected)
    for name in ("..", "../x", "a/b", "nul"):
        slug = name.replace("..", "dot-dot").replace("/", "-slash-")
        about = f"the model is called {name}"
        yield signed(
            "names", f"model-{slug}", about, draft(name=name),
            invalid("manifest_invalid", "model name", repr(name)),
        )  # fmt: skip
        yield signed(
            "names", f"version-{slug}", f"the version is called {name}", draft(version=name),
            invalid("manifest_invalid", "version", repr(name)),
        )  # fmt: skip
    for name, paths in _COLLISIONS.items():
        bundle = draft(files={**files(), **dict.fromkeys(paths, b"x")})
        why = "collide" if all(path.isascii() for path in paths) else "not allowed"
        about = f"two sealed files are one on some file system: {', '.join(map(ascii, paths))}"
        yield signed("collisions", name, about, bundle, invalid("manifest_invalid", why))
    for name, paths in _AS_FOLDER.items():
        bundle = draft(files={**files(), **dict.fromkeys(paths, b"x")})
        about = f"a file and a folder of one name: {paths[0]}"
        expected = invalid("manifest_invalid", "is a file")
        yield signed("file-as-folder", name, about, bundle, expected)
    files_like_parts = {**files(), "cpu-fp32/model.onnx.data.part00000": b"x"}
    yield signed(
        "collisions", "a-file-named-like-a-part",
        "stock tools would restore a part over another file", draft(files=files_like_parts),
        invalid("manifest_invalid", "model.onnx.data.part00000", "collide"),
    )  # fmt: skip
