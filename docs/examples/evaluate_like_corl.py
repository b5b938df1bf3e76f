"""An evaluation as CORL's scripts make it: one environment, one torch call a step. It needs: pip install torch"""

import gymnasium as gym  # was: import gym
import numpy as np
import torch

import d4rl_automl.gym  # noqa: F401  was: import d4rl


class Actor(torch.nn.Module):
    """Two layers of 256, as most of CORL's actors."""

    def __init__(self, state_dim: int, action_dim: int, max_action: float) -> None:
        super().__init__()
        self.max_action = max_action
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(state_dim, 256),
            torch.nn.ReLU(),
            torch.nn.Linear(256, 256),
            torch.nn.ReLU(),
            torch.nn.Linear(256, action_dim),
            torch.nn.Tanh(),
        )

    @torch.no_grad()
    def act(self, state: np.ndarray, device: str) -> np.ndarray:
        row = torch.tensor(state[None], dtype=torch.float32, device=device)
        return (self.max_action * self.layers(row)).cpu().numpy()[0]


def evaluate(env: gym.Env, actor: Actor, device: str, episodes: int, seed: int) -> np.ndarray:
    """The return of each episode."""
    returns = np.zeros(episodes)
    actor.eval()
    state, _ = env.reset(seed=seed)
    for episode in range(episodes):
        done = False
        while not done:
            state, reward, terminated, truncated, _ = env.step(actor.act(state, device))
            returns[episode] += reward
            done = terminated or truncated
        state, _ = env.reset()
    actor.train()
    return returns


torch.manual_seed(0)
env = gym.make("d4rl/hopper-v2")  # was: gym.make("hopper-medium-v2")
actor = Actor(env.observation_space.shape[0], env.action_space.shape[0], float(env.action_space.high[0]))
# Untrained; yours: actor.load_state_dict(torch.load("checkpoint.pt")["actor"])
returns = evaluate(env, actor, "cpu", episodes=10, seed=0)
score = 100 * env.unwrapped.get_normalized_score(returns.mean())
print(f"return {returns.mean():.2f} ± {returns.std():.2f}, D4RL's normalised score {score:.2f}")
