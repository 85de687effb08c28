"""Bringing this program up to date, under what runs."""
