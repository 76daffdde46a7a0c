"""What is known of SE blocks by analysis: each result a function, each proven by a test."""
