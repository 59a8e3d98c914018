"""toposlearn: anatomical topology as a self-supervised signal (TACO), to teach and to explore."""
