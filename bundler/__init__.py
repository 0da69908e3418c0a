"""The connected side: source, export, quantize, evaluate, pack, attest, write to media."""
