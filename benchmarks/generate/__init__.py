"""Figures of asking a teacher: what a kill loses, what a row costs, what a change asks again, how limits are kept."""
