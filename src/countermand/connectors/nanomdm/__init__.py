"""NanoMDM (and MicroMDM's hook): questions put to Apple devices, and their answers."""
