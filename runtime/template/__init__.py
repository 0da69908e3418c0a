"""Chat templates in a sandbox: one for the engine that serves and for the inspection before it."""
