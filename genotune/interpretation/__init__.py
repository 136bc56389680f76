"""What a winner is for: predicting what it has never seen."""
