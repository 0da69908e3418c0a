"""Who may sign, and what a signature is."""
