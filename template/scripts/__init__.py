"""The programs behind the Makefile. They come from the project's template.

An update replaces them, so put programs of your own elsewhere.
"""
