"""What learns from normal samples, by kind: preparations, networks, and what trains them."""
