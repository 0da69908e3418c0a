"""Embeddings, scores and classes: texts in, numbers out, in batches of like length.

What a text gets does not depend on its neighbours; nobody waits for ever behind longer ones.
"""
