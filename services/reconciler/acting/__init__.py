"""What is done to the cluster, and what is seen of it: the workers that carry decisions out."""
