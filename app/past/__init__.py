"""What was scored: kept, judged again, reviewed, and learnt from."""
