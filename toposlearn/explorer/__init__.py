"""The explorer: an application to look up neighbors and matches of a place."""
