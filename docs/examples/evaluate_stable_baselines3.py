"""Stable-Baselines3's `evaluate_policy` in D4RL's simulator. It needs: pip install stable-baselines3"""

import gymnasium
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

import d4rl_automl.gym  # noqa: F401  registers d4rl/hopper-v2 and the others

environment = Monitor(gymnasium.make("d4rl/hopper-v2"))
policy = PPO("MlpPolicy", environment, seed=0, device="cpu")  # untrained; yours: PPO.load("policy.zip")

environment.reset(seed=0)
mean, deviation = evaluate_policy(policy, environment, n_eval_episodes=10)
score = 100 * environment.unwrapped.get_normalized_score(mean)
print(f"return {mean:.2f} ± {deviation:.2f}, D4RL's normalised score {score:.2f}")
