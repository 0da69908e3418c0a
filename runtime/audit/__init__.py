"""The log of everything that happened on this host: RFC 6962 tree, C2SP signed checkpoints."""
