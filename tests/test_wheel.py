"""The wheel holds every module and data file of the tree, and the core install stays small."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
ROOMS = ("manifests", "keys", "media", "bundler", "runtime", "cli")
BUILD_ONLY = ("torch", "transformers", "optimum", "onnxruntime-genai")


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    # A copy of what git tracks: build leftovers of the working tree must not reach the wheel.
    tree = tmp_path_factory.mktemp("tree")
    tracked = subprocess.run(
        ["git", "ls-files", *ROOMS, "pyproject.toml", "setup.py", "README.md", "LICENSE"],
        cwd=REPO, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    for name in tracked:
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((REPO / name).read_bytes())
    out = tree / "dist"
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", str(out), str(tree)],
        check=True, timeout=120,
    )  # fmt: skip
    (wheel,) = out.glob("sealift-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_every_tracked_file_of_the_rooms(wheel_names: set[str]) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", *ROOMS], cwd=REPO, check=True, capture_output=True, text=True
    ).stdout.split()
    expected = {f"sealift/{name}" for name in tracked}
    carried = {name for name in wheel_names if not name.split("/")[0].endswith(".dist-info")}
    assert carried == expected


def test_core_install_asks_for_no_build_library() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    core = {requirement.split(">")[0].split("=")[0] for requirement in project["dependencies"]}
    assert core.isdisjoint(BUILD_ONLY)
    assert "onnxruntime" in core


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from sealift.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as e: assert e.code == 0\n"
        "heavy = {'torch', 'transformers', 'onnx', 'onnxruntime', 'numpy', 'aiohttp', 'rich',\n"
        "         'zstandard', 'tokenizers', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_the_air_gapped_side_imports_without_build_libraries_or_telemetry() -> None:
    code = (
        "import importlib, os, pkgutil, sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'transformers', 'optimum', 'onnx',\n"
        "                                  'onnxruntime_genai', 'huggingface_hub'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "        if name == 'onnxruntime' and os.environ.get('ORT_DISABLE_TELEMETRY') != '1':\n"
        "            raise AssertionError('telemetry is on while onnxruntime is imported')\n"
        "sys.meta_path.insert(0, Absent())\n"
        "for room in ('manifests', 'keys', 'runtime', 'cli'):\n"
        "    package = importlib.import_module(f'sealift.{room}')\n"
        "    for module in pkgutil.walk_packages(package.__path__, f'sealift.{room}.'):\n"
        "        importlib.import_module(module.name)\n"
        "        print(module.name)\n"
    )
    environment = {key: os.environ[key] for key in os.environ if key != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "sealift.runtime.engine.worker.process" in done.stdout
