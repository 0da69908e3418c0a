"""What is installed on this host: verified files by digest, models by name and version."""
