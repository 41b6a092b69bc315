"""Recipes that come with the package, and the making and checking of a user's own."""
