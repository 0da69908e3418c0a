"""What a recipe, a bundle and a statement are: frozen data, strict parsing, digests, paths."""
