"""What policies are worth: rollouts, targets, scores and their statistics, costs."""
