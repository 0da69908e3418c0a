"""Serve installed models over the OpenAI API, on the loopback address unless keys are given."""

from sealift.runtime.api.app import make_app
from sealift.runtime.api.config import ApiLimits, ServeConfig, ServeConfigError, read_api_keys
from sealift.runtime.api.server import run

__all__ = ["ApiLimits", "ServeConfig", "ServeConfigError", "make_app", "read_api_keys", "run"]
