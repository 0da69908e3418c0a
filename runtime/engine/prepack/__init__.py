"""The cache of weights as this host's kernels read them: filled, sealed, bounded, never trusted.

An entry is used where its seal and its binding to the signed bytes hold, and otherwise costs only
time. What the server does (`cache`, `disk`, `policy`, `key`) imports no native code.
"""
