"""How far an exported graph is from the fp32 torch model it was made of, in numbers."""
