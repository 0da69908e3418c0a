"""Print the JSON Schema of a recipe, for the copy that is committed beside this file.

$ python -m sealift.manifests.schema > manifests/recipe.schema.json
"""

import sys

from sealift.manifests.recipe import recipe_schema
from sealift.manifests.strict_json import pretty

__all__ = ["schema_bytes"]


def schema_bytes() -> bytes:
    """Return the schema as it is committed: sorted keys, two-space indent, final newline."""
    return pretty(recipe_schema())


if __name__ == "__main__":
    sys.stdout.buffer.write(schema_bytes())
