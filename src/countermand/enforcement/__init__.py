"""What doors are told: entries per person and device, order states, overrides."""
