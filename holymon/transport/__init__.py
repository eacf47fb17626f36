"""HTTP/1.1 connections that stamp what arrives; they know nothing of loads, JSON or models.

`pool.Transport` serves httpx's clients and `load.caller`; `response.Response` is what comes back.
"""
