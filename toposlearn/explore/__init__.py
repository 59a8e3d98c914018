"""Looking at anatomy and at what was learned: pure plot functions, and widgets as thin shells over them."""
