"""What is declared: baselines and where they come from, files and cluster alike."""
