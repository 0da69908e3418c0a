"""Map the top-level rooms to the `sealift.*` namespace (see docs/adr/0001-house.md)."""

from setuptools import find_packages, setup

ROOMS = ("manifests", "keys", "media", "bundler", "runtime", "cli")
found = find_packages(include=[pattern for room in ROOMS for pattern in (room, f"{room}.*")])
setup(
    packages=[f"sealift.{name}" for name in found],
    package_dir={f"sealift.{room}": room for room in ROOMS},
)
