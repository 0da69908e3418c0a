"""Stop strings: nothing of one ever reaches the reader.

Text that could be the beginning of a stop string is held back until the next text decides.

>>> matcher = StopMatcher(("END",))
>>> matcher.feed("the E"), matcher.feed("agle EN"), matcher.feed("D and")
('the ', 'Eagle ', '')
>>> matcher.stopped
True
"""

__all__ = ["StopMatcher"]


class StopMatcher:
    """Cut a stream of text before the first stop string that becomes complete in it.

    Of two that end at the same character, the longer one is cut: how the text was split into pieces
    never changes the answer.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._longest = max((len(stop) for stop in self._stops), default=0)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """Take more text; return what can be shown now."""
        if self.stopped or not self._stops:
            return "" if self.stopped else text
        text = self._held + text
        start = self._first_match(text)
        if start is not None:
            self.stopped = True
            self._held = ""
            return text[:start]
        keep = self._held_chars(text)
        cut = len(text) - keep
        self._held = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """Return what is still held: the stream is over, so it began no stop string."""
        held, self._held = self._held, ""
        return held

    def _first_match(self, text: str) -> int | None:
        matches = []
        for stop in self._stops:
            start = text.find(stop)
            if start >= 0:
                matches.append((start + len(stop), start))
        return min(matches)[1] if matches else None

    def _held_chars(self, text: str) -> int:
        for chars in range(min(len(text), self._longest - 1), 0, -1):
            tail = text[-chars:]
            if any(len(stop) > chars and stop.startswith(tail) for stop in self._stops):
                return chars
        return 0
