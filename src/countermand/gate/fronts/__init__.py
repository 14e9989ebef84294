"""The forms in which questions come: each front reads a question and writes an answer, no more."""
