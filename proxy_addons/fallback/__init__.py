"""The page that says what is wrong: how the cause is found, the words for it, and how they are written out."""
