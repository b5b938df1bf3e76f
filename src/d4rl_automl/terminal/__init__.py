"""What a run says on the terminal: a line a job, what came out, and why a job failed."""
