"""YAML for recipes: safe, and without what lets a few lines mean more than they seem to."""

from typing import Any

import yaml

from sealift.manifests.errors import RecipeError

__all__ = ["load_yaml"]


def load_yaml(data: bytes) -> Any:
    """Read a document.

    Raises:
        RecipeError: not YAML, or with aliases or duplicate keys.
    """
    try:
        return yaml.load(data.decode(), _StrictLoader)  # noqa: S506, TID251  # a SafeLoader
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"recipe: not valid YAML: {' '.join(str(error).split())}") from error


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML without aliases (a few lines of them expand to gigabytes) or duplicate keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise RecipeError("recipe: YAML aliases are not accepted")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise RecipeError(f"recipe: duplicate key {key!r}")
        return super().construct_mapping(node, deep=deep)
