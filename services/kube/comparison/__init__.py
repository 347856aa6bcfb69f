"""What is declared against what is there, without asking anybody; and what an apply may send."""
