"""What each firmware family says on the wire, one module each.

A family is a function that takes a `Board` and gives its servers: the control port's first, then the stream
port's. What a picture shows is not decided here, nor how connections are kept: `device` and `httpd` do
that.
"""
