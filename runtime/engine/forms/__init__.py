"""Forms of answers: JSON schemas, regular expressions, grammars, as masks over the tokens.

A form comes from a client: it is refused before it costs more than its bounds, by a message that
names the place. What is taken holds for every token of an answer (`decode.constraint`).
"""
