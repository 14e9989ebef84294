"""Apps and the identifiers that stores use for them, each with its grade of evidence."""
