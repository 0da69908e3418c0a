"""The `sealift` command: arguments and printing only."""
