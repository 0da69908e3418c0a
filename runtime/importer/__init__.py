"""From an untrusted medium to an installed model: verified part by part, or not at all."""
