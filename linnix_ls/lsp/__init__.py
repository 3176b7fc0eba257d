"""The language server: the only package that knows LSP.

`server` is where to start reading; `session` holds on to a feed, `diagnostics` decides what is to
be published, `to_proto` makes LSP values, `ext` is the `linnix/*` part of the protocol, and
`connection` and `stdio` carry the bytes.
"""
