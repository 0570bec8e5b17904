"""The images components run in, by logical name.

`ct compile --image components=<reference>@sha256:<digest>` binds a logical name to a real image, so
compiling stays pure and the sources never change with a build.
"""

# "python" in the name is what kfp's local subprocess runner wants to see.
COMPONENTS = "kfp-ct-components-python:local"
