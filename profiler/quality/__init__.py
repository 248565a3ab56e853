"""What makes a number trustworthy."""
