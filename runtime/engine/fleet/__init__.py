"""The models of one server, as its API process sees them: which may be asked, which are in memory,
who waits, and what becomes of a worker that dies or hangs.

It keeps to asyncio and talks to workers through `request` alone: no native code is imported here,
so nothing that a model's bytes can do reaches the process that holds every client.
"""
