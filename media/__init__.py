"""The medium: what lies on it, read with bounds, and believed only where a signature covers it."""
