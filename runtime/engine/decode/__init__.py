"""Answers, token by token, for all requests of one chat model at once.

What the others of a batch are does not change an answer. How it is limited (`constraint`) and read
(`answer_parser`) comes from outside, through two protocols; the model itself is a third
(`generator.Decoder`), so that the rest runs in tests without one.
"""
