"""From a provider's file to the transitions that every learner reads."""
