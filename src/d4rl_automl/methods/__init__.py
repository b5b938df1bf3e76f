"""One module per kind of method; its `fit` makes the policy. Arguments go by name.

    fit(*, transitions, settings, seed, device, threads, output, **inputs)

Arguments
    transitions: path of the dataset's transitions table.
    settings: the method's entry of the config.
    seed: the training seed.
    device: the config's `device`: cpu, auto or cuda.
    threads: threads that training may use.
    output: the policy's handle, `{method}-s{seed}.json`; what belongs to it goes beside it.
    inputs: what only this kind needs.

A new kind is a new module here and an entry in the config's schema: docs/methods.md shows one.
"""
