"""The engine: one loop that runs any recipe."""
