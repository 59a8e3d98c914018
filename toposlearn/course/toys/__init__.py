"""Small settings that train or compare tokens within seconds."""
