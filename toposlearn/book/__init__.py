"""The book: notebooks as they ran, results and claims, built with Sphinx."""
