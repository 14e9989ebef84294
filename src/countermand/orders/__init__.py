"""Orders: planned, approved by others, held, tried, sent, enforced, taken back."""
