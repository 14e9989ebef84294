"""The rules of the house, pure: no clock, no network, no database, standard library only."""
