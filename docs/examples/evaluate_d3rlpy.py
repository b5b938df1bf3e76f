"""d3rlpy's `EnvironmentEvaluator` in D4RL's simulator. How to install it beside: docs/use-the-simulator.md"""

import d3rlpy
import gymnasium

import d4rl_automl.gym  # noqa: F401  registers d4rl/hopper-v2 and the others

d3rlpy.seed(0)
environment = gymnasium.make("d4rl/hopper-v2")
policy = d3rlpy.algos.BCConfig().create(device="cpu:0")
policy.build_with_env(environment)  # untrained; yours: policy = d3rlpy.load_learnable("policy.d3")

environment.reset(seed=0)
mean = d3rlpy.metrics.EnvironmentEvaluator(environment, n_trials=10)(policy, None)
score = 100 * environment.unwrapped.get_normalized_score(mean)
print(f"return {mean:.2f}, D4RL's normalised score {score:.2f}")
