"""Chat templates that must not come in: what each is, and its text."""

__all__ = ["TEMPLATES"]

TEMPLATES = {
    "loops": (
        "a template that loops for ever",
        "{% for a in range(10**9) %}{% for b in range(10**9) %}{% endfor %}{% endfor %}",
    ),
    "nested-loops": (
        "a template that loops within each range's limit",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    ),
    "allocates": ("a template that asks for a gigabyte", "{{ 'a' * 10**9 }}"),
    "allocates-by-format": ("a template that asks for it by a width", "{{ '%999999999d' % 1 }}"),
    "doubles": (
        "a template that doubles a text",
        "{% set n = namespace(t='ab') %}"
        "{% for i in range(60) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}",
    ),
    "escapes": (
        "a template that looks for Python's classes",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    ),
    "escapes-by-filter": (
        "the same by a filter", "{{ '' | attr('__class__') | attr('__mro__') }}",
    ),
    "escapes-by-a-global": (
        "a template that looks for os", "{{ cycler.__init__.__globals__.os.popen('true').read() }}",
    ),
    "escapes-by-format": (
        "a template that looks inside by a format",
        "{{ '{0.__class__.__init__}'.format(messages) }}",
    ),
    "reads-a-file": ("a template that includes a file", "{% include '/etc/passwd' %}"),
    "imports": ("a template that imports another", "{% import 'x.jinja' as x %}"),
    "broken": ("a template that is none", "{% for m in messages %}"),
    "too-large": ("a template of more than a megabyte", "x" * ((1 << 20) + 1)),
}  # fmt: skip
