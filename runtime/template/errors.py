"""What can be wrong with a chat template."""

from sealift.manifests.errors import SealiftError

__all__ = ["BoundError", "RenderError", "TemplateError", "TemplateRefusalError"]


class BoundError(Exception):
    """A render passed one of its bounds; inside the sandbox, where it ends the template."""


class TemplateError(SealiftError):
    """Not a template."""

    code = "template_invalid"


class RenderError(TemplateError):
    """The template failed on a conversation, or exceeded a bound."""

    code = "template_failed"


class TemplateRefusalError(RenderError):
    """The template itself says that it does not take this conversation."""

    code = "template_refused"
