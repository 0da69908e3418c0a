"""Serve verified models: one worker process a model, requests batched over cache slots.

The API process holds the fleet, each worker process one model; the records of `request` are all
that passes between them. The fleet imports no native code: onnxruntime, numpy, llguidance and
tokenizers are first imported in a process that has given up its rights.

| room    | owns                                             | may import                          |
|---------|--------------------------------------------------|-------------------------------------|
| fleet   | the API process's side: processes, memory, waits | prepack, where it is pure           |
| worker  | the processes that run a model, and their loops  | all below                           |
| load    | from a source to a model, each byte checked      | tools, forms, decode, vectors,      |
|         |                                                  | prepack                             |
| tools   | conversations and calls, as each family spells   | forms, decode                       |
| forms   | what an answer may be, as masks over tokens      | decode                              |
| decode  | answers by the token: schedule, slots, draws     | -                                   |
| vectors | embeddings, scores and classes                   | -                                   |
| prepack | the cache of prepacked weights                   | -                                   |

Beside this file lies what rooms share, and every room may import it: the records (`request`,
`source`, `settings`, `prepack_spec`) and their `channel`, the family of `errors`, facts of the
`host`, the choice of a `variant`, the check of a folder (`integrity`), the environment of our
processes, and `session`, the one door to onnxruntime, for workers only. import-linter holds this.
"""
