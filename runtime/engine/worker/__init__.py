"""The processes that run native code on a model's bytes, each without network and other files.

`process` serves one model, `prepack_process` writes one entry of the cache; both are started by
name, with `python -m`, and give up their rights before they import what could need them.
"""
