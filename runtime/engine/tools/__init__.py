"""Conversations and tool calls, in each model family's own spelling.

Templates render what a client wrote and nothing else; a call that comes out is one of an offered
tool, with its arguments as the schema asks where a form holds it (`decode.answer_parser`).
"""
