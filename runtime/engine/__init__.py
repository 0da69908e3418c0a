"""Serve verified models: one worker process a model, requests batched over cache slots.

Nothing here imports onnxruntime before `sealift.runtime.engine.worker` runs in its own process.
"""
