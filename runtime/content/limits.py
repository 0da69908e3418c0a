"""Every bound of the inspection, by name, in one place."""

from sealift.manifests.record import Record

__all__ = ["CONTENT_LIMITS", "ContentLimits"]

_MIB = 1 << 20


class ContentLimits(Record, frozen=True, kw_only=True):
    """What is looked at, and how much it may cost.

    A decoder of 24 layers has a graph of 0.2 MB with 300 nodes, an encoder of six 0.06 MB with 300;
    a tokenizer of 256,000 entries in 16 MB takes 2 s and 260 MB. The defaults leave room for what
    is ten times as large, and for tokenizers of 34 MB, the largest known.

    Attributes:
        graph_bytes: of a graph without its weights.
        wire_depth: messages within messages; the libraries that read graphs stop at 100.
        wire_fields: of one graph, all messages together.
        graph_nodes: of one graph with its functions and subgraphs; `graph_tensors` likewise.
        string_bytes: of a name or another text inside a graph.
        metadata_entries: of one list of keys and values inside a graph.
        json_depth: of any JSON file.
        text_bytes: of a template, a licence, a vocabulary as text.
        vocabulary: entries of a tokenizer; `merges` likewise, `added_tokens` likewise.
        template_chars, template_s: what one rendering of the sample conversations may make, take.
        memory_bytes, cpu_s, open_files: hard limits of the process that parses.
        wall_s: from its start until it is killed.
        answer_bytes: of what it says.
    """

    graph_bytes: int = 256 * _MIB
    wire_depth: int = 48
    wire_fields: int = 8_000_000
    graph_nodes: int = 200_000
    graph_tensors: int = 200_000
    string_bytes: int = 64 * 1024
    metadata_entries: int = 256
    json_bytes: int = 16 * _MIB
    tokenizer_bytes: int = 64 * _MIB
    json_depth: int = 32
    text_bytes: int = 16 * _MIB
    vocabulary: int = 1 << 21
    merges: int = 1 << 22
    added_tokens: int = 1 << 17
    template_chars: int = 1 << 20
    template_s: float = 2.0
    memory_bytes: int = 3 << 30
    cpu_s: int = 120
    open_files: int = 64
    wall_s: float = 300.0
    answer_bytes: int = 8 * _MIB


CONTENT_LIMITS = ContentLimits()
