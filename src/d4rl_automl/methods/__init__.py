"""One module per kind of method. Each holds its settings, its description `METHOD`, and `fit`, which makes the policy.

    fit(*, transitions, settings, seed, device, threads, output, **inputs)

Arguments
    transitions: path of the dataset's transitions table.
    settings: the method's entry of the config, of the module's own model.
    seed: the training seed.
    device: where it is fitted: cpu; auto, on a GPU where there is one; cuda. Always cpu, unless the method is
        `faster_on_gpu`.
    threads: threads that training may use.
    output: the policy's handle, `{method}-s{seed}.json`; what belongs to it goes beside it.
    inputs: what only a method of this kind needs (`settings.kinds.Needs`): `labels`, the path of the teacher's labels,
        or `deployed`, the directories for acting, in the order of the action dimensions.

`fit` imports its libraries itself: the workflow imports these modules whenever it is read. A new kind is a new module
and its name in `table`: docs/extending.md shows one.
"""
