"""Other people's tools open what we write, and find what we changed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI

if TYPE_CHECKING:
    from tests.path.conftest import Workbench

Installed = Callable[[str], dict[str, Any]]
REPO = Path(__file__).resolve().parent.parent.parent
_QUESTION = "How do I verify a bundle?"


def test_model_signing_accepts_an_installed_model_and_refuses_a_changed_one(
    workbench: "Workbench", installed: Installed, tmp_path: Path
) -> None:
    facts = installed("purser")
    copy = tmp_path / "copy"
    shutil.copytree(facts["path"], copy)
    good = _model_signing(Path(facts["path"]), facts["signature"], workbench.public_key)
    assert good.returncode == 0, good.stderr
    victim = copy / "cpu-int4" / "model.onnx.data"
    victim.chmod(0o644)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    bad = _model_signing(copy, facts["signature"], workbench.public_key)
    assert bad.returncode != 0


def test_stock_genai_gives_the_same_greedy_answer(
    workbench: "Workbench", installed: Installed
) -> None:
    folder = Path(installed("purser")["path"]) / "cpu-int4"
    # A process of its own: genai and our engine never share one.
    code = (
        "import json, sys, onnxruntime_genai as og\n"
        "model = og.Model(sys.argv[1]); tokenizer = og.Tokenizer(model)\n"
        "messages = json.dumps([{'role': 'user', 'content': sys.argv[2]}])\n"
        "text = tokenizer.apply_chat_template(messages, add_generation_prompt=True)\n"
        "params = og.GeneratorParams(model)\n"
        "params.set_search_options(max_length=300, do_sample=False)\n"
        "generator = og.Generator(model, params); generator.append_tokens(tokenizer.encode(text))\n"
        "out = []\n"
        "while not generator.is_done():\n"
        "    generator.generate_next_token(); out.append(int(generator.get_next_tokens()[0]))\n"
        "print(json.dumps(tokenizer.decode(out)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), _QUESTION],
        env=workbench.environment | {"ORT_DISABLE_TELEMETRY": "1"},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    with workbench.serve() as url, OpenAI(base_url=url, api_key="none") as client:
        answer = client.chat.completions.create(
            model="purser", messages=[{"role": "user", "content": _QUESTION}], temperature=0
        )
    assert answer.choices[0].message.content == json.loads(done.stdout)


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_skopeo_copies_the_layout(workbench: "Workbench", tmp_path: Path) -> None:
    reference = "purser-1.0.0"
    done = subprocess.run(
        ["skopeo", "copy", f"oci:{workbench.root / 'bundle-purser'}:{reference}",
         f"oci:{tmp_path / 'copy'}:{reference}"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    digest = workbench.json("models", "show", "purser")["digest"].removeprefix("sha256:")
    assert (tmp_path / "copy" / "blobs" / "sha256" / digest).is_file()


def test_a_shell_script_restores_the_files_and_checks_the_signature(
    workbench: "Workbench", installed: Installed, tmp_path: Path
) -> None:
    for name in ("purser", "minilm"):
        out = tmp_path / name
        done = subprocess.run(
            ["sh", str(REPO / "docs" / "restore.sh"), str(workbench.root / f"bundle-{name}"),
             str(workbench.public_key), str(out)],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        model = "all-minilm-l6-v2" if name == "minilm" else name
        path = Path(installed(model)["path"])
        restored = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
        stored = {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}
        assert restored == stored


def _model_signing(
    model: Path, signature: str, public_key: Path
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "model_signing", "verify", "key", str(model),
         "--signature", signature, "--public_key", str(public_key)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
