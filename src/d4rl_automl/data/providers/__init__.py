"""Where datasets come from: one module per provider, with its entry, its description `PROVIDER`, and `fetch`.

    fetch(entry, *, local, mirrors, output, provenance, threads)

Arguments
    entry: the dataset, of the module's own model. `Provider.identity` says what of it identifies the data.
    local, mirrors: the config's `d4rl_dir` and `mirrors`, where a provider may look for files.
    output: HDF5 in D4RL's layout.
    provenance: JSON beside it: dataset, provider, task, sha256, and how it was made.
    threads: that may be used.

`fetch` imports its libraries itself: the workflow imports these modules whenever it is read. A new provider is a new
module and its name in `table`: docs/extending.md shows one.
"""
