"""Sentences that know how they were made, and the catalogues that have them in other languages.

    say("{n} of {of} failed", n=3, of=40)    a str in English, whatever is done with it
    shown(...) -> "3/40 lượt gọi thất bại"    the same in the language of the document

All sentences of another language stand in one file, such as `vi.po`, which tests/make_words.py
brings up to date.
"""
