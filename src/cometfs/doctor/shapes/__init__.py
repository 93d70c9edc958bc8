"""The shape of an answer: held against its declared form, and without what is private in it."""
